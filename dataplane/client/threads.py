"""The client for threads: `GroupClient(...).transform(function, events, timeout_s)` gives a result for each event."""

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
from headrace_runtime.v1 import transform_pb2 as pb

from dataplane.client.connections import Connections
from dataplane.client.core.balancer import Balancer
from dataplane.client.core.batches import BYTES_MAX, EVENTS_MAX, parts
from dataplane.client.core.budget import RetryBudget
from dataplane.client.core.calls import Attempt, Call, GivenUp, Wait
from dataplane.client.core.members import Table
from dataplane.client.core.tally import Tally
from dataplane.client.routes import RoutesWatch
from dataplane.client.settings import ClientSettings
from dataplane.client.statuses import CLOSED, NO_PATIENCE, CallError, checked_results, refusal_of, results_of_failure

if TYPE_CHECKING:
    from dataplane.client.metrics import ClientMetrics  # who wants none loads no Prometheus

PARTS_AT_ONCE_MAX = 8


class GroupClient:
    """Calls one transform group; may be used by many threads."""

    def __init__(self, settings: ClientSettings, metrics: "ClientMetrics | None" = None) -> None:
        """Begins to watch routes; what the last copy says can be called at once. Counted for Prometheus by `metrics`."""
        self._settings = settings
        self._lock = threading.Lock()
        self._balancer = Balancer(settings.zone)
        self._budget = RetryBudget()
        self._chance = random.Random().randrange  # noqa: S311  lots
        self._connections = Connections(grpc.secure_channel, settings.tls_dir)
        self._parts = ThreadPoolExecutor(PARTS_AT_ONCE_MAX, thread_name_prefix=f"parts-{settings.group}")
        self._closed = threading.Event()
        self._watch = RoutesWatch(settings, self._take)
        self._watch.start()
        if metrics is not None:
            metrics.watch(settings.group, self._look)

    @property
    def connected(self) -> bool:
        """Whether routes are being watched just now; calls do not need it."""
        return self._watch.connected

    @property
    def generation(self) -> int:
        """Of the routes in use; 0: none has been heard of."""
        return self._balancer.generation

    def transform(self, function: str, events: Sequence[bytes], timeout_s: float) -> list[Any]:
        """A `TransformResult` for each event, in order, by the deadline; a part that got no answer fails its events."""
        deadline = time.monotonic() + timeout_s
        cut = list(parts([len(e) for e in events], EVENTS_MAX, BYTES_MAX))

        def one(part: slice) -> list[Any]:
            return self._part(function, events[part], deadline)

        found = map(one, cut) if len(cut) == 1 else self._parts.map(one, cut)
        return [result for results in found for result in results]

    def call(self, request: Any, timeout_s: float) -> Any:
        """One `TransformBatchRequest` as it is; CallError when no server answered it in time."""
        return self._call(request, time.monotonic() + timeout_s)

    def close(self) -> None:
        """Calls in flight end with CANCELLED."""
        self._closed.set()
        self._watch.stop()
        self._parts.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for channel in self._connections.all():
                channel.close()

    def _part(self, function: str, events: Sequence[bytes], deadline: float) -> list[Any]:
        request = pb.TransformBatchRequest(function=function, events=events)
        try:
            return checked_results(self._settings.group, self._call(request, deadline), len(events))
        except CallError as e:
            return results_of_failure(e, len(events))

    def _call(self, request: Any, deadline: float) -> Any:
        with self._lock:
            call = Call(self._balancer, self._budget, deadline)
        while True:
            with self._lock:
                step = call.next(time.monotonic(), self._chance)
            match step:
                case Wait():
                    if self._closed.wait(step.seconds):
                        raise CallError(self._settings.group, CLOSED)
                case GivenUp():
                    raise CallError(self._settings.group, step)
                case Attempt():
                    answer = self._attempt(call, step, request)
                    if answer is not None:
                        return answer

    def _attempt(self, call: Call, attempt: Attempt, request: Any) -> Any:
        """The answer; None when it was refused."""
        try:
            with self._lock:
                due = self._connections.due()
                method = self._connections.transform_batch(attempt.endpoint.address)
            for channel in due:
                channel.close()
            if attempt.patience_s < attempt.timeout_s:
                running = method.future(request, timeout=attempt.timeout_s)
                try:
                    answer = running.result(attempt.patience_s)
                finally:
                    running.cancel()  # of no effect on one that has ended
            else:
                answer = method(request, timeout=attempt.timeout_s)
        except (grpc.RpcError, grpc.FutureTimeoutError) as e:
            refusal = NO_PATIENCE if isinstance(e, grpc.FutureTimeoutError) else refusal_of(e)
            with self._lock:
                call.refused(attempt, refusal, time.monotonic())
            return None
        except BaseException:
            with self._lock:
                call.abandoned(attempt)
            raise
        with self._lock:
            call.answered(attempt, time.monotonic())
        return answer

    def _look(self) -> tuple[Tally, int]:
        with self._lock:
            return self._balancer.tally.copy(), self._balancer.outstanding

    def _take(self, table: Table) -> None:
        with self._lock:
            self._balancer.update(table)
            self._connections.keep({m.endpoint.address for m in self._balancer.members})
