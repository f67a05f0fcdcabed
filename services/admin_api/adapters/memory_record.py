"""Operations, tokens, the audit log, events and kept answers in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.admin_api.domain.audit_chain import FIRST, digest_of
from services.admin_api.domain.ports import KeptAnswer
from services.admin_api.domain.records import (
    BOOTSTRAP_ID,
    AuditEntry,
    AuditRow,
    Event,
    Operation,
    OperationState,
    TokenRecord,
    name_taken,
)
from shared.domain.names import Workspace


class MemoryOperations:
    """`Operations`."""

    def __init__(self, operations: dict[str, Operation]) -> None:
        """Over what is kept."""
        self._operations = operations

    async def add(self, operation: Operation) -> None:
        """Keep it."""
        self._operations[operation.id] = operation

    async def update(self, operation: Operation) -> None:
        """Keep its new state; an ended one stays as it ended."""
        kept = self._operations.get(operation.id)
        if kept is not None and kept.state is not OperationState.ENDED:
            self._operations[operation.id] = operation

    async def get(self, operation_id: str) -> Operation | None:
        """One operation."""
        return self._operations.get(operation_id)

    async def unended(self, limit: int) -> list[Operation]:
        """Oldest first."""
        found = [o for o in self._operations.values() if o.state is not OperationState.ENDED]
        return sorted(found, key=lambda o: o.created_at)[:limit]

    async def newest(self, workspace: Workspace, limit: int) -> list[Operation]:
        """Newest first."""
        found = [o for o in self._operations.values() if o.workspace == workspace]
        return sorted(found, key=lambda o: o.created_at, reverse=True)[:limit]


class MemoryTokens:
    """`Tokens`."""

    def __init__(self, tokens: dict[str, tuple[TokenRecord, str]]) -> None:
        """Over what is kept: records with the digests of their texts."""
        self._tokens = tokens

    async def add(self, record: TokenRecord, digest: str) -> None:
        """Keep it."""
        if any(t.name == record.name and t.revoked_at is None for t, _ in self._tokens.values()):
            raise name_taken(record)
        self._tokens[record.id] = (record, digest)

    async def put_bootstrap(self, record: TokenRecord, digest: str) -> None:
        """In place of an earlier one."""
        kept, _ = self._tokens.get(BOOTSTRAP_ID, (replace(record, id=BOOTSTRAP_ID), ""))
        self._tokens[BOOTSTRAP_ID] = (kept, digest)

    async def by_digest(self, digest: str) -> TokenRecord | None:
        """The token of that digest."""
        return next((t for t, of in self._tokens.values() if of == digest), None)

    async def newest(self) -> list[TokenRecord]:
        """All of them."""
        return sorted((t for t, _ in self._tokens.values()), key=lambda t: t.created_at, reverse=True)

    async def revoke(self, token_id: str, at: datetime) -> bool:
        """False when there is none."""
        record, digest = self._tokens.get(token_id, (None, ""))
        if record is None or record.revoked_at is not None:
            return False
        self._tokens[token_id] = (replace(record, revoked_at=at), digest)
        return True


class MemoryAudit:
    """`Audit`."""

    def __init__(self, rows: list[AuditRow]) -> None:
        """Over what is kept, oldest first."""
        self._rows = rows

    async def append(self, entry: AuditEntry) -> AuditRow:
        """Add to the chain."""
        previous = self._rows[-1].digest if self._rows else FIRST
        self._rows.append(AuditRow(len(self._rows) + 1, entry, previous, digest_of(entry, previous)))
        return self._rows[-1]

    async def newest(self, limit: int, before_seq: int | None = None) -> list[AuditRow]:
        """Newest first."""
        found = [r for r in reversed(self._rows) if before_seq is None or r.seq < before_seq]
        return found[:limit]


@dataclass
class Numbers:
    """The last number of an event; it only grows, whatever becomes of the unit that took it."""

    last: int = 0

    def take(self) -> int:
        """The next one."""
        self.last += 1
        return self.last


class MemoryEvents:
    """`Events`."""

    def __init__(self, events: list[Event], numbers: Numbers) -> None:
        """Over what is kept, oldest first."""
        self._events, self._numbers = events, numbers

    async def append(  # noqa: PLR0913  an event has this many parts
        self, at: datetime, workspace: str, kind: str, name: str, generation: int, body: Mapping[str, Any] | None
    ) -> None:
        """Add one."""
        self._events.append(Event(self._numbers.take(), at, workspace, kind, name, generation, body))

    async def after(self, seq: int, limit: int) -> list[Event]:
        """Oldest first."""
        return [e for e in self._events if e.seq > seq][:limit]

    async def bounds(self) -> tuple[int, int]:
        """Oldest and newest `seq`."""
        return (self._events[0].seq, self._events[-1].seq) if self._events else (0, 0)

    async def newest(self, kinds: Sequence[str], limit: int) -> list[Event]:
        """Newest first."""
        return [e for e in reversed(self._events) if e.kind in kinds][:limit]

    async def latest_bodies(self, kinds: Sequence[str]) -> dict[tuple[str, str], Mapping[str, Any] | None]:
        """The newest body per kind and name, by kind and name."""
        latest = {(e.kind, e.name): e.body for e in self._events if e.kind in kinds}
        return dict(sorted(latest.items()))

    async def trim(self, keep: int) -> None:
        """Forget all but the newest."""
        newest = self._events[-1].seq if self._events else 0
        self._events[:] = [e for e in self._events if e.seq > newest - keep]


class MemoryAnswers:
    """`Answers`."""

    def __init__(self, answers: dict[tuple[str, str], tuple[KeptAnswer, datetime]]) -> None:
        """Over what is kept, with the time of each claim."""
        self._answers = answers

    async def claim(
        self, owner: str, key: str, fingerprint: str, at: datetime, forget_before: datetime
    ) -> KeptAnswer | None:
        """None when the key is ours now."""
        for old in [k for k, (_, claimed_at) in self._answers.items() if claimed_at < forget_before]:
            del self._answers[old]
        kept = self._answers.get((owner, key))
        if kept is not None:
            return kept[0]
        self._answers[owner, key] = (KeptAnswer(fingerprint, 0, b""), at)
        return None

    async def keep(self, owner: str, key: str, status: int, body: bytes) -> None:
        """Record the answer."""
        kept = self._answers.get((owner, key))
        if kept is not None:
            self._answers[owner, key] = (replace(kept[0], status=status, body=body), kept[1])

    async def release(self, owner: str, key: str) -> None:
        """The key may be used again."""
        self._answers.pop((owner, key), None)
