"""Load on the copy of a group while it is rated: one small driver for each way that a node takes its work."""
