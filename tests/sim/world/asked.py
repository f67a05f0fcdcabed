"""Questions to the Observer that come by an activity instead of an RPC, shown to invariants as if they were one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message
from temporalio.activity import _Definition

from shared.contracts.activities import Nothing
from shared.contracts.admission import BeginAnswer, HeartbeatAnswer
from shared.wire.admission import (
    answer_to_wire,
    begin_to_wire,
    end_to_wire,
    heartbeat_answer_to_wire,
    heartbeat_to_wire,
)
from tests.sim.kernel.loop import PROCESS
from tests.sim.kernel.rpc import CALL, Answered, Call

REQUESTS: dict[str, tuple[str, Callable[[Any], Message]]] = {
    "observer.begin": ("Begin", begin_to_wire),
    "observer.heartbeat": ("Heartbeat", heartbeat_to_wire),
    "observer.end": ("End", end_to_wire),
}


def watched_activities(activities: Sequence[Callable[..., Any]], answered: Answered) -> list[Callable[..., Any]]:
    """The same activities; `answered` hears of each question before its answer goes back."""
    return [_watched(a, answered) for a in activities]


def _watched(function: Callable[..., Any], answered: Answered) -> Callable[..., Any]:
    definition = _Definition.must_from_callable(function)
    if definition.name not in REQUESTS:
        return function
    method, to_wire = REQUESTS[definition.name]

    async def ask(given: Any) -> Any:
        call = Call(f"/activity/{method}", "workflows", str(PROCESS.get()), to_wire(given))
        CALL.set(call)
        answer = await function(given)
        answered(call, _on_wire(answer))
        return answer

    ask.__temporal_activity_definition = replace(definition, fn=ask)  # type: ignore[attr-defined]
    return ask


def _on_wire(answer: BeginAnswer | HeartbeatAnswer | Nothing) -> Any:
    match answer:
        case BeginAnswer():
            return answer_to_wire(answer)
        case HeartbeatAnswer():
            return heartbeat_answer_to_wire(answer)
        case _:
            return answer
