"""What of its orders a node carries out just now: an ingest edge, a stage's loop, or nothing yet.

Reconciled from the whole of the orders each time they change: what should run is compared with what runs.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from dataplane.agent.node_state import Orders
from dataplane.client.threads import GroupClient
from dataplane.stages.audits import AuditBook
from dataplane.stages.calling_groups import TransformingByGroup
from dataplane.stages.calls_at_once import SeveralAtOnce
from dataplane.stages.events import Work
from dataplane.stages.global_retries import GlobalRetrier
from dataplane.stages.ingest import Answer, Ingest
from dataplane.stages.measures import Measures
from dataplane.stages.normalizing import Normalizing
from dataplane.stages.routing import Routing
from dataplane.stages.stage_loop import StageLoop, StagePlan
from dataplane.stages.transforming import Transforming
from dataplane.stages.transmitting import Transmitting, topics_of
from shared.contracts.objects import Enrich, HttpIngest, Normalize, Pipeline, Route, Stage, Transform, Transmit
from shared.domain.errors import Defect

EVENTS_PATH = "/v1/events"
if TYPE_CHECKING:
    from dataplane.agent.group_servers import CallGroup, GroupServer
    from dataplane.stages.tables import ReadS3

LOG = structlog.get_logger()


class AuditSink(Protocol):
    """Who reports audits."""

    def watch(self, book: AuditBook, pipeline: str, stage: str, held_back: "HeldBack") -> None:
        """From now on this book."""
        ...


class HeldBack(Protocol):
    """Whether silence of a partition means nothing just now."""

    def __call__(self) -> bool:
        """Asked at each report."""
        ...


@dataclass(slots=True)
class _Running:
    """What runs, and of which orders."""

    of: str
    ingest: Ingest | None = None
    loop: StageLoop | None = None
    server: "GroupServer | None" = None
    retrier: GlobalRetrier | None = None

    def stop(self) -> None:
        if self.retrier:
            self.retrier.stop()
        if self.loop:
            self.loop.stop()
        if self.ingest:
            self.ingest.stop()
        if self.server:
            self.server.stop()


class Serving:
    """Of one node; `reconcile` may be called by any thread."""

    def __init__(self, node: str, measures: Measures, reporter: AuditSink, read_s3: "ReadS3", audits: Path) -> None:
        """Nothing runs; `audits` is the folder where audit books are kept."""
        self._folder = audits
        self._books: dict[tuple[str, str], AuditBook] = {}
        self._node = node
        self._read_s3 = read_s3
        self._measures = measures
        self._reporter = reporter
        self._lock = threading.Lock()
        self._orders: Orders | None = None
        self._socket: Path | None = None
        self._call_group: CallGroup | None = None
        self._running: _Running | None = None
        self._closed = False

    def use_socket(self, socket: Path) -> None:
        """Where users' code answers, once it does."""
        self._socket = socket

    def use_groups(self, call_group: "CallGroup") -> None:
        """How transform groups are called."""
        self._call_group = call_group

    def reconcile(self, orders: Orders) -> None:
        """Make what runs fit the orders; blocks while something is stopped."""
        with self._lock:
            if self._closed:
                return
            self._orders = orders
            wanted = self._wanted(orders)
            if self._running and self._running.of == wanted:
                return
            if self._running:
                LOG.info("stopping stage", node=self._node)
                self._running.stop()
                self._running = None
            if wanted:
                self._running = self._start(orders, wanted)

    def submit(self, path: str, body: bytes, content_type: str) -> Answer | None:
        """A request at the edge of an ingest or feature group; None: nothing of this node is at the path."""
        running, orders = self._running, self._orders
        declared = orders.assignment.group.serving if orders else None
        if path != (_path_of(declared.type) if declared else EVENTS_PATH):
            return None
        if running is not None and not self._closed:
            if running.server is not None:
                return running.server.answer(body, content_type)
            if running.ingest is not None:
                return running.ingest.submit(body, content_type)
        text = b'{"error":{"field":"","value":"","remedy":"this node takes nothing now: try another"}}'
        return Answer(503, text, 1.0)

    def stop(self) -> None:
        """Finish what is in hand, and take nothing more."""
        self._closed = True
        with self._lock:
            if self._running:
                self._running.stop()
            self._running = None
            for book in self._books.values():
                book.leave()

    @property
    def detail(self) -> str:
        """For people."""
        running, orders = self._running, self._orders
        if running and running.loop:
            return running.loop.detail
        if running:
            return "serving" if running.server else "taking events"
        if orders and orders.assignment.stage is None:
            return "waiting for a pipeline"
        return "its fleet takes no traffic" if orders else "no orders yet"

    def _wanted(self, orders: Orders) -> str:
        """What identifies a run: it is started anew when one of these changes; empty: nothing should run."""
        a = orders.assignment
        if a.group.serving:
            return f"{a.group.serving.model_dump_json()}|{a.kafka.model_dump_json() if a.kafka else ''}"
        if a.stage is None or a.kafka is None or a.pipeline is None:
            return ""
        if not isinstance(a.stage.work, HttpIngest) and orders.weight() <= 0:
            return ""
        parts = (a.pipeline.name, a.stage.model_dump_json(), a.topic_in, *a.topics_out, a.topic_dead, a.consumer_group)
        return "|".join((*parts, a.kafka.bootstrap, a.kafka.username, a.kafka.password))

    def _start(self, orders: Orders, wanted: str) -> _Running:
        a = orders.assignment
        if a.group.serving:
            from dataplane.agent.group_servers import make_server  # its store's client is 11 MB

            LOG.info("starting to serve", node=self._node, serving=a.group.serving.type)
            return _Running(wanted, server=make_server(a, self._node, self._group, self._measures))
        if a.stage is None or a.kafka is None or a.pipeline is None:
            raise Defect("serving: started without a stage")
        self._measures.relabel({"pipeline": a.pipeline.name, "stage": a.stage.name})
        book = self._book(a.pipeline.name, a.stage.name)
        LOG.info("starting stage", node=self._node, pipeline=a.pipeline.name, stage=a.stage.name)
        if isinstance(a.stage.work, HttpIngest):
            ingest = Ingest(a.stage.work, a.kafka, self._node, a.topics_out, self._ramp_percent, self._measures, book)
            ingest.start()
            if not a.rehearsal:
                self._reporter.watch(book, a.pipeline.name, a.stage.name, lambda: False)
            return _Running(wanted, ingest=ingest)
        plan = StagePlan(
            name=a.stage.name,
            access=a.kafka,
            client=self._node,
            topic_in=a.topic_in,
            topics_out=(*a.topics_out, *(topics_of(a.stage.work) if isinstance(a.stage.work, Transmit) else ())),
            topic_dead=a.topic_dead,
            consumer_group=a.consumer_group,
            retry=a.stage.retry,
            topics_retry=a.topics_retry,
            ordered=a.stage.ordered,
        )
        loop = StageLoop(plan, self._work(a.pipeline, a.stage, a.topics_out), self._measures, book)
        loop.start()
        if not a.rehearsal:
            self._reporter.watch(book, a.pipeline.name, a.stage.name, loop.held_back)
        retrier = GlobalRetrier(plan) if plan.topics_retry else None
        if retrier:
            retrier.start()
        return _Running(wanted, loop=loop, retrier=retrier)

    def _book(self, pipeline: str, stage: str) -> AuditBook:
        """One for the node's life: the Observer keeps the larger of two cumulative reports of a minute."""
        key = (pipeline, stage)
        if key not in self._books:
            self._books[key] = AuditBook(self._folder / pipeline / stage)
        return self._books[key]

    def _work(self, pipeline: Pipeline, stage: Stage, topics_out: tuple[str, ...]) -> Work:
        match stage.work:
            case Enrich():
                from dataplane.stages.enriching import Enriching  # it knows Valkey's client: only these nodes load it

                return Enriching(stage.work, self._read_s3)
            case Route():
                targets = [e.target for e in pipeline.edges if e.source == stage.name]
                return Routing(stage.work, dict(zip(targets, topics_out, strict=True)))
            case Normalize():
                return Normalizing(stage.work)
            case Transform():
                work = self._transforming(stage.name, stage.work)
                return work if stage.ordered else SeveralAtOnce(work)  # users' code, too, sees a key's events in order
            case Transmit():
                return Transmitting(stage.work)
            case HttpIngest():
                raise Defect(f"stage {stage.name}: ingest has no loop")

    def _transforming(self, stage: str, work: Transform) -> Work:
        if work.group:
            return TransformingByGroup(work, self._group(work.group), self._measures)
        if self._socket is None:
            raise Defect(f"stage {stage}: its node has no users' code")
        return Transforming(work, self._socket, self._measures)

    def _group(self, name: str) -> GroupClient:
        if self._call_group is None:
            raise Defect(f"group {name}: nobody has said how to call groups")
        return self._call_group(name)

    def _ramp_percent(self) -> int:
        return self._orders.routes.ramp_percent if self._orders else 0


def _path_of(serving: str) -> str:
    from dataplane.agent.group_servers import PATHS  # only nodes that serve need what is behind it

    return PATHS[serving]
