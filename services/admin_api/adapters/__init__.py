"""PostgreSQL, Temporal, S3 and the four services, behind the ports."""
