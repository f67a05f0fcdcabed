"""A transform group as servers use it: a result for each event, or why there is none."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from headrace_runtime.v1 import transform_pb2 as pb

from dataplane.client.statuses import CALL_REASON
from dataplane.stages.measures import Measures
from shared.contracts.serving import GroupCall


class TransformGroup(Protocol):
    """`dataplane.client.threads.GroupClient`."""

    def transform(self, function: str, events: Sequence[bytes], timeout_s: float) -> list[Any]:
        """A `TransformResult` for each event, in order."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Refused(NamedTuple):
    """An event that has no result; `recoverable`: sending it again can help."""

    recoverable: bool
    reason: str
    message: str


Transformed = tuple[bytes, ...] | Refused


class Transforms:
    """Calls one function of one group, and measures it."""

    def __init__(self, spec: GroupCall, group: TransformGroup, measures: Measures) -> None:
        """The group is closed with this."""
        self._spec = spec
        self._group = group
        self._measures = measures

    def run(self, events: Sequence[bytes]) -> list[Transformed]:
        """For each event, in order: outputs (none: dropped by design) or Refused.

        An event that brings its worker down takes others of its batch with it: these are tried once more, without it.
        """
        if not events:
            return []
        deadline = time.monotonic() + self._spec.timeout_s
        results = self._call(events, deadline)
        again = [n for n, r in enumerate(results) if isinstance(r, Refused) and r.recoverable and not _is_of_call(r)]
        if again and len(again) < len(events):
            self._measures.retried(len(again))
            for place, result in zip(again, self._call([events[n] for n in again], deadline), strict=True):
                results[place] = result
        return results

    def _call(self, events: Sequence[bytes], deadline: float) -> list[Transformed]:
        began = time.monotonic()
        results = [_read(r) for r in self._group.transform(self._spec.function, events, deadline - began)]
        errors = sum(isinstance(r, Refused) for r in results)
        self._measures.transformed((time.monotonic() - began) / len(events), len(events), errors)
        return results

    def close(self) -> None:
        """Close the group."""
        self._group.close()


def _is_of_call(refused: Refused) -> bool:
    """The call as a whole got no answer: the balancer has tried what could be tried."""
    return refused.reason.startswith(CALL_REASON)


def _read(result: Any) -> Transformed:
    if result.HasField("error"):
        recoverable = result.error.error_class == pb.TransformError.ERROR_CLASS_RECOVERABLE
        return Refused(recoverable, result.error.reason, result.error.message)
    return tuple(result.outputs)
