"""The store in memory: for the simulator and for tests, held to PostgreSQL's by a differential test.

One unit at a time: it works on a copy, which takes the place of what was kept when the block ends well.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Self

from services.admin_api.adapters.memory_intent import MemoryCode, MemoryObjects, MemoryPlans
from services.admin_api.adapters.memory_record import (
    MemoryAnswers,
    MemoryAudit,
    MemoryEvents,
    MemoryOperations,
    MemoryTokens,
    Numbers,
)
from services.admin_api.domain.ports import CodeRecord, KeptAnswer, Unit
from services.admin_api.domain.records import (
    AuditRow,
    Event,
    ObjectKey,
    Operation,
    Plan,
    Spec,
    StoredObject,
    TokenRecord,
)
from shared.domain.names import Workspace


@dataclass
class Contents:
    """Everything that is kept, as plain containers of values that never change."""

    objects: dict[tuple[Workspace, ObjectKey], StoredObject] = field(default_factory=dict)
    history: dict[tuple[Workspace, ObjectKey, int], Spec] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    code: dict[str, CodeRecord] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    tokens: dict[str, tuple[TokenRecord, str]] = field(default_factory=dict)
    audit: list[AuditRow] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    answers: dict[tuple[str, str], tuple[KeptAnswer, datetime]] = field(default_factory=dict)

    def copy(self) -> Self:
        """The same values in containers of their own."""
        return type(self)(**{f.name: getattr(self, f.name).copy() for f in fields(self)})


@dataclass(frozen=True, slots=True)
class MemoryUnit:
    """The stores over one copy."""

    objects: MemoryObjects
    plans: MemoryPlans
    operations: MemoryOperations
    audit: MemoryAudit
    tokens: MemoryTokens
    events: MemoryEvents
    answers: MemoryAnswers
    code: MemoryCode


class MemoryStore:
    """`Store`."""

    def __init__(self) -> None:
        """Empty."""
        self._kept = Contents()
        self._numbers = Numbers()
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """One transaction; numbers of events that were undone are not given again, as in PostgreSQL."""
        async with self._one_at_a_time:
            copy = self._kept.copy()
            yield MemoryUnit(
                MemoryObjects(copy.objects, copy.history),
                MemoryPlans(copy.plans),
                MemoryOperations(copy.operations),
                MemoryAudit(copy.audit),
                MemoryTokens(copy.tokens),
                MemoryEvents(copy.events, self._numbers),
                MemoryAnswers(copy.answers),
                MemoryCode(copy.code),
            )
            self._kept = copy
