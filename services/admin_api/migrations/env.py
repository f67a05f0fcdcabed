"""Alembic's entry for the admin API's schema; its name comes with the URL, for tests that use another."""

import os

from shared.database.alembic_env import run

run(os.environ.get("HEADRACE_DATABASE_SCHEMA") or "admin")
