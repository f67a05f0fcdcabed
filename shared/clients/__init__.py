"""Typed clients of the four services, speaking contracts."""
