"""What every service process is configured with: environment variables `HEADRACE_*`; defaults work embedded."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """The part that all services share; each `services/<name>/settings.py` adds its own fields."""

    model_config = SettingsConfigDict(env_prefix="HEADRACE_", extra="ignore", frozen=True)

    stack: str = "dev"
    workspace: str = "default"
    profile: str = "default"  # `demo`: short intervals, for the embedded stack
    database_url: SecretStr = SecretStr("")
    database_schema: str = ""
    redis_url: SecretStr = SecretStr("")
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "headrace"
    prometheus_url: str = "http://127.0.0.1:9090"
    prometheus_username: str = ""
    prometheus_password: SecretStr = SecretStr("")
    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    tls_dir: Path = Path(".headrace/tls")
    listen: str = "127.0.0.1:0"
    metrics_listen: str = "127.0.0.1:0"
    observer_address: str = ""
    deployer_address: str = ""
    provisioner_address: str = ""
    autoscaler_address: str = ""

    @property
    def is_demo(self) -> bool:
        """Whether intervals are short."""
        return self.profile == "demo"


def host_port(address: str) -> tuple[str, int]:
    """Split `host:port`.

    >>> host_port("127.0.0.1:7400")
    ('127.0.0.1', 7400)
    """
    host, _, port = address.rpartition(":")
    return host, int(port)
