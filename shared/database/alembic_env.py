"""What every `services/<name>/migrations/env.py` runs: own schema, own version table, a short lock timeout."""

import os

from alembic import context
from sqlalchemy import create_engine, text

LOCK_TIMEOUT = "5s"


def run(schema: str) -> None:
    """Upgrade or downgrade as Alembic asks; the URL comes from the environment, never from a file."""
    url = os.environ["HEADRACE_DATABASE_URL"]
    engine = create_engine(url, hide_parameters=True, connect_args={"options": f"-c search_path={schema}"})
    try:
        with engine.connect() as connection:
            connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            connection.commit()
            context.configure(connection=connection, version_table_schema=schema, transaction_per_migration=True)
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()
