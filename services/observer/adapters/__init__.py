"""The Observer's ports on PostgreSQL, Redis, Prometheus, Kafka, AWS and the Provisioner; and in memory."""
