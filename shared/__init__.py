"""What every service stands on: domain types, contracts, database, redis, grpc, temporal, aws, telemetry."""
