"""What gRPC says when an attempt fails, as the core reads it; and what a given-up call is for each of its events."""

from typing import Any

from headrace_runtime.v1 import transform_pb2 as pb

from dataplane.client.core.calls import RETRIED, GivenUp, Refusal

PUSH_BACK_KEY = "grpc-retry-pushback-ms"  # gRPC proposal A6; negative: do not try again
TEXT_LENGTH_MAX = 500
NO_PATIENCE = Refusal("DEADLINE_EXCEEDED", "no answer in the time that leaves room for another attempt")
CALL_REASON = "Call"  # begins the reason of an event whose call as a whole got no answer
CLOSED = GivenUp(Refusal("CANCELLED", "the client was closed"), 0)


class CallError(Exception):
    """A call to a group that got no answer.

    `code` is gRPC's name, `attempts` how many servers were asked, `retry_after_s` when to come back if the group said so.
    """

    def __init__(self, group: str, given_up: GivenUp) -> None:
        refusal = given_up.refusal
        super().__init__(
            f"transform group {group}: {refusal.code} after {given_up.attempts} attempts: {refusal.text[:TEXT_LENGTH_MAX]}"
        )
        self.code = refusal.code
        self.attempts = given_up.attempts
        self.retry_after_s = given_up.retry_after_s
        self.recoverable = refusal.code in RETRIED


def refusal_of(error: Any) -> Refusal:
    """Of a `grpc.RpcError`, of threads or asyncio."""
    return Refusal(error.code().name, error.details() or "", _push_back_s(error.trailing_metadata() or ()))


def results_of_failure(error: CallError, count: int) -> list[Any]:
    """A failed result for each event of a call: recoverable when another try could end well."""
    kinds = pb.TransformError
    kind = kinds.ERROR_CLASS_RECOVERABLE if error.recoverable else kinds.ERROR_CLASS_NON_RECOVERABLE
    reason = f"{CALL_REASON}{error.code.title().replace('_', '')}"
    failure = pb.TransformError(error_class=kind, reason=reason, message=str(error))
    return [pb.TransformResult(error=failure)] * count


def checked_results(group: str, answer: Any, count: int) -> list[Any]:
    """The results of a call over `count` events; CallError when the server answered another number."""
    results = list(answer.results)
    if len(results) != count:
        raise CallError(group, GivenUp(Refusal("DATA_LOSS", f"{len(results)} results for {count} events"), 1))
    return results


def _push_back_s(metadata: Any) -> float | None:
    """Seconds; None when it says nothing, or nothing that can be read.

    >>> _push_back_s((("a", "b"), ("grpc-retry-pushback-ms", "1500")))
    1.5
    """
    for key, value in metadata:
        if key == PUSH_BACK_KEY:
            try:
                return int(value) / 1000.0
            except ValueError:
                return -1.0  # as A6 asks: what cannot be read means no retry
    return None
