"""Alembic's entry for the Observer's schema."""

from shared.database.alembic_env import run

run("observer")
