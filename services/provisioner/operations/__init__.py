"""Load, decide, act, record; over the ports of `domain/ports.py`."""
