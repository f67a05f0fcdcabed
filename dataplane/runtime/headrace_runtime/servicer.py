"""The calls of the transform service."""

import time
from typing import Any, NoReturn

import grpc
from headrace_runtime import __version__
from headrace_runtime.applying import Result
from headrace_runtime.failures import Failure
from headrace_runtime.gate import Gate
from headrace_runtime.margins import kept_back_s
from headrace_runtime.measuring import BOUNDS
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc
from headrace_runtime.workers import NoWorkerError, WorkerPool

EVENTS_MAX = 10_000
EVENT_BYTES_MAX = 8 * 1024 * 1024
ANSWER_BYTES_MAX = 60 * 1024 * 1024  # of a call; below the message's limit
CALL_S_MAX = 60.0  # for a caller that gives no deadline
ANSWER_S_MIN = 0.2  # of the caller's deadline, kept to send the answer
PUSH_BACK = "grpc-retry-pushback-ms"  # what gRPC's own retries obey
SERVICE = pb.DESCRIPTOR.services_by_name["TransformService"].full_name


class TransformServicer(pb_grpc.TransformServiceServicer):
    """Answers a result for each event."""

    def __init__(self, pool: WorkerPool, gate: Gate) -> None:
        """The pool may still be loading."""
        self._pool = pool
        self._gate = gate

    def TransformBatch(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Run a function over events; fails as a call only when no worker is free or there is no such function."""
        remaining = context.time_remaining()
        allowed_s = CALL_S_MAX if remaining is None else min(remaining, CALL_S_MAX)
        deadline = time.monotonic() + max(0.0, allowed_s - kept_back_s(allowed_s, ANSWER_S_MIN))
        function = self._function(request, context)
        if not self._gate.enter():
            self._turn_away(context, f"{self._gate.limit} calls are here already: come back later")
        took_s = 0.0
        try:
            with self._pool.taken(deadline - time.monotonic()) as worker:
                if not context.is_active():  # the caller has gone while it waited: nobody wants this
                    return pb.TransformBatchResponse()
                began = time.monotonic()
                results = _called(worker.call, function, list(request.events), deadline)
                took_s = time.monotonic() - began
        except NoWorkerError as e:
            self._turn_away(context, str(e))
        finally:
            self._gate.leave(took_s)
        return pb.TransformBatchResponse(results=_to_wire(results))

    def GetHealth(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Always answers, also while functions run."""
        self._pool.look()
        return pb.GetHealthResponse(
            ready=self._pool.ready,
            detail=self._pool.detail,
            functions=sorted(self._pool.functions),
            runtime_version=__version__,
            restarts=self._pool.restarts,
            busy_ratio=self._pool.busy_ratio(),
            crash_looping=self._pool.is_looping,
            workers=self._pool.count,
            workers_up=self._pool.up,
            calls=self._gate.inside,
            calls_taken=self._gate.taken,
            calls_turned_away=self._gate.turned_away,
        )

    def GetMeasures(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """What users' code has measured since this server started."""
        kinds = {"counter": pb.Measure.KIND_COUNTER, "value": pb.Measure.KIND_VALUE, "score": pb.Measure.KIND_SCORE}
        return pb.GetMeasuresResponse(
            measures=[
                pb.Measure(
                    kind=kinds[kind],
                    name=name,
                    sum=series.sum,
                    counts=series.counts if kind in BOUNDS else [],
                    bounds=BOUNDS.get(kind, ()),
                )
                for kind, name, series in self._pool.measured.shown()
            ]
        )

    def _turn_away(self, context: grpc.ServicerContext, text: str) -> NoReturn:
        context.set_trailing_metadata(((PUSH_BACK, str(max(1, round(1000 * self._gate.turn_away())))),))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        raise AssertionError  # abort does not return

    def _function(self, request: Any, context: grpc.ServicerContext) -> str:
        if not self._pool.ready:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"not ready: {self._pool.detail}")
        if len(request.events) > EVENTS_MAX:
            text = f"events: {len(request.events)}, at most {EVENTS_MAX} in a call"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        known = self._pool.functions
        if not request.function and len(known) == 1:
            return next(iter(known))
        if request.function not in known:
            context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"there is no transform {request.function!r}; declared are: {', '.join(sorted(known))}",
            )
        return str(request.function)


def _called(call: Any, function: str, events: list[bytes], deadline: float) -> list[Result]:
    """The results; an event that is too large fails without being seen by users' code."""
    large = {i for i, event in enumerate(events) if len(event) > EVENT_BYTES_MAX}
    if not large:
        return list(call(function, events, deadline))
    found = iter(call(function, [event for i, event in enumerate(events) if i not in large], deadline))
    return [
        Failure(False, "TooLarge", f"an event of {len(event)} bytes, at most {EVENT_BYTES_MAX}")
        if i in large
        else next(found)
        for i, event in enumerate(events)
    ]


def _to_wire(results: list[Result]) -> list[Any]:
    size, wire = 0, []
    for result in results:
        if not isinstance(result, Failure):
            size += sum(map(len, result))
            if size <= ANSWER_BYTES_MAX:
                wire.append(pb.TransformResult(outputs=result))
                continue
            text = f"the answer is larger than {ANSWER_BYTES_MAX} bytes: send fewer events in a call"
            result = Failure(True, "AnswerTooLarge", text)  # noqa: PLW2901  it has become a failure
        kinds = pb.TransformError
        kind = kinds.ERROR_CLASS_RECOVERABLE if result.recoverable else kinds.ERROR_CLASS_NON_RECOVERABLE
        error = pb.TransformError(error_class=kind, reason=result.reason, message=result.message)
        wire.append(pb.TransformResult(error=error))
    return wire
