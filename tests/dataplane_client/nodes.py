"""Nodes of a transform group as processes, and the Provisioner's routes to them."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dataplane.client.settings import ClientSettings
from localcloud.certificates import DevelopmentAuthority
from shared.contracts.node import Assignment, FleetRoute, Routes
from shared.contracts.objects import ProvisionedScaling, ServerGroup
from tests.dataplane.small_stack import ROOT, ControlPlane

CODE = """
import os, pathlib, time
from headrace_runtime import transform

HERE = pathlib.Path(__file__).parent

@transform
def act(event):
    slow = HERE / "slow"
    time.sleep(float(slow.read_text()) if slow.exists() else event.get("sleep", 0))
    if event.get("do") == "crash":
        os._exit(7)
    return event | {"node": HERE.name}
"""
ENDS_S_MAX = 60.0
GROUP = "scores"


class Node:
    """One process; `name` comes back with every event."""

    def __init__(
        self, folder: Path, name: str, authority: DevelopmentAuthority, workers: int = 2, listen: str = "127.0.0.1:0"
    ) -> None:
        self.name = name
        self.socket = Path()
        self._host = listen.partition(":")[0]
        self.code = folder / name
        self.code.mkdir()
        (self.code / "users.py").write_text(CODE)
        identity = folder / f"{name}-identity"
        shutil.copytree(authority.service(f"node-{name}"), identity)
        self._command = [sys.executable, "-m", "tests.dataplane_client.node_process"]
        self._command += [str(self.code), str(identity), str(workers), listen]
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def address(self) -> str:
        """Once it serves; `socket` is that of its users' server."""
        assert self.process.stdout
        said = self.process.stdout.readline().split()
        assert said, f"node {self.name} did not start"
        self.socket = Path(said[1])
        return f"{self._host}:{said[0]}"

    def slow(self, seconds: float) -> None:
        """From now on each event takes so long."""
        (self.code / "slow").write_text(str(seconds))

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(ENDS_S_MAX)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()


class Cluster:
    """A group's nodes with a control plane that tells their routes."""

    def __init__(self, folder: Path, names: Sequence[str], workers: int = 2) -> None:
        self.folder = folder
        self.authority = DevelopmentAuthority(folder / "tls", "test")
        self.control = ControlPlane(folder / "tls")
        self.nodes = {name: Node(folder, name, self.authority, workers) for name in names}
        self.addresses = {name: node.address() for name, node in self.nodes.items()}
        self._generation = 0
        self.routes({"scores-r1": (1, names)})
        self.control.start()

    def routes(self, fleets: dict[str, tuple[int, Sequence[str]]]) -> None:
        """Fleets with weight and nodes."""
        self._generation += 1
        group = ServerGroup(name=GROUP, kind="transform", scaling=ProvisionedScaling(desired_nodes=1))
        told = [
            FleetRoute(fleet=f, revision=n, weight=w, endpoints=tuple(self.addresses[m] for m in members))
            for n, (f, (w, members)) in enumerate(fleets.items(), 1)
        ]
        self.control.watchers.tell(
            Assignment(group=group, fleet="", revision=1),
            Routes(group=GROUP, generation=self._generation, fleets=tuple(told)),
        )

    def settings(self, name: str = "client", zone: str = "") -> ClientSettings:
        """Of a client that may call the group."""
        return ClientSettings(GROUP, self.control.address, self.authority.service("caller"), self.folder / name, zone)

    def end(self) -> None:
        self.control.stop()
        for node in self.nodes.values():
            node.end()


@contextmanager
def cluster(folder: Path, names: Sequence[str] = ("a", "b", "c"), workers: int = 2) -> Iterator[Cluster]:
    made = Cluster(folder, names, workers)
    try:
        yield made
    finally:
        made.end()
