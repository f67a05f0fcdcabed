"""What the admin API is configured with."""

from pathlib import Path

from pydantic import Field

from shared.settings import ServiceSettings


class AdminSettings(ServiceSettings):
    """`admin_token_file` holds the first administrator's token; `watch_s` is how often changes are looked for."""

    database_schema: str = "admin"
    listen: str = "127.0.0.1:8080"
    admin_token_file: Path | None = None
    bundle_bucket: str = "headrace-bundles"
    watch_s: float = Field(default=2.0, gt=0)
    operations_s: float = Field(default=1.0, gt=0)
