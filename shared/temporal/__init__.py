"""Temporal: one client, workers that drain, one error table, payloads without secrets."""
