"""What feature servers and ingest servers stand on: batches with a result for each item, limits, the online store."""
