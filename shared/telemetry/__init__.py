"""Logs and metrics of our own processes."""
