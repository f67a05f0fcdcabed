"""gRPC between services: mutual TLS, deadlines on every call, one error table, identities from certificates."""
