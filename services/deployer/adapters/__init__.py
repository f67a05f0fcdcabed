"""PostgreSQL, Prometheus, the bundle store; and in memory."""
