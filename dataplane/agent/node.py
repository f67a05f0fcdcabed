"""A node's life: boot, join, fetch, start, be healthy, serve; and at the end drain, leave, and say so.

It runs in the main thread as a loop that looks at everything once a second: what the Auto Scaling Group wants of the
machine, users' process, the certificate's age. Everything that can wait for somebody else has a thread of its own.
"""

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import orjson
import structlog
from headrace_runtime import __version__ as runtime_version

from dataplane.agent.aws import NodeAws
from dataplane.agent.bundle import fetch_bundle
from dataplane.agent.control_plane import AuditReporter, RoutesWatcher, join
from dataplane.agent.lifecycle import Lifecycle
from dataplane.agent.machine import MachineSettings, Metadata, node_labels
from dataplane.agent.node_state import NodeState, Orders
from dataplane.agent.phase import BootError, Phase
from dataplane.agent.process_metrics import ProcessMetrics
from dataplane.agent.serving import Serving
from dataplane.agent.transform_front import TransformFront
from dataplane.agent.users_guard import MIB, Allowed
from dataplane.agent.users_metrics import users_lines
from dataplane.agent.users_place import place_for_users
from dataplane.agent.users_process import UsersProcess
from dataplane.client.settings import ClientSettings
from dataplane.client.threads import GroupClient
from dataplane.stages.http_server import JSON, NodeHttpServer
from dataplane.stages.ingest import Answer
from dataplane.stages.measures import Measures
from shared.contracts.node import HOOK_LAUNCHING, HOOK_TERMINATING, PORT_HEALTH, PORT_SERVE, UserData
from shared.domain.errors import HeadraceError, Unavailable

LOOK_EVERY_S, GIVE_BACK_EVERY_S = 1.0, 30.0
BOOT_S_MAX = 270.0  # the launching hook gives 300
READY_S_MAX = 120.0
RETRY_FIRST_S, RETRY_S_MAX = 0.3, 5.0
READY_POLL_S = 0.1
PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
EDGE_KINDS = ("ingest", "feature")
LOG = structlog.get_logger()
Found = TypeVar("Found")


class Node:
    """One machine, from start to end."""

    def __init__(self, settings: MachineSettings, give_back: Callable[[], None]) -> None:
        """Reads nothing yet. `give_back` returns unused memory to the system."""
        self._give_back, self._given_back_at = give_back, 0.0
        self._settings = settings
        self._metadata = Metadata(settings.metadata)
        self._aws = NodeAws(settings.endpoint, self._region, self._metadata.credentials)
        self._lifecycle = Lifecycle(self._aws, self._metadata)
        self._state = NodeState(settings.state / "node")
        self._stopping = threading.Event()
        self._phase = Phase()
        self._users: UsersProcess | None = None
        self._users_place: Path | None = None
        self._process_metrics = ProcessMetrics()
        self._measures: Measures | None = None
        self._serving: Serving | None = None
        self._watcher: RoutesWatcher | None = None
        self._reporter: AuditReporter | None = None
        self._servers: list[NodeHttpServer | TransformFront] = []
        self._user_data: UserData | None = None
        self.instance = ""

    def stop(self) -> None:
        """Ask it to drain and end; safe in a signal handler."""
        self._stopping.set()

    def run(self) -> int:
        """The whole life; returns the exit code."""
        address = self._settings.address or self._metadata.address()
        health = NodeHttpServer(address, PORT_HEALTH, self._answer_get)
        health.start()
        self._servers.append(health)
        try:
            self._boot(address)
        except (HeadraceError, BootError) as e:
            self._fail(str(e))
        else:
            self._complete_hook(HOOK_LAUNCHING, "CONTINUE")
            self._look_until_told()
        self._drain()
        return 0

    def _boot(self, address: str) -> None:
        deadline = time.monotonic() + BOOT_S_MAX
        self.instance = self._patiently(self._metadata.instance_id, deadline)
        user_data = self._user_data = self._patiently(self._metadata.user_data, deadline)
        structlog.contextvars.bind_contextvars(node=self.instance, fleet=user_data.fleet)
        self._measures = Measures(
            node_labels(user_data, self.instance), {"environment": "", "runtime": runtime_version}
        )
        self._enter("joining")
        orders = self._patiently(self._join, deadline)
        control = user_data.control
        self._reporter = AuditReporter(control.observer, self._state, self.instance, secrets.token_hex(4))
        state, zone = self._state.folder, self._patiently(self._metadata.zone, deadline)
        self._serving = Serving(self.instance, self._measures, self._reporter, self._aws.read, state / "audits")
        self._serving.use_groups(lambda g: GroupClient(ClientSettings(g, control.routes, state, state, zone)))
        if user_data.bundle:
            self._enter("fetching the bundle")
            self._start_users(user_data, deadline)
        if orders.assignment.group.kind in EDGE_KINDS:
            edge = NodeHttpServer(address, PORT_SERVE, lambda _: None, self._answer_post)
            edge.start()
            self._servers.append(edge)
        if self._users and orders.assignment.group.kind == "transform":
            front = TransformFront(f"{address}:{PORT_SERVE}", self._state, self._users.socket)
            front.start()
            self._servers.append(front)
        self._watcher = RoutesWatcher(control, self._state, self._serving.reconcile)
        self._serving.reconcile(orders)
        self._reporter.start()
        self._watcher.start()
        self._phase = Phase("ready", ready=True)
        LOG.info("ready", kind=orders.assignment.group.kind, revision=user_data.revision)

    def _join(self) -> Orders:
        """With a certificate that still holds, the last orders do: the control plane may be away."""
        kept = self._state.orders()
        if kept and self._state.renew_at():
            return kept
        return self._renew()

    def _renew(self) -> Orders:
        user_data = self._user_data
        if user_data is None:
            raise Unavailable("user data has not been read")
        token = self._aws.parameter(user_data.control.join_token_ref)
        certificate, orders = join(
            user_data.control,
            token,
            self.instance,
            user_data.group,
            user_data.fleet,
            self._state.csr(self.instance),
        )
        self._state.keep_certificate(user_data.control.ca_pem, certificate)
        self._state.keep_orders(orders)
        return orders

    def _start_users(self, user_data: UserData, deadline: float) -> None:
        place = self._users_place = place_for_users(self._settings.state)
        bundle = user_data.bundle
        if bundle is None or self._serving is None or self._measures is None:
            return
        fetch = partial(fetch_bundle, self._aws, bundle, place / "bundle")
        unpacked = self._patiently(fetch, deadline, only_unavailable=True)
        self._measures.inform({"environment": unpacked.environment_sha256[:16]})
        self._enter("starting users' code")
        memory = self._settings.users_memory_mib * MIB
        self._users = UsersProcess(
            unpacked,
            place,
            node=self.instance,
            workers=self._settings.users_workers,
            allowed=Allowed(memory) if memory else Allowed(),
            ports=self._settings.users_ports,
        )
        until = min(deadline, time.monotonic() + READY_S_MAX)
        while not self._users.is_ready():
            if self._users.code_is_bad:
                raise BootError("users' code cannot be loaded: the console says why; mend it and deploy again")
            if self._users.is_looping or time.monotonic() > until:
                raise BootError(f"users' code did not get ready: {self._users.detail}")
            if self._stopping.wait(READY_POLL_S):
                raise BootError("told to stop while it started")
            self._users.tend()
            self._phase.detail = self._users.detail
        self._measures.inform({"runtime": self._users.runtime_version})
        self._serving.use_socket(self._users.socket)

    def _patiently(self, act: Callable[[], Found], deadline: float, *, only_unavailable: bool = False) -> Found:
        """Again and again while it may still come right: a machine is often sooner than what knows of it."""
        wait_s = RETRY_FIRST_S
        while True:
            try:
                return act()
            except HeadraceError as e:
                hopeless = only_unavailable and not isinstance(e, Unavailable)
                if hopeless or time.monotonic() + wait_s > deadline or self._stopping.is_set():
                    raise
                self._phase.detail = str(e)
                LOG.info("not yet", phase=self._phase.name, why=str(e), again_in_s=round(wait_s, 1))
            self._stopping.wait(wait_s)
            wait_s = min(RETRY_S_MAX, wait_s * 1.7)

    def _look_until_told(self) -> None:
        """The main loop."""
        while not self._stopping.wait(LOOK_EVERY_S):
            if self._lifecycle.is_terminating():
                LOG.info("told to terminate")
                return
            self._tend_users()
            self._renew_in_time()
            if time.monotonic() - self._given_back_at >= GIVE_BACK_EVERY_S:
                self._given_back_at = time.monotonic()
                self._give_back()

    def _tend_users(self) -> None:
        if self._users is None:
            return
        self._users.tend()
        ready = self._users.is_ready()
        if ready != self._phase.ready:
            LOG.warning("users' code", ready=ready, detail=self._users.detail, looping=self._users.is_looping)
        looping = "crash loop: " if self._users.is_looping else ""
        self._phase = Phase("ready" if ready else "not ready", ready, "" if ready else looping + self._users.detail)

    def _renew_in_time(self) -> None:
        due = self._state.renew_at()
        if due and datetime.now(UTC) < due:
            return
        try:
            self._renew()
            LOG.info("certificate renewed")
        except HeadraceError as e:  # events flow on without; the next look tries again
            LOG.warning("certificate not renewed", why=str(e))

    def _drain(self) -> None:
        """Take no more, finish, commit, leave the group, report, end users' code, complete the hook."""
        self._enter("draining")
        for server in self._servers[1:]:
            server.stop()
        if self._watcher:
            self._watcher.stop()
        if self._serving:
            self._serving.stop()
        if self._reporter:
            self._reporter.stop()
        if self._users:
            self._users.stop()
        if self._users_place and not self._users_place.is_relative_to(self._settings.state):
            shutil.rmtree(self._users_place, ignore_errors=True)
        if self._lifecycle.is_terminating():
            self._complete_hook(HOOK_TERMINATING, "CONTINUE")
        self._servers[0].stop()
        LOG.info("gone")

    def _fail(self, why: str) -> None:
        """Say it on console and in health, give the machine back, and wait to be ended."""
        self._phase = Phase("failed", detail=why)
        LOG.error("node cannot start", why=why)
        if self._stopping.is_set():
            return
        self._complete_hook(HOOK_LAUNCHING, "ABANDON")
        while not self._stopping.wait(LOOK_EVERY_S):
            if self._lifecycle.is_terminating():
                return

    def _complete_hook(self, hook: str, result: str) -> None:
        if self._user_data is not None:
            self._lifecycle.complete(hook, result, self._user_data, self.instance)

    def _region(self) -> str:
        """Of the environment, else of the zone that the machine is in."""
        return self._settings.region or self._metadata.zone()[:-1]

    def _enter(self, phase: str) -> None:
        self._phase = Phase(phase)
        LOG.info(phase)

    def _health(self) -> dict[str, object]:
        detail = self._phase.detail or (self._serving.detail if self._serving else "")
        users = self._users
        return {
            "ready": self._phase.ready,
            "phase": self._phase.name,
            "detail": detail,
            "node": self.instance,
            "fleet": self._user_data.fleet if self._user_data else "",
            "revision": self._user_data.revision if self._user_data else 0,
            "control_plane": bool(self._watcher and self._watcher.connected),
            "runtime": users.runtime_version if users else runtime_version,
            "users_starts": users.starts if users else 0,
            "users_crash_loop": bool(users and (users.is_looping or users.is_crash_looping)),
        }

    def _answer_get(self, path: str) -> tuple[int, str, bytes] | None:
        if path == "/health":
            body = self._health()
            return (200 if body["ready"] else 503), JSON, orjson.dumps(body)
        if path == "/metrics" and self._measures is not None:
            labels = self._measures.labels()
            users = users_lines(self._users, labels) if self._users else []
            lines = [*self._measures.lines(), *self._process_metrics.lines(labels), *users]
            return 200, PROMETHEUS_TEXT, ("\n".join(lines) + "\n").encode()
        return None

    def _answer_post(self, path: str, body: bytes, content_type: str) -> Answer | None:
        return self._serving.submit(path, body, content_type) if self._serving else None
