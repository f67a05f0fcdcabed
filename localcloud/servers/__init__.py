"""The real servers of the embedded stack; the supervisor and the tests start them through the same classes."""
