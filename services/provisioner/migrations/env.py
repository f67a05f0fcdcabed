import os

from shared.database.alembic_env import run

run(os.environ.get("HEADRACE_DATABASE_SCHEMA") or "provisioner")
