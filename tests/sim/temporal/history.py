"""A run's history: the same records as the real server's, so that clients read it and the real Replayer can judge it."""

from collections.abc import Callable
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

CONTINUE_AS_NEW_EVENTS = 4096  # from here on the server suggests it
CONTINUE_AS_NEW_BYTES = 4 * 1024 * 1024


class History:
    """Append-only; `add` gives the id of the event."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.events: list[HistoryEvent] = []
        self.size = 0
        self._now_s = now_s

    def add(self, kind: str, **attributes: Any) -> int:
        event = HistoryEvent(
            event_id=len(self.events) + 1,
            event_type=EventType.Value(f"EVENT_TYPE_{kind}"),
            task_id=len(self.events) + 1,
            **{f"{kind.lower()}_event_attributes": attributes},  # type: ignore[arg-type]
        )
        event.event_time.FromNanoseconds(round(self._now_s() * 1e6) * 1000)
        self.events.append(event)
        self.size += event.ByteSize()
        return event.event_id

    @property
    def too_long(self) -> bool:
        return len(self.events) >= CONTINUE_AS_NEW_EVENTS or self.size >= CONTINUE_AS_NEW_BYTES

    def kinds(self) -> list[str]:
        """Names of the events, without their prefix."""
        return [EventType.Name(e.event_type).removeprefix("EVENT_TYPE_") for e in self.events]
