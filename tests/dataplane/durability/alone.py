"""A durability run on real machines of the embedded stack, with the whole control plane stopped for its length.

`python -m tests.dataplane.durability.alone --directory DIR --events 100000` (`make test-durability-alone`): the stack in
DIR runs; the pipeline is applied through the CLI; then its supervisor and every part but the broker and AWS (whose
machines the nodes are) are killed: PostgreSQL, Valkey, Temporal, Prometheus, all services. Nobody restarts them. Then
events, faults and the count are those of `running`. Afterwards `headrace down` ends what is left.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from headrace.client import AdminClient
from localcloud import ports
from localcloud.servers.kafka import KafkaServer
from localcloud.state import StackState
from localcloud.status import is_same_process, read_status
from shared.contracts.objects import Pipeline, Stage
from tests.dataplane.durability.faults import Action, plan_of
from tests.dataplane.durability.processes import ROOT, Child, Hit, answers, receiver_of, tell_receiver
from tests.dataplane.durability.running import Run, pipeline_of, say
from tests.dataplane.streams import wait_until

KEPT = ("kafka", "aws")
ACTIONS: tuple[Action, ...] = ("freeze node", "kill transform server", "kill broker", "kill receiver", "receiver")
DECLARED = Path(__file__).parent / "declared"
APPLY_S_MAX, READY_S_MAX, CALL_S = 900.0, 300.0, 20.0


@dataclass(frozen=True, slots=True)
class Found:
    """A process that others restart."""

    name: str
    process: psutil.Process

    def kill(self) -> None:
        self.process.kill()

    def again(self) -> None:
        """Its agent has done so."""

    def freeze(self) -> None:
        self.process.suspend()

    def thaw(self) -> None:
        self.process.resume()


class Machines:
    """`World`: the machines of a stack, its broker, and a receiver of ours."""

    def __init__(self, state: StackState, aws: int, folder: Path, edges: list[str], port: int) -> None:
        self.kafka = broker_of(state)
        self.edges = edges
        self.notes = folder / "received"
        self._log = (folder / "receiver.log").open("ab")
        self._port, self._aws = port, psutil.Process(aws)
        self.receiver = receiver_of(port, self.notes, self._log)

    @property
    def servers(self) -> Sequence[Hit]:
        """Users' processes as they are now: a killed one comes back as another."""
        return [p for p in self._processes() if p.name.startswith("users")]

    def everyone(self) -> Sequence[Hit]:
        """The agents."""
        return [p for p in self._processes() if p.name.startswith("node")]

    def node(self, pipeline: Pipeline, stage: Stage) -> Child:
        raise NotImplementedError(f"{pipeline.name}/{stage.name}: a new machine cannot join without a control plane")

    def misbehave(self, **mode: object) -> None:
        tell_receiver(self._port, **mode)

    def stop(self) -> None:
        self.receiver.kill()
        self._log.close()
        self.kafka.end()

    def _processes(self) -> list[Found]:
        found = []
        for process in self._aws.children(recursive=True):
            command = " ".join(process.cmdline())
            if "dataplane.agent" in command:
                found.append(Found(f"node {process.pid}", process))
            elif "--end-with-stdin" in command:
                found.append(Found(f"users' server {process.pid}", process))
        return found


class Broker(KafkaServer):
    """The stack's broker, which others started; once it was killed it is ours."""

    def __init__(self, state: StackState, pid: int) -> None:
        place, ports_of = state.directory / "kafka", state.ports
        password = state.passwords["kafka"]
        super().__init__(place, ports_of["kafka"], ports_of["kafka_controller"], password, state.log("kafka"))
        self._theirs: psutil.Process | None = psutil.Process(pid)

    def kill(self) -> None:
        if self._theirs is None:
            super().kill()
            return
        self._theirs.kill()
        self._theirs.wait(CALL_S)
        self._theirs = None

    def end(self) -> None:
        """What is ours; what others have started ends with their stack."""
        if self._theirs is None:
            self.stop()


def broker_of(state: StackState) -> Broker:
    return Broker(state, part_pids(state.directory)["kafka"])


def part_pids(directory: Path) -> dict[str, int]:
    """What runs of the stack."""
    status = read_status(directory)
    if status is None:
        raise SystemExit(f"{directory}: no stack runs there: `headrace up --directory {directory}`")
    return {p.name: p.pid for p in status.parts if p.pid is not None and is_same_process(p.pid, p.created)}


def apply(directory: Path, receiver_port: int) -> list[str]:
    """Through the CLI, as a user does; the ingest edges once all of the traffic is admitted."""
    client = json.loads((directory / "client.json").read_text())
    environment = os.environ | {"HEADRACE_URL": client["url"], "HEADRACE_TOKEN_FILE": client["token_file"]}
    environment["DURABLE_RECEIVER"] = f"http://127.0.0.1:{receiver_port}/events"
    command = [str(ROOT / ".venv" / "bin" / "headrace"), "apply", str(DECLARED), "--yes"]
    subprocess.run(command, env=environment, check=True, timeout=APPLY_S_MAX)
    with AdminClient(client["url"], Path(client["token_file"]).read_text().strip()) as api:

        def edges() -> list[str]:
            routes = next((r for r in api.get("/v1/routes")["items"] if r["group"] == "g-ingest"), {"fleets": ()})
            whole = routes.get("ramp_percent") == 100
            return [e for f in routes["fleets"] for e in f["endpoints"] if f["weight"] > 0] if whole else []

        wait_until(lambda: len(edges()) == 2 and all(map(answers, edges())), "the ingest edges", READY_S_MAX)
        return edges()


def stop_control_plane(directory: Path) -> list[str]:
    """kill -9 of the supervisor, then of everything that is not kept; the names of what was stopped."""
    status = read_status(directory)
    if status is None or not is_same_process(status.pid, status.created):
        raise SystemExit(f"{directory}: its supervisor does not run")
    os.kill(status.pid, signal.SIGKILL)
    stopped = []
    for name, pid in part_pids(directory).items():
        if name not in KEPT:
            os.killpg(os.getpgid(pid), signal.SIGKILL)
            stopped.append(name)
    client = json.loads((directory / "client.json").read_text())
    wait_until(lambda: not _answers_http(client["url"]), "the admin API is gone")
    return stopped


def _answers_http(url: str) -> bool:
    try:
        httpx.get(url, timeout=2, trust_env=False)
    except httpx.HTTPError:
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--directory", type=Path, default=ROOT / ".headrace")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--faults-min", type=int, default=10)
    parser.add_argument("--gap", type=float, default=4.0, help="seconds between faults, on average")
    given = parser.parse_args()
    port = ports.choose()
    edges = apply(given.directory, port)
    folder = Path(tempfile.mkdtemp(prefix="hr"))
    aws = part_pids(given.directory)["aws"]
    world = Machines(StackState.open(given.directory), aws, folder, edges, port)
    run = Run(world, pipeline_of(port), given.events)
    say("stopped:", *stop_control_plane(given.directory))
    plan = plan_of(given.seed, given.faults, given.gap, ACTIONS)
    say(f"seed {given.seed}; {given.events:,} events at {', '.join(edges)}")
    try:
        found = run.go(plan, given.faults_min)
    finally:
        run.stop()
    running = sorted(set(part_pids(given.directory)) - set(KEPT))
    say(found)
    say("of the control plane ran at the end:", running or "nothing")
    if not found.lost:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if found.lost or running or found.acknowledged < given.events else 0


if __name__ == "__main__":
    sys.exit(main())
