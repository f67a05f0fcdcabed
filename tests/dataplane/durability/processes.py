"""The processes of a durability run: nodes, transform servers, the receiver and the broker; each can be killed."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from localcloud import ports
from localcloud.servers.kafka import KafkaServer
from shared.contracts.node import (
    Assignment,
    FleetRoute,
    KafkaAccess,
    Routes,
    consumer_group,
    topic_dead,
    topic_in,
    topics_retry,
)
from shared.contracts.objects import Pipeline, ProvisionedScaling, ServerGroup, Stage
from tests.dataplane.streams import wait_until

ROOT = Path(__file__).resolve().parents[3]
KIND = {"ingest": "ingest", "transform": "transform"}
PARTITIONS = 6
READY_S = 120.0
CODE = Path(__file__).parent / "declared" / "users" / "users.py"


class Hit(Protocol):
    """A process that faults hit."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def kill(self) -> None:
        """-9."""
        ...

    def again(self) -> None:
        """It runs again."""
        ...

    def freeze(self) -> None:
        """It stands still."""
        ...

    def thaw(self) -> None:
        """It goes on."""
        ...


class Child:
    """A process that is started again with the same command."""

    def __init__(self, name: str, command: Sequence[str], log: IO[bytes]) -> None:
        self.name, self._command, self._log = name, list(command), log
        self.process = self._start()

    def kill(self) -> None:
        """-9, also while it is frozen."""
        self.process.kill()
        self.process.wait(60)

    def again(self) -> None:
        self.kill()
        self.process = self._start()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def leave(self) -> None:
        """In good order."""
        self.process.terminate()
        self.process.wait(60)

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command, cwd=ROOT, stdout=self._log, stderr=self._log)


def assignment_of(pipeline: Pipeline, stage: Stage, access: KafkaAccess) -> Assignment:
    """As the Provisioner's translation makes it."""
    kind = KIND.get(stage.work.type, "stage")
    consumes = stage.work.type != "ingest"
    group = ServerGroup.model_validate(
        {"kind": kind, "name": stage.group, "scaling": ProvisionedScaling(desired_nodes=2).model_dump()}
    )
    return Assignment(
        group=group,
        fleet=f"{stage.group}-r1",
        revision=1,
        pipeline=pipeline,
        stage=stage,
        topic_in=topic_in(pipeline.name, stage.name) if consumes else "",
        topics_out=tuple(topic_in(pipeline.name, e.target) for e in pipeline.edges if e.source == stage.name),
        topic_dead=topic_dead(pipeline.name, stage.name) if consumes else "",
        topics_retry=topics_retry(pipeline.name, stage.name, len(stage.retry.global_delays_s)) if consumes else (),
        consumer_group=consumer_group(pipeline.name, stage.name) if consumes else "",
        kafka=access,
    )


class World(Protocol):
    """What a run works on."""

    edges: list[str]
    notes: Path
    receiver: Child

    @property
    def kafka(self) -> KafkaServer:
        """The broker."""
        ...

    @property
    def servers(self) -> Sequence[Hit]:
        """Transform servers."""
        ...

    def everyone(self) -> Sequence[Hit]:
        """Every node."""
        ...

    def node(self, pipeline: Pipeline, stage: Stage) -> Child:
        """One more node of a stage."""
        ...

    def misbehave(self, **mode: object) -> None:
        """Of the receiver."""
        ...

    def stop(self) -> None:
        """Everything."""
        ...


class Cast:
    """Everything that runs in a folder; `nodes` by stage."""

    def __init__(self, folder: Path, kafka: KafkaServer, receiver_port: int) -> None:
        self.folder, self.kafka = folder, kafka
        self._log = (folder / "processes.log").open("ab")
        self.notes = folder / "received"
        self._receiver_port = receiver_port
        self.receiver = receiver_of(receiver_port, self.notes, self._log)
        self.nodes: dict[str, list[Child]] = {}
        self.servers: list[Child] = []
        self.edges: list[str] = []
        self._count = 0

    def start(self, pipeline: Pipeline, nodes_each: int) -> None:
        for stage in pipeline.stages:
            self.nodes[stage.name] = [self.node(pipeline, stage) for _ in range(nodes_each)]
        for edge in self.edges:
            wait_until(lambda edge=edge: answers(edge), f"the edge at {edge}", READY_S)  # type: ignore[misc]

    def node(self, pipeline: Pipeline, stage: Stage) -> Child:
        """One more node of a stage."""
        self._count += 1
        access = KafkaAccess(bootstrap=self.kafka.bootstrap, username=self.kafka.username, password=self.kafka.password)
        assignment = assignment_of(pipeline, stage, access)
        route = FleetRoute(fleet=assignment.fleet, revision=1, weight=100)
        port = ports.choose()
        if stage.work.type == "ingest":
            self.edges.append(f"127.0.0.1:{port}")
        orders = {
            "node": f"i-{self._count}",
            "assignment": assignment.model_dump(),
            "routes": Routes(group=stage.group, generation=1, fleets=(route,)).model_dump(),
            "port": port,
            "audits": str(self.folder / "audits" / f"i-{self._count}"),
            "socket": str(self._transform_server()) if stage.work.type == "transform" else "",
        }
        command = [sys.executable, "-m", "tests.dataplane.node_process", json.dumps(orders)]
        return Child(f"{stage.name} i-{self._count}", command, self._log)

    def everyone(self) -> list[Child]:
        return [n for nodes in self.nodes.values() for n in nodes]

    def misbehave(self, **mode: object) -> None:
        """Of the receiver."""
        tell_receiver(self._receiver_port, **mode)

    def stop(self) -> None:
        for child in [*self.everyone(), *self.servers, self.receiver]:
            child.kill()
        self._log.close()
        self.kafka.stop()

    def _transform_server(self) -> Path:
        code = self.folder / "code"
        code.mkdir(exist_ok=True)
        (code / "users.py").write_text(CODE.read_text())
        socket = self.folder / f"t{self._count}.sock"
        command = [sys.executable, "-m", "headrace_runtime", "serve", "--code", str(code), "--socket", str(socket)]
        self.servers.append(Child(f"transform server {self._count}", command, self._log))
        return socket


def receiver_of(port: int, notes: Path, log: IO[bytes]) -> Child:
    """The far receiver."""
    command = [sys.executable, "-m", "tests.dataplane.durability.receiver_process", str(port), str(notes)]
    return Child("receiver", command, log)


def tell_receiver(port: int, **mode: object) -> None:
    """How to behave; when it is away there is nothing to tell."""
    whole = {"status": 200, "wait_s": 0.0, "reset": False} | mode
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/mode", json.dumps(whole).encode(), timeout=5).close()
    except OSError as e:
        sys.stderr.write(f"receiver not told {mode}: {e}\n")


def answers(edge: str) -> bool:
    """Whether something listens there."""
    try:
        urllib.request.urlopen(f"http://{edge}/metrics", timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
