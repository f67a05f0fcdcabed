"""Load, decide, record; over ports."""
