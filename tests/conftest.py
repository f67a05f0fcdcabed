"""The real servers that tests run against: each is started once a session or module, on loopback, with a password.

    postgres          a cluster; `database` gives a test its own copies of migrated schemas
    valkey            a server; `empty_valkey` is the same one, emptied for the test
    temporal          the development server; `time_skipping` runs hours in milliseconds
    prometheus        a server that scrapes what a test tells it to
    kafka             a broker; take topic names from `unique_name`

A server that does not start fails the test with the server's last words; nothing is skipped for want of a tool.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import redis
from hypothesis import HealthCheck, settings
from psycopg import sql
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from localcloud import ports
from localcloud.process import StackProcess
from localcloud.servers.kafka import KafkaServer
from localcloud.servers.postgres import PostgresServer, SchemaAccess
from localcloud.servers.prometheus import PrometheusServer
from localcloud.servers.temporal import TemporalServer, test_server_binary
from localcloud.servers.valkey import ValkeyServer
from tests.leftovers import PREFIX, end_leftovers, note
from tests.localcloud_aws.front import FrontProcess
from tests.temporal_namespaces import connected, own_namespace

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = secrets.token_urlsafe(24)
MIGRATE_S_MAX = 200.0
Server = TypeVar("Server", bound=StackProcess)

# Properties are tried on the same examples each time, and however long a busy machine takes for one of them.
# `pytest --hypothesis-profile=explore` draws new ones.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("headrace", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("headrace")

# Who chooses a port binds it later, so each worker of a run has ports of its own to choose from.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
ports.FIRST = 20_000 + 2_000 * (WORKER % 5)
ports.LAST = ports.FIRST + 1_999


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    """Where servers keep their files: a folder that other users can enter, because PostgreSQL is not run as root."""
    end_leftovers(Path(tempfile.gettempdir()))
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    directory.chmod(0o755)
    note(directory, os.getpid())
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def unique_name() -> str:
    """A name that no other test uses: for topics, databases, groups."""
    return f"t{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def postgres(server_directory: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL cluster; `postgres.url()` is the superuser's."""
    log = server_directory / "postgres.log"
    server = PostgresServer(server_directory / "postgres", ports.choose(), PASSWORD, log, durable=False)
    yield from _running(server)


@pytest.fixture(scope="session")
def migrated(postgres: PostgresServer) -> Callable[[str], SchemaAccess]:
    """A service's role and schema in a database that nobody uses: migrated once, and copied for each test."""
    made: dict[str, SchemaAccess] = {}

    def schema_of(service: str) -> SchemaAccess:
        if service not in made:
            name = template_of(service)
            postgres.create_database(name)
            access = postgres.create_schema(name, service, name, PASSWORD)
            migrate(service, access)
            made[service] = access
        return made[service]

    return schema_of


def template_of(service: str) -> str:
    """The database that is copied, and the role that owns the schema in it and in every copy."""
    return f"template_{service}"


@pytest.fixture
def database(
    postgres: PostgresServer, migrated: Callable[[str], SchemaAccess], unique_name: str
) -> Iterator[Callable[[str], SchemaAccess]]:
    """Databases of the test's own; `database("observer")` gives one with that service's role and schema, migrated."""
    made: list[str] = []

    def schema_of(service: str) -> SchemaAccess:
        schema, template, copy = migrated(service).schema, template_of(service), f"{unique_name}_{service}"
        with postgres.connect() as connection:
            for statement in ("CREATE DATABASE {copy} TEMPLATE {role}", "GRANT CONNECT ON DATABASE {copy} TO {role}"):
                names = {"copy": sql.Identifier(copy), "role": sql.Identifier(template)}
                connection.execute(sql.SQL(statement).format(**names))
        made.append(copy)
        return SchemaAccess(postgres.url(copy, template, PASSWORD), schema)

    yield schema_of
    for copy in made:
        postgres.drop_database(copy)


def migrate(service: str, access: SchemaAccess) -> None:
    """Run a service's migrations as production does: a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "shared.database.migrate", service],
        cwd=ROOT,
        env={**os.environ, "HEADRACE_DATABASE_URL": access.url, "HEADRACE_DATABASE_SCHEMA": access.schema},
        capture_output=True,
        text=True,
        timeout=MIGRATE_S_MAX,
        check=False,
    )
    assert done.returncode == 0, f"migrations of {service} failed:\n{done.stderr}"


@pytest.fixture(scope="session")
def valkey(server_directory: Path) -> Iterator[ValkeyServer]:
    """A Valkey server; `valkey.url` has the password."""
    log = server_directory / "valkey.log"
    yield from _running(ValkeyServer(server_directory / "valkey", ports.choose(), PASSWORD, log))


@pytest.fixture
def empty_valkey(valkey: ValkeyServer) -> ValkeyServer:
    """The same server, with nothing in it."""
    client = redis.Redis.from_url(valkey.url)
    client.flushall()
    client.close()
    return valkey


@pytest.fixture(scope="session")
def temporal_server(server_directory: Path) -> Iterator[TemporalServer]:
    """Temporal's development server; tests take `temporal`."""
    log = server_directory / "temporal.log"
    yield from _running(TemporalServer(server_directory / "temporal", ports.choose(), log))


@pytest.fixture(scope="module")
def temporal(temporal_server: TemporalServer) -> TemporalServer:
    """The server, with a namespace of the module's own: a workflow that one module left open never reaches another's workers."""
    return own_namespace(temporal_server, f"t{secrets.token_hex(6)}")


@pytest.fixture
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal's test server, which skips the time that workflows sleep; with the product's payload converter."""
    environment = await connected(
        lambda: WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(test_server_binary()), data_converter=pydantic_data_converter
        )
    )
    async with environment:
        yield environment


@pytest.fixture(scope="module")
def prometheus(server_directory: Path) -> Iterator[PrometheusServer]:
    """A Prometheus server; `prometheus.scrape([...])` sets what it scrapes, once a second.

    One a module: what another module's nodes have said is shown for five minutes.
    """
    place = server_directory / f"prometheus-{secrets.token_hex(3)}"
    yield from _running(PrometheusServer(place, ports.choose(), PASSWORD, place.with_suffix(".log")))


@pytest.fixture(scope="session")
def kafka(server_directory: Path) -> Iterator[KafkaServer]:
    """A Kafka broker; `kafka.client_settings()` is what a client needs to log in."""
    log = server_directory / "kafka.log"
    port = ports.choose()
    yield from _running(KafkaServer(server_directory / "kafka", port, ports.choose({port}), PASSWORD, log))


@pytest.fixture(scope="session")
def localcloud_aws(server_directory: Path) -> Iterator[FrontProcess]:
    """The embedded AWS with virtual machines; name what you make by `unique_name`, others use it too."""
    yield from _running(FrontProcess(ports.choose(), server_directory / "aws.log"))


@pytest.fixture
def fresh_localcloud_aws(server_directory: Path, unique_name: str) -> Iterator[FrontProcess]:
    """An embedded AWS of the test's own, with virtual machines."""
    yield from _running(FrontProcess(ports.choose(), server_directory / f"aws-{unique_name}.log"))


def _running(server: Server) -> Iterator[Server]:
    server.start()
    if server.pid:
        note(server.log.parent, server.pid)
    yield server
    server.stop()
