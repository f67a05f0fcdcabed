"""Plans: make one, show it, apply what was shown.

Applying locks the workspace's intent, checks that nothing moved since the plan, writes the new generations, the audit
entry and the operation in one transaction, and then starts the workflow.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.admin_api.domain.planning import Decided, moved_since, plan_declared, plan_deletes
from services.admin_api.domain.ports import Unit
from services.admin_api.domain.records import (
    Action,
    Change,
    ObjectKey,
    ObjectKind,
    Operation,
    Plan,
    StoredObject,
)
from services.admin_api.domain.roles import Actor, Verb
from services.admin_api.operations.apply_input import apply_input
from services.admin_api.operations.context import Context
from services.admin_api.operations.long_work import LongWork
from services.admin_api.operations.peers import Asked
from services.admin_api.operations.plan_view import digest_of, plan_view
from services.admin_api.operations.reading import Reading
from services.admin_api.operations.specs import checked_object, checked_objects
from services.admin_api.operations.status_of import unfinished
from services.admin_api.operations.views import PlanView
from shared.contracts import queues
from shared.contracts.objects import ServerGroup
from shared.domain.errors import AlreadyExists, Conflict, InvalidInput, NotFound, Refused

EVENT_BYTES_MAX = 8 * 1024
UNENDED_MAX = 1000
ASKED_GROUPS_MAX = 20  # groups of a plan about which the Provisioner is asked for warnings


class Planning:
    """Make, show and apply plans."""

    def __init__(self, context: Context, long_work: LongWork, reading: Reading) -> None:
        """`long_work` starts what is applied; `reading` knows what has become of what was."""
        self._context, self._reading = context, reading
        self._long_work = long_work

    async def make(
        self, actor: Actor, bodies: Sequence[Mapping[str, Any]], *, source: str = "", prune: bool = False
    ) -> PlanView:
        """A plan for these objects; InvalidInput when one of them can never work."""
        self._context.require(actor, Verb.READ)
        declared = checked_objects(bodies, self._context.workspace)
        async with self._context.store.unit() as unit:
            stored = await unit.objects.read(self._context.workspace)
            under_way = await self._under_way(unit)
        seen = await self._reading.seen()
        again = {
            key: why
            for key, _ in declared
            if key in stored and key not in under_way and (why := unfinished(stored[key], seen))
        }
        decided = plan_declared(declared, stored, source=source, prune=prune, unfinished=again)
        async with self._context.store.unit() as unit:
            await self._check_code(unit, decided.changes)
        warnings = await self._warnings(decided)
        plan = self._plan(actor, decided, source, (*decided.warnings, *warnings))
        async with self._context.store.unit() as unit:
            await unit.plans.add(plan)
        return plan_view(plan)

    async def make_deletes(self, actor: Actor, keys: Sequence[ObjectKey]) -> PlanView:
        """A plan that deletes; NotFound names what does not exist."""
        self._context.require(actor, Verb.READ)
        async with self._context.store.unit() as unit:
            stored = await unit.objects.read(self._context.workspace)
            for key in keys:
                if key not in stored or stored[key].deleted:
                    raise NotFound(f"{key} does not exist", remedy=f"`headrace get {key.kind}s` lists what does")
            plan = self._plan(actor, plan_deletes(keys, stored), "", ())
            await unit.plans.add(plan)
        return plan_view(plan)

    async def get(self, actor: Actor, plan_id: str) -> PlanView:
        """A plan that was made."""
        self._context.require(actor, Verb.READ)
        async with self._context.store.unit() as unit:
            plan = await unit.plans.get(plan_id)
        return plan_view(self._found(plan, plan_id))

    async def apply(self, actor: Actor, plan_id: str, digest: str = "") -> Operation:
        """Carry the plan out. Conflict when something moved since, Refused when the plan is blocked."""
        self._context.require(actor, Verb.DECLARE)
        async with self._context.store.unit() as unit:
            plan = self._found(await unit.plans.get(plan_id, lock=True), plan_id)
            if plan.operation:
                found = await unit.operations.get(plan.operation)
                if found is not None:
                    return found  # applied before: the same answer
            if digest and digest != digest_of(plan):
                raise Conflict(
                    f"plan {plan_id} is not the one whose digest was given", field="digest", remedy="plan again"
                )
            if plan.blocked:
                raise Refused(
                    f"plan {plan_id} is blocked: " + "; ".join(r.text for r in plan.blocked), reasons=plan.blocked
                )
            stored = await unit.objects.read(self._context.workspace, lock=True)
            await self._check_fresh(unit, plan, stored)
            operation = await self._write(unit, actor, plan, stored)
        self._context.changed()
        return await self._long_work.start(operation, again=False, queue=True)

    async def put(
        self, actor: Actor, kind: ObjectKind, name: str, body: Mapping[str, Any], *, creates: bool = False
    ) -> tuple[PlanView, Operation | None]:
        """Make one object what `body` says; an update names the generation it was made from."""
        self._context.require(actor, Verb.DECLARE)
        whole = dict(body) if kind is ObjectKind.SERVER_GROUP else {"kind": kind.value} | dict(body)
        key, _ = checked_object(whole, self._context.workspace)
        if key != ObjectKey(kind, name):
            raise InvalidInput(
                f"the body is {key}, the address says {kind}/{name}",
                field="name" if key.kind is kind else "kind",
                remedy="send each object to its own address",
            )
        async with self._context.store.unit() as unit:
            stored = await unit.objects.read(self._context.workspace)
            now = stored.get(key)
            await self._check_base(unit, key, now if now and not now.deleted else None, body, creates=creates)
        plan = await self.make(actor, [whole])
        return plan, await self.apply(actor, plan.id) if plan.changes else None

    async def delete(self, actor: Actor, key: ObjectKey, generation: int | None) -> tuple[PlanView, Operation]:
        """Delete one object, if it still is at `generation` (where one is named)."""
        self._context.require(actor, Verb.DECLARE)
        plan = await self.make_deletes(actor, [key])
        if generation is not None and plan.changes[0].base_generation != generation:
            raise Conflict(
                f"{key} is at generation {plan.changes[0].base_generation}, not at {generation}",
                field="generation",
                remedy="read it again, and look at what changed",
            )
        return plan, await self.apply(actor, plan.id)

    # ---------------------------------------------------------------------------------------------------------- parts

    async def _under_way(self, unit: Unit) -> set[ObjectKey]:
        """What an apply that has not ended works on."""
        found: set[ObjectKey] = set()
        for operation in await unit.operations.unended(UNENDED_MAX):
            plan = await unit.plans.get(operation.subject) if operation.kind == "apply" else None
            found |= {change.key for change in plan.changes} if plan else set()
        return found

    async def _check_base(
        self, unit: Unit, key: ObjectKey, now: StoredObject | None, body: Mapping[str, Any], *, creates: bool
    ) -> None:
        base = body.get("generation")
        if now is None:
            if base:
                raise Conflict(f"{key} does not exist (any more)", field="generation", remedy="leave generation out")
            return
        if creates:
            raise AlreadyExists(f"{key} exists already", field="name", remedy=f"PUT /v1/{key.kind}s/{key.name}")
        if not isinstance(base, int):
            raise InvalidInput(
                f"{key}: generation: {base!r} is not the generation that the update was made from",
                field="generation",
                remedy=f"read it first and send its generation along; it is at {now.generation}",
            )
        change = Change(Action.UPDATE, key, base, None)
        reason = moved_since(change, now, await unit.objects.spec_at(now.workspace, key, base))
        if reason is not None:
            raise Conflict(reason.text, field="generation", remedy=reason.remedy[0].text, reasons=(reason,))

    def _plan(self, actor: Actor, decided: Decided, source: str, warnings: Sequence[str]) -> Plan:
        return Plan(
            id=self._context.ids.new("plan"),
            workspace=self._context.workspace,
            source=source,
            created_at=self._context.clock.now(),
            created_by=actor.name,
            changes=decided.changes,
            unchanged=decided.unchanged,
            warnings=tuple(warnings),
            blocked=decided.blocked,
        )

    @staticmethod
    def _found(plan: Plan | None, plan_id: str) -> Plan:
        if plan is None:
            raise NotFound(f"plan {plan_id!r} does not exist", remedy="make one with `headrace plan DIR`")
        return plan

    async def _check_code(self, unit: Unit, changes: Sequence[Change]) -> None:
        for change in changes:
            code = (change.spec or {}).get("code")
            if code and await unit.code.get(code) is None:
                raise InvalidInput(
                    f"{change.key}: code: no bundle with sha256 {code!r} was uploaded",
                    field="code",
                    remedy="POST the packed folder to /v1/code first; `headrace apply DIR` does it",
                )

    async def _warnings(self, decided: Decided) -> list[str]:
        """What the Provisioner sees coming, where it answers."""
        asked = Asked()
        found: list[str] = []
        groups = [c for c in decided.changes if c.key.kind is ObjectKind.SERVER_GROUP and c.spec]
        for change in groups[:ASKED_GROUPS_MAX]:
            spec = ServerGroup.model_validate(change.spec)
            answer = await asked.of("provisioner", self._context.peers.provisioner.plan_group(spec))
            if asked.unanswered:
                return ["the Provisioner does not answer: its warnings about quotas are missing"]
            found.extend(f"{change.key}: {w}" for w in (answer[1] if answer else ()))
        return found

    async def _check_fresh(self, unit: Unit, plan: Plan, stored: Mapping[ObjectKey, StoredObject]) -> None:
        moved = []
        for change in plan.changes:
            base = await unit.objects.spec_at(plan.workspace, change.key, change.base_generation)
            reason = moved_since(change, stored.get(change.key), base)
            if reason is not None:
                moved.append(reason)
        if moved:
            raise Conflict(
                f"plan {plan.id} is stale: " + "; ".join(r.text for r in moved),
                field="generation",
                remedy="plan again, and look at what changed since",
                reasons=tuple(moved),
            )

    async def _write(self, unit: Unit, actor: Actor, plan: Plan, stored: Mapping[ObjectKey, StoredObject]) -> Operation:
        now = self._context.clock.now()
        written: dict[ObjectKey, StoredObject] = {}
        for change in plan.changes:
            old = stored.get(change.key)
            new = StoredObject(
                workspace=plan.workspace,
                key=change.key,
                generation=change.base_generation + 1,
                spec=change.spec if change.spec is not None else (old.spec if old else {}),
                source=plan.source or (old.source if old else ""),
                created_at=old.created_at if old and not old.deleted else now,
                updated_at=now,
                updated_by=actor.name,
                deleted=change.action is Action.DELETE,
            )
            await unit.objects.write(new)
            written[change.key] = new
            await unit.events.append(
                now, plan.workspace, change.key.kind, change.key.name, new.generation, event_body(new)
            )
        operation_id = self._context.ids.new("op")
        given = await apply_input(unit, plan, written, operation_id, actor)
        operation = Operation(
            id=operation_id,
            workspace=plan.workspace,
            kind="apply",
            subject=plan.id,
            workflow_type="ApplyObjects",
            workflow_id=queues.apply_id(plan.id),
            input=given.model_dump(mode="json"),
            requested_by=actor.name,
            created_at=now,
        )
        await self._long_work.record(unit, operation)
        await unit.plans.applied(plan.id, operation_id)
        detail = {"plan": plan.id, "changes": [f"{c.action} {c.key}" for c in plan.changes]}
        await self._context.audit(unit, actor, "apply", plan.id, detail=detail)
        return replace(operation)


def event_body(stored: StoredObject) -> dict[str, Any] | None:
    """The object as an event carries it; None above the limit."""
    body: dict[str, Any] = {**dict(stored.spec), "generation": stored.generation, "deleted": stored.deleted}
    return body if len(json.dumps(body)) <= EVENT_BYTES_MAX else None
