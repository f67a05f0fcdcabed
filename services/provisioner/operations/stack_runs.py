"""Using a group's stack: one at a time, recorded before it begins, recovered when the one before it died.

The intent row with its token is written first, every process of the run is noted before it acts, the result comes
last. What a crash leaves (a lock, half-made resources, a row without an end) is settled by the next holder, never by
a guess: a lock is broken only when it names a process of ours that is dead.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from services.provisioner.domain.group import Group
from services.provisioner.domain.ports import Processes, Stacks
from services.provisioner.domain.resources import StackPlan
from services.provisioner.domain.runs import ProcessMark, StackBusy, StackOutcome, StackRun
from services.provisioner.domain.stores import StackStore
from services.provisioner.operations.lease_guard import LeaseGuard
from shared.contracts.admission import LeaseModel
from shared.domain.clock import Clock, Ids
from shared.domain.errors import HeadraceError, Unavailable

RUNS_LOOKED_AT = 10
RETRY_S = 5.0
LOG = structlog.get_logger()
MakePlan = Callable[[], Awaitable[StackPlan]]


class StackRunner:
    """Runs Pulumi under a lease."""

    def __init__(  # noqa: PLR0913  what a run needs
        self, stacks: Stacks, store: StackStore, processes: Processes, guard: LeaseGuard, clock: Clock, ids: Ids
    ) -> None:
        """One for the whole service."""
        self._stacks = stacks
        self._store = store
        self._processes = processes
        self._guard = guard
        self._clock = clock
        self._ids = ids
        self._turns: dict[str, asyncio.Lock] = {}
        self._active: set[str] = set()

    @property
    def active(self) -> frozenset[str]:
        """Runs of this process."""
        return frozenset(self._active)

    async def run(
        self, group: Group, operation: str, lease: LeaseModel, make_plan: MakePlan, *, refresh: bool = False
    ) -> StackOutcome:
        """`operation` is up or destroy. The plan is made when it is this run's turn, from what is true then."""
        async with self._turns.setdefault(group.name, asyncio.Lock()):
            plan = await make_plan()
            await self._guard.admit(lease, group.scope)
            await self._recover(plan)
            run = StackRun(
                id=self._ids.new("run"),
                stack=plan.stack,
                group=group.name,
                operation=operation,
                activity=lease.activity_id,
                token=lease.token,
                began_at=self._clock.now(),
            )
            await self._store.open(run)
            self._active.add(run.id)
            state, detail = "failed", "ended without a result"
            try:
                outcome = await self._guard.watched(lease, self._act(plan, run, refresh=refresh))
            except HeadraceError as e:
                detail = str(e)
                raise
            else:
                state, detail = "done", ""
                return outcome
            finally:
                self._active.discard(run.id)
                await asyncio.shield(self._store.close(run.id, state, detail, self._clock.now()))

    async def _act(self, plan: StackPlan, run: StackRun, *, refresh: bool) -> StackOutcome:
        async def note(process: ProcessMark) -> None:
            await self._store.note_process(run.id, process)

        if run.operation == "destroy":
            outcome = await self._stacks.destroy(plan, note)
        else:
            outcome = await self._stacks.up(plan, note, refresh=refresh)
        if isinstance(outcome, StackBusy):
            raise Unavailable(
                f"stack {plan.stack}: locked by process {outcome.pid} of {outcome.host or 'an unknown host'}",
                remedy="it is tried again; a lock of a dead process of ours is broken then",
                retry_after_s=RETRY_S,
            )
        return outcome

    async def _recover(self, plan: StackPlan) -> None:
        """Settle what unfinished runs of this stack left; a stack whose last run was done needs nothing."""
        runs = await self._store.runs(plan.stack, RUNS_LOOKED_AT)
        if not runs or runs[0].state == "done":
            return
        marks = [p for r in runs if r.state != "done" for p in r.processes]
        for mark in marks:
            if self._processes.alive(mark):
                await self._processes.end(mark)  # an orphan of a holder whose lease is over: ours is newer
        dead = [p for p in marks if not self._processes.alive(p)]
        for left in [r for r in runs if r.state == "running" and r.id not in self._active]:
            await self._store.close(left.id, "crashed", "found without an end", self._clock.now())
        note = await self._stacks.recover(plan, dead)
        if note:
            LOG.warning("stack recovered", stack=plan.stack, what=note)
