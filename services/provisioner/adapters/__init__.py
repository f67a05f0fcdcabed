"""PostgreSQL, Redis, Pulumi, AWS, Kafka, uv: what the ports are made of."""
