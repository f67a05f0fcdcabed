"""What the Provisioner is configured with; defaults work embedded."""

import shutil
from pathlib import Path

from pydantic import Field, SecretStr

from shared.settings import ServiceSettings

ROUTES_S, ROUTES_DEMO_S = 5.0, 1.0


class ProvisionerSettings(ServiceSettings):
    """`HEADRACE_*`; Pulumi's own variables keep their names."""

    database_schema: str = "provisioner"
    join_listen: str = "127.0.0.1:0"
    join_server_name: str = "localhost"  # in our certificate; machines check it
    ca_cert_file: Path = Path(".headrace/tls/ca.pem")
    ca_key_file: Path = Path(".headrace/tls/ca-key.pem")
    bundle_bucket: str = "headrace-bundles"
    uv: str = Field(default_factory=lambda: shutil.which("uv") or "uv")
    wheels_dir: Path = Path(".tools/wheels")
    provisioner_dir: Path = Path(".headrace/provisioner")  # work of Pulumi and uv; may be lost
    pulumi_root: Path = Field(default=Path(".tools"), validation_alias="PULUMI_ROOT")
    pulumi_backend_url: str = Field(default="file://.headrace/pulumi", validation_alias="PULUMI_BACKEND_URL")
    pulumi_passphrase: SecretStr = Field(default=SecretStr(""), validation_alias="PULUMI_CONFIG_PASSPHRASE")
    pulumi_plugins_dir: Path | None = None  # where the `aws` provider's plugin is, in production
    vpc: str = ""  # empty: the default one
    subnets: tuple[str, ...] = ()
    image: str = "ami-headrace"
    ingress_cidrs: tuple[str, ...] = ()  # empty: the network's own
    egress_cidrs: tuple[str, ...] = ()  # empty: machines reach nothing but what the network's endpoints give
    kafka_replicas: int = 1
    rating_sink: str = ""  # host:port of this host, as nodes reach it, while a group with HTTP sinks is rated

    @property
    def routes_s(self) -> float:
        """How often AWS is asked who is in service."""
        return ROUTES_DEMO_S if self.is_demo else ROUTES_S

    @property
    def pulumi_backend(self) -> str:
        """The backend's address, absolute."""
        scheme, _, path = self.pulumi_backend_url.partition("://")
        return f"file://{Path(path).resolve()}" if scheme == "file" else self.pulumi_backend_url
