"""`python -m shared.database.migrate <service> [revision]`: bring a service's schema to the newest revision."""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config

ROOT = Path(__file__).resolve().parents[2]


def config_of(service: str) -> Config:
    """Alembic's configuration for a service."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "services" / service / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(service: str, revision: str = "head") -> None:
    """Upgrade to `revision`."""
    command.upgrade(config_of(service), revision)


if __name__ == "__main__":
    upgrade(*sys.argv[1:3])
