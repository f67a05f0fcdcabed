"""Drift: looked for every minute by describing and comparing, judged by Pulumi's own refresh, repaired by Pulumi.

The cheap look is a few AWS calls for all groups; the engine's look is one process per stack, before a repair and on
demand. Both spell a field alike, so what both see is one finding. What another service owns is reported and never set
back.
"""

from dataclasses import replace

from services.provisioner.domain.declared import DeclaredFields
from services.provisioner.domain.drift import (
    EXISTS,
    MISSING,
    PROVISIONER,
    Finding,
    classify,
    compare,
    covered,
    merged,
    repairable,
)
from services.provisioner.domain.ports import Machines, Stacks
from services.provisioner.domain.runs import StackDifference
from services.provisioner.domain.stores import DriftStore, StackStore
from services.provisioner.operations.groups import Groups
from services.provisioner.operations.lease_guard import LeaseGuard
from services.provisioner.operations.translation import finding_model
from shared.contracts.provisioning import DriftFinding, DriftReport, RepairDriftInput, StackResult
from shared.domain.clock import Clock, Ids
from shared.domain.errors import HeadraceError, NotFound, Refused
from shared.domain.names import GroupName


class Drifting:
    """Looks, records, repairs."""

    def __init__(  # noqa: PLR0913  two detectors, two stores, who repairs
        self,
        stacks: Stacks,
        runs: StackStore,
        store: DriftStore,
        machines: Machines,
        groups: Groups,
        guard: LeaseGuard,
        clock: Clock,
        ids: Ids,
    ) -> None:
        """One for the whole service."""
        self._stacks = stacks
        self._runs = runs
        self._store = store
        self._machines = machines
        self._groups = groups
        self._guard = guard
        self._clock = clock
        self._ids = ids

    async def list(self, group: str, *, include_repaired: bool) -> tuple[DriftFinding, ...]:
        """Findings, oldest first."""
        found = await self._store.list(GroupName(group) if group else None, include_repaired=include_repaired)
        return tuple(finding_model(f) for f in found)

    async def check(self) -> DriftReport:
        """Describe and compare every group whose stack is at rest."""
        declared = await self._at_rest()
        if not declared:
            return DriftReport(checked=0)
        live = await self._machines.shapes(declared)
        for group, fields in declared.items():
            found = compare(group, fields, live[group], self._clock.now())
            await self._record(group, found, covered(fields, live[group]))
        return await self._report(len(declared), "describe")

    async def check_by_engine(self, group: str) -> DriftReport:
        """Pulumi's refresh of one stack, read only: the authority, also on roles and policies."""
        name = GroupName(group)
        await self._look_by_engine(name)
        return await self._report(1, "refresh", name)

    async def repair(self, request: RepairDriftInput) -> StackResult:
        """Set back what is ours, after the engine has confirmed that there is something to set back."""
        name = GroupName(request.group)
        await self._guard.admit(request.lease, f"group/{name}")
        known = [f for f in await self._store.list(name, include_repaired=False) if f.id in request.finding_ids]
        others = [f for f in known if not repairable(f)]
        if known and len(others) == len(known):
            raise Refused(
                f"group {name}: {others[0].field} of {others[0].resource} is the {others[0].owner}'s to write",
                remedy=f"ask the {others[0].owner}; it is never set back from here",
            )
        if not await self._look_by_engine(name) and not await self._look_by_describing(name):
            return StackResult(group=name)
        repairing = [replace(f, state="repairing") for f in known if repairable(f)]
        await self._store.put(repairing)
        try:
            result = await self._groups.repair(name, request.lease)
        except HeadraceError:
            await self._store.put([replace(f, state="open") for f in repairing])
            raise
        await self._look_by_engine(name)
        await self._look_by_describing(name)
        return result

    async def _at_rest(self) -> dict[GroupName, DeclaredFields]:
        """Without copies: they go within minutes, and what is written to them needs a lease of their original."""
        busy = {r.group for r in await self._runs.running()} | await self._groups.copies()
        return {g: fields for g, fields in (await self._runs.declared()).items() if g not in busy}

    async def _look_by_describing(self, group: GroupName) -> tuple[Finding, ...]:
        fields = (await self._runs.declared()).get(group, {})
        live = (await self._machines.shapes({group: fields}))[group]
        found = compare(group, fields, live, self._clock.now())
        await self._record(group, found, covered(fields, live))
        return tuple(f for f in found if repairable(f))

    async def _look_by_engine(self, group: GroupName) -> tuple[Finding, ...]:
        fields = (await self._runs.declared()).get(group)
        if fields is None:
            raise NotFound(f"group {group}: its stack was never applied", remedy="apply the group first")
        differences = await self._stacks.differences(await self._groups.plan_of(group))
        found = tuple(f for d in differences for f in self._findings(group, d, fields))
        await self._record(group, found, None)
        return tuple(f for f in found if repairable(f))

    def _findings(self, group: GroupName, difference: StackDifference, fields: DeclaredFields) -> tuple[Finding, ...]:
        now = self._clock.now()
        if difference.gone:
            return (Finding(group, difference.resource, EXISTS, "yes", MISSING, "destructive", PROVISIONER, now),)
        declared = fields.get(difference.resource, {})
        live = {**declared, **{field: value for field, _, value in difference.fields}}
        changed = {**declared, **{field: value for field, value, _ in difference.fields if field not in declared}}
        return tuple(
            replace(f, drift_class=classify(f.field)[0], owner=classify(f.field)[1])
            for f in compare(group, {difference.resource: changed}, {difference.resource: live}, now)
        )

    async def _record(
        self, group: GroupName, found: tuple[Finding, ...], looked_at: frozenset[tuple[str, str]] | None
    ) -> None:
        known = await self._store.list(group, include_repaired=False)
        seen, gone = merged(known, found, looked_at)
        await self._store.put([f if f.id else replace(f, id=self._ids.new("drift")) for f in (*seen, *gone)])

    async def _report(self, checked: int, method: str, group: GroupName | None = None) -> DriftReport:
        found = await self._store.list(group, include_repaired=False)
        return DriftReport(checked=checked, findings=tuple(finding_model(f) for f in found), method=method)
