"""The node's side of the control plane: joining, watching its orders, reporting audits. It may be away at any time."""

import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import grpc
import structlog
from headraceapi.observer.v1 import observer_pb2, observer_pb2_grpc
from headraceapi.provisioner.v1 import provisioner_pb2, provisioner_pb2_grpc

from dataplane.agent.node_state import NodeState, Orders
from dataplane.stages.audits import AuditBook, MinuteReport
from shared.contracts.node import Assignment, Control, Routes
from shared.grpc.errors import from_wire

JOIN_DEADLINE_S = 10.0
REPORT_DEADLINE_S = 5.0
REPORT_EVERY_S = 2.0
REPORTS_AT_ONCE_MAX = 500
BACKOFF_FIRST_S, BACKOFF_S_MAX = 0.2, 5.0
SERVER_NAME = "localhost"  # every certificate of the stack carries it beside its identity
CHANNEL_OPTIONS = (
    ("grpc.ssl_target_name_override", SERVER_NAME),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
)
LOG = structlog.get_logger()


def join(control: Control, token: str, instance: str, group: str, fleet: str, csr_pem: str) -> tuple[str, Orders]:  # noqa: PLR0913  what a machine shows
    """Trade the join token for a certificate (PEM) and the first orders; HeadraceError as the Provisioner raised it."""
    credentials = grpc.ssl_channel_credentials(root_certificates=control.ca_pem.encode())
    options = (("grpc.ssl_target_name_override", _tls_name(control.server_name)),)
    with grpc.secure_channel(control.join, credentials, options=options) as channel:
        request = provisioner_pb2.JoinRequest(
            token=token, instance_id=instance, group=group, fleet=fleet, csr_pem=csr_pem
        )
        try:
            answer = provisioner_pb2_grpc.JoinServiceStub(channel).Join(request, timeout=JOIN_DEADLINE_S)
        except grpc.RpcError as e:
            raise from_wire(e, "Join") from None
    orders = Orders(
        Assignment.model_validate_json(answer.assignment_json), Routes.model_validate_json(answer.routes_json)
    )
    return answer.certificate_pem, orders


def _tls_name(server_name: str) -> str:
    """The Provisioner's certificate carries `localhost`; a stack of its own names may say another."""
    return server_name if "." in server_name or server_name == SERVER_NAME else SERVER_NAME


class RoutesWatcher:
    """A thread that keeps the stream of orders open; `told` is called with each change, from that thread."""

    def __init__(self, control: Control, state: NodeState, told: Callable[[Orders], None]) -> None:
        """Starts from the last copy on disk."""
        self._control = control
        self._state = state
        self._told = told
        self._stopping = threading.Event()
        self._channel: grpc.Channel | None = None
        self._thread = threading.Thread(target=self._run, name="routes", daemon=True)
        self.connected = False

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the stream."""
        self._stopping.set()
        if self._channel:
            self._channel.close()
        self._thread.join(BACKOFF_S_MAX)

    def _run(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        while not self._stopping.is_set():
            try:
                for orders in self._stream():
                    backoff_s = BACKOFF_FIRST_S
                    self._state.keep_orders(orders)
                    self._told(orders)
            except grpc.RpcError as e:
                LOG.info("control plane is away", why=e.code().name, next_try_s=round(backoff_s, 1))
            except Exception:  # whatever it is: the node works on, and hears its orders again
                LOG.exception("orders not carried out")
            self.connected = False
            self._stopping.wait(backoff_s * random.uniform(0.8, 1.2))  # noqa: S311  jitter
            backoff_s = min(BACKOFF_S_MAX, backoff_s * 2)

    def _stream(self) -> Iterable[Orders]:
        known = self._state.orders()
        with open_channel(self._control.routes, self._state) as channel:
            self._channel = channel
            stub = provisioner_pb2_grpc.ProvisionerServiceStub(channel)
            # Generation 0: the current one comes at once, also when only the assignment has changed meanwhile.
            group = known.assignment.group.name if known else ""
            for change in stub.WatchRoutes(provisioner_pb2.WatchRoutesRequest(group=group, generation=0)):
                self.connected = True
                before = self._state.orders()
                routes = Routes.model_validate_json(change.routes_json)
                if before and routes.generation < before.routes.generation:
                    continue
                if change.assignment_json:
                    yield Orders(Assignment.model_validate_json(change.assignment_json), routes)
                elif before:
                    yield Orders(before.assignment, routes)


def open_channel(address: str, state: NodeState) -> grpc.Channel:
    """Mutual TLS with the node's certificate as it is now."""
    ca, cert, key = (state.folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key.read_bytes(), cert.read_bytes())
    return grpc.secure_channel(address, credentials, options=CHANNEL_OPTIONS)


class AuditReporter:
    """A thread that sends what changed in the audit book; what is not taken is sent again, for as long as it is kept."""

    def __init__(self, address: str, state: NodeState, node: str, run: str) -> None:
        """`run` tells this process from an earlier one of the same node."""
        self._address = address
        self._state = state
        self._node = node
        self._run_name = run
        self._source: tuple[AuditBook, str, str, Callable[[], bool]] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audits", daemon=True)

    def watch(self, book: AuditBook, pipeline: str, stage: str, held_back: Callable[[], bool]) -> None:
        """Report this book from now on; what an earlier one still has is sent first."""
        self.report()
        self._source = (book, pipeline, stage, held_back)

    def start(self) -> None:
        """Begin to report."""
        self._thread.start()

    def stop(self) -> None:
        """Send what is left."""
        self._stopping.set()
        self._thread.join(REPORT_DEADLINE_S)
        self.report()

    def report(self) -> int:
        """Send once; how many reports the Observer took."""
        if self._source is None:
            return 0
        book, pipeline, stage, held_back = self._source
        reports = book.changed(time.time(), held_back=held_back()) or book.heartbeat(time.time(), held_back=held_back())
        reports = sorted(reports, key=lambda r: r.minute)[:REPORTS_AT_ONCE_MAX]
        if not reports:
            return 0
        try:
            with open_channel(self._address, self._state) as channel:
                stub = observer_pb2_grpc.ObserverServiceStub(channel)
                requests = [self._request(r, pipeline, stage) for r in reports]
                answer = stub.ReportAudit(iter(requests), timeout=REPORT_DEADLINE_S)
        except grpc.RpcError as e:
            LOG.info("audits not taken", why=e.code().name, kept=len(reports))
            return 0
        book.taken(reports)
        return int(answer.accepted)

    def _run(self) -> None:
        while not self._stopping.wait(REPORT_EVERY_S):
            try:
                self.report()
            except Exception as e:
                LOG.warning("audits not sent", exc_info=e)

    def _request(self, report: MinuteReport, pipeline: str, stage: str) -> Any:
        place = f"{self._node}/{self._run_name}/{stage}/{report.point}/{report.minute}"
        return observer_pb2.ReportAuditRequest(
            report_id=f"{place}/{report.sequence}",
            node=self._node,
            pipeline=pipeline,
            stage=stage,
            point=report.point,
            minute=report.minute,
            sketch=report.sketch,
            count=report.count,
            dropped=report.dropped,
            watermark=report.watermark,
        )
