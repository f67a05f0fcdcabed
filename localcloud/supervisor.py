"""The stack's supervisor: a foreground process that starts everything, keeps it running and stops it.

    servers (all at once)  ->  schemas and migrations (as soon as PostgreSQL answers)  ->  services (in order)

It writes what it sees to `status.json`; `headrace up` starts it in the background and reads along. SIGTERM stops
everything in reverse order. Only one runs in a directory; what an earlier one that was killed has left is ended first.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import psutil

from localcloud import services
from localcloud.certificates import DevelopmentAuthority
from localcloud.cloud import AwsFront, PulumiProvider, base_environment
from localcloud.errors import NotReadyError, StackError
from localcloud.process import StackProcess
from localcloud.servers.kafka import KafkaServer
from localcloud.servers.postgres import PostgresServer
from localcloud.servers.prometheus import PrometheusServer
from localcloud.servers.temporal import TemporalServer
from localcloud.servers.valkey import ValkeyServer
from localcloud.state import DIRECTORY, ROOT, StackState, is_built, require_room
from localcloud.status import Part, Phase, Status, end_leftovers, read_status, write_status
from localcloud.unprivileged import reachable_directory
from localcloud.watched import State, Watched

LOOK_EVERY_S = 0.05
WATCH_EVERY_S = 0.25
START_S_MAX = 120.0
MIGRATE_S_MAX = 60.0
FAILURES_AT_START_MAX = 2  # a service may find that another is not there yet
SCRAPE_S = {"demo": 1}
SCRAPE_S_DEFAULT = 5


class StopAskedError(Exception):
    """Somebody asked the supervisor to stop."""


class Supervisor:
    """Runs one stack."""

    def __init__(self, directory: Path, profile: str, *, only_servers: bool = False) -> None:
        """`only_servers`: none of Headrace's own processes."""
        self._directory = directory
        self._profile = profile
        self._only_servers = only_servers
        self._watched: list[Watched] = []
        self._schemas = Part("schemas", "waiting")
        self._phase = Phase.STARTING
        self._error = ""
        self._took_s: float | None = None
        self._asked_to_stop = False
        self._created = psutil.Process().create_time()

    def run(self) -> int:
        """Start, watch until asked to stop, stop; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ask_to_stop())
        try:
            self._start()
            while True:
                self._look(WATCH_EVERY_S)
        except StopAskedError:
            self._stop(Phase.STOPPED)
            return 0
        except (StackError, OSError, subprocess.SubprocessError) as error:
            self._error = str(error)
            self._stop(Phase.FAILED)
            return 1

    def _ask_to_stop(self) -> None:
        self._asked_to_stop = True

    # ------------------------------------------------------------------------------------------------------- starting

    def _start(self) -> None:
        began = time.monotonic()
        require_room(self._directory)
        state = StackState.open(self._directory)
        servers = make_servers(state, self._profile)
        clouds = {"aws": "localcloud.aws", "pulumi-provider": "localcloud.aws.pulumi_provider"}
        self._watch([one for one in servers.in_order() if is_built(clouds.get(one.name, "localcloud.supervisor"))])
        self._start_servers(state, servers)
        if not self._only_servers:
            state.make_client_profile()
            authority = DevelopmentAuthority(self._directory / "tls", services.STACK)
            made = services.services(state, servers, authority, self._profile)
            self._watch([one for one in made if is_built(services.MODULES[one.name])])
            self._until_running(FAILURES_AT_START_MAX)
        self._took_s = time.monotonic() - began
        self._phase = Phase.READY
        self._write()

    def _start_servers(self, state: StackState, servers: services.Servers) -> None:
        """Until all servers run and the schemas are made."""
        postgres = next(one for one in self._watched if one.process is servers.postgres)
        with ThreadPoolExecutor(1) as pool:
            self._until(lambda: postgres.state is State.RUNNING, failures_max=0)
            began = time.monotonic()
            self._schemas = Part("schemas", "starting")
            work = pool.submit(make_schemas, state, servers.postgres, only_servers=self._only_servers)
            self._until(work.done, failures_max=0)
            work.result()
            self._schemas = Part("schemas", "done", ready_s=time.monotonic() - began)
            self._write()
        self._until_running(failures_max=0)

    def _watch(self, processes: Sequence[StackProcess]) -> None:
        self._watched += [Watched(process) for process in processes]
        self._write()

    def _until_running(self, failures_max: int) -> None:
        self._until(lambda: all(one.state is State.RUNNING for one in self._watched), failures_max)

    def _until(self, condition: Callable[[], bool], failures_max: int) -> None:
        deadline = time.monotonic() + START_S_MAX
        while not condition():
            self._look(LOOK_EVERY_S)
            for one in self._watched:
                if one.failures > failures_max:
                    raise NotReadyError(one.reason)
            if time.monotonic() > deadline:
                late = ", ".join(one.name for one in self._watched if one.state is not State.RUNNING)
                raise NotReadyError(f"the stack was not ready within {START_S_MAX:.0f} s; still starting: {late}.")

    # ------------------------------------------------------------------------------------------------------- watching

    def _look(self, pause_s: float) -> None:
        """Look at every process once, then pause; raises StopAskedError when somebody has asked."""
        changed = False
        for one in self._watched:
            changed |= one.step(time.monotonic())
            if self._asked_to_stop:
                raise StopAskedError
        if changed:
            self._write()
        time.sleep(pause_s)

    # ------------------------------------------------------------------------------------------------------- stopping

    def _stop(self, last: Phase) -> None:
        """Stop layer by layer, from the top; a process that does not end is said, and the others still stop."""
        self._phase = Phase.STOPPING
        self._write()
        for layer in sorted({one.process.layer for one in self._watched}, reverse=True):
            together = [one for one in reversed(self._watched) if one.process.layer == layer]
            for one in together:
                one.process.ask_to_stop()
            for one in together:
                try:
                    one.stop()
                except StackError as error:
                    self._error = f"{self._error} {error}".strip()
                self._write()
        self._phase = last
        self._write()

    def _write(self) -> None:
        parts = [
            Part(one.name, one.state, one.process.pid, one.created, one.restarts, one.ready_s, one.reason)
            for one in self._watched
        ]
        status = Status(
            self._phase, os.getpid(), self._created, self._profile, self._took_s, self._error, (*parts, self._schemas)
        )
        write_status(self._directory, status)


def make_servers(state: StackState, profile: str) -> services.Servers:
    """The servers of a stack, from its choices."""
    at, port, secret, log = state.directory, state.ports, state.passwords, state.log
    aws = AwsFront(at / "aws", port["aws"], secret["aws"], log("aws"))
    servers = services.Servers(
        postgres=PostgresServer(
            reachable_directory(at / "postgres", state.name), port["postgres"], secret["postgres"], log("postgres")
        ),
        valkey=ValkeyServer(at / "valkey", port["valkey"], secret["valkey"], log("valkey")),
        temporal=TemporalServer(at / "temporal", port["temporal"], log("temporal"), ui_port=port["temporal_ui"]),
        kafka=KafkaServer(at / "kafka", port["kafka"], port["kafka_controller"], secret["kafka"], log("kafka")),
        prometheus=PrometheusServer(
            at / "prometheus",
            port["prometheus"],
            secret["prometheus"],
            log("prometheus"),
            interval_s=SCRAPE_S.get(profile, SCRAPE_S_DEFAULT),
        ),
        aws=aws,
        pulumi_provider=PulumiProvider(port["pulumi_provider"], aws.client_environment(), log("pulumi-provider")),
    )
    servers.prometheus.scrape(services.scrapes(state, servers))
    return servers


def make_schemas(state: StackState, postgres: PostgresServer, *, only_servers: bool) -> None:
    """Each service's role and schema; and, with services, brought to its newest revision."""
    services.create_schemas(state, postgres)
    if only_servers:
        return
    lines = []
    for schema, service in services.MIGRATIONS_OF.items():
        if (ROOT / "services" / service / "migrations" / "env.py").exists():
            access = services.schema_access(state, postgres, schema)
            lines.append(json.dumps({"service": service, "url": access.url, "schema": schema}))
    done = subprocess.run(
        [sys.executable, "-m", "localcloud.migrations"],
        input="\n".join(lines),
        env=base_environment(),
        cwd=state.directory,
        capture_output=True,
        text=True,
        timeout=MIGRATE_S_MAX,
        check=False,
    )
    log = state.log("migrations")
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise NotReadyError(f"the migrations failed: {last} (see {log})")


@click.command(name="supervisor")
@click.option("--directory", type=click.Path(path_type=Path), default=DIRECTORY, help="Where state is kept.")
@click.option("--profile", default="default", help="`demo`: short intervals.")
@click.option("--only", type=click.Choice(["servers"]), default=None, help="Start only the servers.")
def main(directory: Path, profile: str, only: str | None) -> None:
    """Run the stack in the foreground until SIGTERM."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            click.echo(f"a supervisor already runs in {directory}", err=True)
            sys.exit(1)
        before = read_status(directory)
        if before:
            end_leftovers(before)
        sys.exit(Supervisor(directory, profile, only_servers=only == "servers").run())


if __name__ == "__main__":
    main()
