"""Objects, plans and code bundles in memory."""

from dataclasses import replace
from datetime import datetime

from services.admin_api.domain.ports import CodeRecord
from services.admin_api.domain.records import ObjectKey, Plan, Spec, StoredObject
from shared.domain.names import Workspace


class MemoryObjects:
    """`Objects`."""

    def __init__(
        self,
        objects: dict[tuple[Workspace, ObjectKey], StoredObject],
        history: dict[tuple[Workspace, ObjectKey, int], Spec],
    ) -> None:
        """Over what is kept."""
        self._objects, self._history = objects, history

    async def read(self, workspace: Workspace, *, lock: bool = False) -> dict[ObjectKey, StoredObject]:  # noqa: ARG002  units never run side by side here
        """All objects of a workspace, by kind and name."""
        found = [o for (owner, _), o in self._objects.items() if owner == workspace]
        return {o.key: o for o in sorted(found, key=lambda o: (o.key.kind, o.key.name))}

    async def write(self, stored: StoredObject) -> None:
        """Keep it and its history."""
        self._objects[stored.workspace, stored.key] = stored
        self._history[stored.workspace, stored.key, stored.generation] = stored.spec

    async def spec_at(self, workspace: Workspace, key: ObjectKey, generation: int) -> Spec | None:
        """From the history."""
        return self._history.get((workspace, key, generation))


class MemoryPlans:
    """`Plans`."""

    def __init__(self, plans: dict[str, Plan]) -> None:
        """Over what is kept."""
        self._plans = plans

    async def add(self, plan: Plan) -> None:
        """Keep it."""
        self._plans[plan.id] = replace(plan, operation="")

    async def get(self, plan_id: str, *, lock: bool = False) -> Plan | None:  # noqa: ARG002  units never run side by side here
        """One plan."""
        return self._plans.get(plan_id)

    async def applied(self, plan_id: str, operation_id: str) -> None:
        """It was handed over."""
        if plan_id in self._plans:
            self._plans[plan_id] = replace(self._plans[plan_id], operation=operation_id)


class MemoryCode:
    """`CodeIndex`."""

    def __init__(self, code: dict[str, CodeRecord]) -> None:
        """Over what is kept."""
        self._code = code

    async def add(self, record: CodeRecord, at: datetime, by: str) -> None:  # noqa: ARG002  nobody reads when and by whom
        """Keep it once."""
        self._code.setdefault(record.sha256, record)

    async def get(self, sha256: str) -> CodeRecord | None:
        """One bundle."""
        return self._code.get(sha256)
