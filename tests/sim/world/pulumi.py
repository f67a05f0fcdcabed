"""Pulumi's engine on the Provisioner's host: processes of their own, which outlive whoever started them.

A stack has a state (what the engine believes it made), a lock that names a process, and resources in the cloud. A run
works resource by resource; it may die between any two, and leaves state and lock as they are.
"""

import asyncio
import contextvars
import itertools
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from localcloud.aws.errors import AwsError
from services.provisioner.domain.declared import ASG, declared_fields
from services.provisioner.domain.ports import LiveFields, OnProcess
from services.provisioner.domain.resources import AutoScalingGroup, StackPlan
from services.provisioner.domain.runs import ProcessMark, StackBusy, StackDifference, StackOutcome
from shared.domain.errors import HeadraceError, Unavailable
from tests.sim.kernel.loop import SimLoop
from tests.sim.world.cloud import NOT_COMPARED, Cloud
from tests.sim.world.fate import Fate

HOST = "sim"
RESOURCE_S = (0.3, 2.0)
LOOK_S = 2.0
GONE_S_MAX = 300.0
Fields = Mapping[str, str]


class SimPulumi:
    """Implements the Provisioner's `Stacks` and `Processes`."""

    def __init__(
        self, loop: SimLoop, cloud: Cloud, chance: random.Random, fate: Fate, say: Callable[[str, str], None]
    ) -> None:
        self._loop, self._cloud, self._chance, self._say = loop, cloud, chance, say
        self.removing: Callable[[str], None] = lambda _: None
        self._fate = fate
        self._pids = itertools.count(100)
        self.states: dict[str, dict[str, Fields]] = {}
        self.locks: dict[str, int] = {}
        self.running: dict[int, asyncio.Task[StackOutcome | HeadraceError]] = {}

    # -------------------------------------------------------------------------------------------------------- processes

    def alive(self, process: ProcessMark) -> bool:
        """See the port."""
        return process.pid in self.running

    async def end(self, process: ProcessMark) -> None:
        """See the port."""
        task = self.running.get(process.pid)
        if task is not None:
            await self._ended(task)

    def kill(self) -> None:
        """Every engine dies where it stands; locks stay."""
        for pid, task in list(self.running.items()):
            self._say("", f"engine {pid} is killed")
            task.cancel("killed")

    async def _ended(self, task: "asyncio.Task[Any]") -> None:
        task.cancel()
        await asyncio.wait({task})

    # ----------------------------------------------------------------------------------------------------------- stacks

    async def up(self, plan: StackPlan, on_process: OnProcess, *, refresh: bool) -> StackOutcome | StackBusy:
        """See the port."""
        return await self._run(plan, on_process, lambda: self._apply(plan, refresh=refresh))

    async def destroy(self, plan: StackPlan, on_process: OnProcess) -> StackOutcome | StackBusy:
        """See the port."""
        return await self._run(plan, on_process, lambda: self._destroy(plan.stack))

    async def differences(self, plan: StackPlan) -> tuple[StackDifference, ...]:
        """See the port."""
        await asyncio.sleep(self._chance.uniform(*RESOURCE_S))
        declared = declared_fields(plan)
        live = self._cloud.live(declared)
        return tuple(d for resource in declared if (d := _difference(resource, declared[resource], live)) is not None)

    async def recover(self, plan: StackPlan, dead: Sequence[ProcessMark]) -> str:
        """See the port."""
        await asyncio.sleep(self._chance.uniform(*RESOURCE_S))
        holder = self.locks.get(plan.stack)
        if holder is None or holder not in {p.pid for p in dead}:
            return ""
        del self.locks[plan.stack]
        return f"the lock of process {holder}, which is dead, was broken"

    async def _run(
        self, plan: StackPlan, on_process: OnProcess, work: Callable[[], Coroutine[Any, Any, StackOutcome]]
    ) -> StackOutcome | StackBusy:
        pid = next(self._pids)
        await on_process(ProcessMark(HOST, pid, pid))
        holder = self.locks.get(plan.stack)
        if holder is not None:
            return StackBusy(HOST, holder, f"stack {plan.stack} is locked")
        self.locks[plan.stack] = pid
        task = self._loop.create_task(self._process(plan.stack, pid, work), context=contextvars.Context())
        self.running[pid] = task
        try:
            done = await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                await self._ended(task)
                raise
            raise Unavailable(f"stack {plan.stack}: process {pid} died") from None
        if isinstance(done, HeadraceError):
            raise done
        return done

    async def _process(
        self, stack: str, pid: int, work: Callable[[], Coroutine[Any, Any, StackOutcome]]
    ) -> StackOutcome | HeadraceError:
        killed = False
        try:
            return await work()
        except (AwsError, Unavailable) as e:
            return Unavailable(f"stack {stack}: {e}")
        except asyncio.CancelledError as e:
            killed = e.args == ("killed",)
            raise
        finally:
            del self.running[pid]
            if not killed:
                self.locks.pop(stack, None)

    async def _apply(self, plan: StackPlan, *, refresh: bool) -> StackOutcome:
        began_s, state = self._loop.time(), self.states.setdefault(plan.stack, {})
        declared = declared_fields(plan)
        fleets = {f"{ASG} {f.name}": f for f in plan.fleets}
        made = changed = deleted = 0
        for resource, fields in declared.items():
            await self._call()
            known: Fields | None = state.get(resource)
            if refresh or known is None:
                known = self._cloud.live({resource: fields})[resource]
            if known is None:
                made += 1
            elif any(known.get(f, v) != v for f, v in fields.items() if f not in NOT_COMPARED):
                changed += 1
            elif resource in state and not refresh:
                continue
            self._put(resource, fields, fleets.get(resource))
            state[resource] = fields
        for resource in [r for r in reversed(state) if r not in declared]:
            await self._remove(resource)
            del state[resource]
            deleted += 1
        unchanged = len(declared) - made - changed
        return StackOutcome(made, changed, deleted, unchanged, self._loop.time() - began_s)

    async def _destroy(self, stack: str) -> StackOutcome:
        began_s, state = self._loop.time(), self.states.setdefault(stack, {})
        deleted = len(state)
        for resource in list(reversed(state)):
            await self._remove(resource)
            del state[resource]
        return StackOutcome(deleted=deleted, seconds=self._loop.time() - began_s)

    def _put(self, resource: str, fields: Fields, fleet: AutoScalingGroup | None) -> None:
        self._say("", f"engine puts {resource}")
        if fleet is not None:
            self._cloud.put_fleet(fleet)
        else:
            self._cloud.put(resource, fields)

    async def _call(self) -> None:
        """To AWS, which may not answer."""
        await asyncio.sleep(self._chance.uniform(*RESOURCE_S))
        await self._fate.before()

    async def _remove(self, resource: str) -> None:
        await self._call()
        self._say("", f"engine removes {resource}")
        if not resource.startswith(ASG):
            self._cloud.resources.pop(resource, None)
            return
        name = resource.removeprefix(f"{ASG} ")
        if name in self._cloud.fleets.world.groups:
            self.removing(name)
        self._cloud.remove_fleet(name)
        over_s = self._loop.time() + GONE_S_MAX
        while name in self._cloud.fleets.world.groups:
            if self._loop.time() >= over_s:
                raise AwsError("Timeout", f"{name} is not gone after {GONE_S_MAX:.0f} s")
            await asyncio.sleep(LOOK_S)


def _difference(resource: str, declared: Fields, live: LiveFields) -> StackDifference | None:
    seen = live[resource]
    if seen is None:
        return StackDifference(resource, gone=True)
    fields = tuple((f, v, seen[f]) for f, v in declared.items() if f in seen and seen[f] != v and f not in NOT_COMPARED)
    return StackDifference(resource, fields=fields) if fields else None
