"""What the client decides: no I/O, no clock, no chance of its own; times are monotonic seconds that callers give."""
