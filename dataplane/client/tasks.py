"""The client for asyncio: `async with AsyncGroupClient(...) as client: await client.transform(...)`."""

import asyncio
import random
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import grpc
from headrace_runtime.v1 import transform_pb2 as pb

from dataplane.client.connections import Connections
from dataplane.client.core.balancer import Balancer
from dataplane.client.core.batches import BYTES_MAX, EVENTS_MAX, parts
from dataplane.client.core.budget import RetryBudget
from dataplane.client.core.calls import Attempt, Call, GivenUp, Wait
from dataplane.client.core.members import Table
from dataplane.client.routes import RoutesWatch
from dataplane.client.settings import ClientSettings
from dataplane.client.statuses import CLOSED, NO_PATIENCE, CallError, checked_results, refusal_of, results_of_failure

if TYPE_CHECKING:
    from dataplane.client.metrics import ClientMetrics  # who wants none loads no Prometheus

PARTS_AT_ONCE_MAX = 8
CLOSE_S_MAX = 1.0


class AsyncGroupClient:
    """Calls one transform group; used by the tasks of one event loop."""

    def __init__(self, settings: ClientSettings, metrics: "ClientMetrics | None" = None) -> None:
        """Enter it to begin. Counted for Prometheus by `metrics`."""
        self._settings = settings
        self._balancer = Balancer(settings.zone)
        self._budget = RetryBudget()
        self._chance = random.Random().randrange  # noqa: S311  lots
        self._connections = Connections(grpc.aio.secure_channel, settings.tls_dir)
        self._watch: RoutesWatch | None = None
        self._closed = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        if metrics is not None:  # which is read by another thread: of plain numbers, each as it is at that moment
            metrics.watch(settings.group, lambda: (self._balancer.tally.copy(), self._balancer.outstanding))

    async def __aenter__(self) -> Self:
        """Begin to watch routes; what the last copy says can be called at once."""
        loop = asyncio.get_running_loop()

        def told(table: Table) -> None:
            loop.call_soon_threadsafe(self._take, table)

        self._watch = RoutesWatch(self._settings, told)
        await asyncio.to_thread(self._watch.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Calls in flight end with CANCELLED."""
        self._closed.set()
        if self._watch:
            await asyncio.to_thread(self._watch.stop)
        await asyncio.gather(*self._closing)
        for channel in self._connections.all():
            await channel.close(CLOSE_S_MAX)

    @property
    def connected(self) -> bool:
        """Whether routes are being watched just now; calls do not need it."""
        return self._watch is not None and self._watch.connected

    @property
    def generation(self) -> int:
        """Of the routes in use; 0: none has been heard of."""
        return self._balancer.generation

    async def transform(self, function: str, events: Sequence[bytes], timeout_s: float) -> list[Any]:
        """A `TransformResult` for each event, in order, by the deadline; a part that got no answer fails its events."""
        deadline = time.monotonic() + timeout_s
        slots = asyncio.Semaphore(PARTS_AT_ONCE_MAX)

        async def one(part: slice) -> list[Any]:
            async with slots:
                return await self._part(function, events[part], deadline)

        found = await asyncio.gather(*(one(p) for p in parts([len(e) for e in events], EVENTS_MAX, BYTES_MAX)))
        return [result for results in found for result in results]

    async def call(self, request: Any, timeout_s: float) -> Any:
        """One `TransformBatchRequest` as it is; CallError when no server answered it in time."""
        return await self._call(request, time.monotonic() + timeout_s)

    async def _part(self, function: str, events: Sequence[bytes], deadline: float) -> list[Any]:
        request = pb.TransformBatchRequest(function=function, events=events)
        try:
            return checked_results(self._settings.group, await self._call(request, deadline), len(events))
        except CallError as e:
            return results_of_failure(e, len(events))

    async def _call(self, request: Any, deadline: float) -> Any:
        call = Call(self._balancer, self._budget, deadline)
        while True:
            step = call.next(time.monotonic(), self._chance)
            match step:
                case Wait():
                    await asyncio.sleep(step.seconds)
                    if self._closed.is_set():
                        raise CallError(self._settings.group, CLOSED)
                case GivenUp():
                    raise CallError(self._settings.group, step)
                case Attempt():
                    answer = await self._attempt(call, step, request)
                    if answer is not None:
                        return answer

    async def _attempt(self, call: Call, attempt: Attempt, request: Any) -> Any:
        """The answer; None when it was refused."""
        patience = asyncio.timeout(attempt.patience_s)
        try:
            for channel in self._connections.due():
                task = asyncio.create_task(channel.close(CLOSE_S_MAX))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
            method = self._connections.transform_batch(attempt.endpoint.address)
            async with patience:
                answer = await method(request, timeout=attempt.timeout_s)
        except grpc.aio.AioRpcError as e:
            call.refused(attempt, refusal_of(e), time.monotonic())
            return None
        except TimeoutError:
            if not patience.expired():
                raise
            call.refused(attempt, NO_PATIENCE, time.monotonic())
            return None
        except BaseException:
            call.abandoned(attempt)
            raise
        call.answered(attempt, time.monotonic())
        return answer

    def _take(self, table: Table) -> None:
        self._balancer.update(table)
        self._connections.keep({m.endpoint.address for m in self._balancer.members})
