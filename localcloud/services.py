"""Headrace's own processes: what environment each is given, and when it is ready.

The environment is one flat set of `HEADRACE_*` variables (`shared.settings.ServiceSettings` and each service's own);
the same names are what a production deployment sets.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.certificates import DevelopmentAuthority
from localcloud.cloud import AwsFront, PulumiProvider, base_environment
from localcloud.ports import answers
from localcloud.process import Launch, StackProcess
from localcloud.servers.kafka import KafkaServer
from localcloud.servers.postgres import PostgresServer, SchemaAccess
from localcloud.servers.prometheus import PrometheusServer
from localcloud.servers.temporal import TemporalServer
from localcloud.servers.valkey import ValkeyServer
from localcloud.state import GRPC_SERVICES, ROOT, SCHEMAS, StackState

STACK = "dev"
WORKSPACE = "default"
DATABASE = "headrace"
NODE_METRICS_PORT = 7401
BUNDLE_BUCKET = "headrace-bundles"
MODULES = {
    "observer": "services.observer",
    "provisioner": "services.provisioner",
    "autoscaler": "services.autoscaler",
    "deployer": "services.deployer",
    "workflows": "workflows",
    "admin_api": "services.admin_api",
}  # in the order in which they start
SCHEMA_OF = {**{name: name for name in GRPC_SERVICES}, "admin_api": "admin"}
MIGRATIONS_OF = {schema: service for service, schema in SCHEMA_OF.items()}


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers that the services stand on."""

    postgres: PostgresServer
    valkey: ValkeyServer
    temporal: TemporalServer
    kafka: KafkaServer
    prometheus: PrometheusServer
    aws: AwsFront
    pulumi_provider: PulumiProvider

    def in_order(self) -> tuple[StackProcess, ...]:
        """In the order in which they start."""
        return (
            self.postgres,
            self.valkey,
            self.temporal,
            self.kafka,
            self.aws,
            self.pulumi_provider,
            self.prometheus,
        )


class ServiceProcess(StackProcess):
    """One of Headrace's own processes."""

    layer = 2
    stop_s_max = 25.0  # a service drains its activities for up to 20 s

    def __init__(
        self, name: str, environment: Mapping[str, str], directory: Path, listens: tuple[int, ...], log: Path
    ) -> None:
        """`listens`: the ports that answer once it is ready."""
        super().__init__(log)
        self.name = name
        self._environment = environment
        self._directory = directory
        self._listens = listens

    def ports(self) -> tuple[int, ...]:
        """Those that it listens on."""
        return self._listens

    def launch(self) -> Launch:
        """`python -m <module>`."""
        command = (sys.executable, "-m", MODULES[self.name])
        return Launch(command, self._environment, directory=self._directory)

    def is_ready(self) -> bool:
        """Whether all its ports answer."""
        return all(answers(port) for port in self._listens)


def services(
    state: StackState, servers: Servers, authority: DevelopmentAuthority, profile: str
) -> tuple[ServiceProcess, ...]:
    """Headrace's processes, in the order in which they start."""
    shared = shared_environment(state, servers, profile)
    made = []
    for name in MODULES:
        own = own_environment(name, state, servers, authority)
        listens = tuple(state.ports[port] for port in (name, f"{name}_metrics") if port in state.ports)
        made.append(ServiceProcess(name, {**shared, **own}, state.directory, listens, state.log(name)))
    return tuple(made)


def shared_environment(state: StackState, servers: Servers, profile: str) -> dict[str, str]:
    """What every service is given."""
    return {
        **base_environment(),
        **servers.aws.client_environment(),
        "HEADRACE_STACK": STACK,
        "HEADRACE_WORKSPACE": WORKSPACE,
        "HEADRACE_PROFILE": profile,
        "HEADRACE_REDIS_URL": servers.valkey.url,
        "HEADRACE_TEMPORAL_ADDRESS": servers.temporal.address,
        "HEADRACE_TEMPORAL_NAMESPACE": servers.temporal.namespace,
        "HEADRACE_PROMETHEUS_URL": servers.prometheus.url,
        "HEADRACE_PROMETHEUS_USERNAME": servers.prometheus.username,
        "HEADRACE_PROMETHEUS_PASSWORD": servers.prometheus.password,
        "HEADRACE_KAFKA_BOOTSTRAP": servers.kafka.bootstrap,
        "HEADRACE_KAFKA_USERNAME": servers.kafka.username,
        "HEADRACE_KAFKA_PASSWORD": servers.kafka.password,
        "HEADRACE_BUNDLE_BUCKET": BUNDLE_BUCKET,
        **{f"HEADRACE_{name.upper()}_ADDRESS": state.address(name) for name in GRPC_SERVICES},
    }


def own_environment(name: str, state: StackState, servers: Servers, authority: DevelopmentAuthority) -> dict[str, str]:
    """What one service is given beside: its identity, its schema, its ports, and what only it needs."""
    own = {
        "HEADRACE_TLS_DIR": str(authority.service(name)),
        "HEADRACE_METRICS_LISTEN": state.address(f"{name}_metrics"),
    }
    if name in state.ports:
        own["HEADRACE_LISTEN"] = state.address(name)
    if name in SCHEMA_OF:
        access = schema_access(state, servers.postgres, SCHEMA_OF[name])
        own |= {"HEADRACE_DATABASE_URL": access.url, "HEADRACE_DATABASE_SCHEMA": access.schema}
    match name:
        case "provisioner":
            own |= _provisioner(state, servers, authority)
        case "admin_api":
            own["HEADRACE_ADMIN_TOKEN_FILE"] = str(state.admin_token_file)
        case _:
            pass
    return own


def _provisioner(state: StackState, servers: Servers, authority: DevelopmentAuthority) -> dict[str, str]:
    backend = state.directory / "pulumi"
    backend.mkdir(parents=True, exist_ok=True)
    return {
        "HEADRACE_JOIN_LISTEN": state.address("provisioner_join"),
        "HEADRACE_RATING_SINK": state.address("rating_sink"),
        "HEADRACE_CA_CERT_FILE": str(authority.files.certificate),
        "HEADRACE_CA_KEY_FILE": str(authority.files.key),
        "HEADRACE_PROVISIONER_DIR": str(state.directory / "provisioner"),
        "HEADRACE_UV": str(Path(sys.executable).with_name("uv")),
        "HEADRACE_WHEELS_DIR": str(ROOT / ".tools" / "wheels"),
        "PULUMI_ROOT": str(ROOT / ".tools" / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_CONFIG_PASSPHRASE": state.passwords["pulumi"],
        "PULUMI_DEBUG_PROVIDERS": f"aws:{servers.pulumi_provider.port}",
        "PULUMI_HOME": str(state.directory / "pulumi-home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
    }


def schema_access(state: StackState, postgres: PostgresServer, schema: str) -> SchemaAccess:
    """A service's role and schema; both have the schema's name."""
    return SchemaAccess(postgres.url(DATABASE, schema, state.passwords[f"schema_{schema}"]), schema)


def create_schemas(state: StackState, postgres: PostgresServer) -> None:
    """Make the database, and each service's role and schema."""
    postgres.create_database(DATABASE)
    for schema in SCHEMAS:
        postgres.create_schema(DATABASE, schema, schema, state.passwords[f"schema_{schema}"])


def scrapes(state: StackState, servers: Servers) -> list[dict[str, object]]:
    """What Prometheus scrapes: the services by their ports, and the machines that EC2 lists with our tag."""
    targets = [{"targets": [state.address(f"{name}_metrics")], "labels": {"service": name}} for name in MODULES]
    client = servers.aws.client_environment()
    machines = {
        "endpoint": servers.aws.url,
        "region": client["AWS_REGION"],
        "access_key": client["AWS_ACCESS_KEY_ID"],
        "secret_key": client["AWS_SECRET_ACCESS_KEY"],
        "port": NODE_METRICS_PORT,
        "refresh_interval": "1s",
        "filters": [
            {"name": "tag:headrace:managed", "values": ["true"]},
            {"name": "instance-state-name", "values": ["running"]},
        ],
    }
    names = [{"source_labels": ["__meta_ec2_instance_id"], "target_label": "instance"}]
    return [
        {"job_name": "headrace-services", "static_configs": targets},
        {"job_name": "headrace-nodes", "ec2_sd_configs": [machines], "honor_labels": True, "relabel_configs": names},
    ]
