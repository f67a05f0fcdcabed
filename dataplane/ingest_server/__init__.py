"""The reference ingest server: events pushed over HTTP, through a transform group, to a topic and the online store."""
