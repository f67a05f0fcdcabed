"""PostgreSQL, Prometheus, AWS, Temporal and the other services, behind the ports of `domain/ports.py`."""
