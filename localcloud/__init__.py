"""The embedded stack: real servers, an AWS whose Auto Scaling behaves, machines as processes."""
