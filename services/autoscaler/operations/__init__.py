"""Load, decide, act, record; over ports."""
