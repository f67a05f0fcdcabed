"""Auto Scaling groups on simulated time: the model of `localcloud/`, without its HTTP, behind the services' AWS ports.

A call takes time, may be throttled, may be described late, and may succeed without anybody hearing of it.
"""

import asyncio
import contextvars
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws import actions
from localcloud.aws.autoscaling import reconcile
from localcloud.aws.autoscaling.compute import Condition
from localcloud.aws.autoscaling.virtual_compute import SUBNETS, VirtualCompute
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError
from services.autoscaler.adapters.asg import ATTEMPT_S_MAX
from shared.aws.clients import aws_error
from shared.aws.groups import AsgInventory, AsgState
from shared.domain.errors import HeadraceError, Unavailable
from tests.sim.kernel.clock import EPOCH_S, SimClock
from tests.sim.kernel.loop import SimLoop
from tests.sim.world.fate import Fate

WORKSPACE = "default"
BOOT_S = (20.0, 90.0)
FRESH = 0.5
ZONES = tuple(sorted(set(SUBNETS.values())))
LANDS = contextvars.Context()  # nobody's: what is on its way needs no process


class _TrueClock:
    """The cloud's own clock is right."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return EPOCH_S + self._loop.time()


class Fleets:
    """All groups of the region; what is due happens when it is due."""

    boots: random.Random
    reads: random.Random

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        clock, ids = _TrueClock(loop), itertools.count(1)
        self.compute = VirtualCompute(clock, boot_s=lambda: self.boots.uniform(*BOOT_S))
        self.world = World(clock, self.compute, lambda: f"id-{next(ids)}")
        self._due: float | None = None
        self._described: tuple[AsgState, ...] | None = None  # until something changes
        self._late_s = 0.0
        self._past: list[tuple[float, tuple[AsgState, ...]]] = []  # (until when, what was so), oldest first

    def now(self) -> float:
        """The cloud's time, seconds since the epoch."""
        return self.world.clock.now()

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One API call; AwsError as AWS says it."""
        answer = actions.find(action, known=True)(self.world, parameters)
        if not action.startswith("Describe"):
            self._go_on()
        return answer

    def create(self, group: str, nodes: int, least: int, most: int) -> None:
        """A fleet of a group on its first revision, as the Provisioner shapes it."""
        fleet = f"{group}-r1"
        tags = {"managed": "true", "workspace": WORKSPACE, "group": group, "fleet": fleet, "revision": "1"}
        self.call(
            "CreateAutoScalingGroup",
            AutoScalingGroupName=f"default-{fleet}",
            MinSize=least,
            MaxSize=most,
            DesiredCapacity=nodes,
            LaunchTemplate={"LaunchTemplateId": "lt-1", "Version": "$Latest"},
            VPCZoneIdentifier=",".join(SUBNETS),
            Tags=[{"Key": f"headrace:{k}", "Value": v, "PropagateAtLaunch": True} for k, v in tags.items()],
        )

    def states(self) -> tuple[AsgState, ...]:
        """As `AsgInventory.describe` reads them."""
        if self._described is None:
            read = AsgInventory()
            answer = self.call("DescribeAutoScalingGroups")
            self._described = tuple(sorted((read._state(g) for g in answer["AutoScalingGroups"]), key=lambda s: s.name))
        return self._described

    def seen(self) -> tuple[AsgState, ...]:
        """As a caller of the API reads them: in late times every other answer is as old as that."""
        if not self._late_s or self.reads.random() < FRESH:
            return self.states()
        then = self.now() - self._late_s
        return next((states for until_s, states in self._past if until_s > then), self.states())

    def describe_late(self, late_s: float) -> None:
        """From now on answers may be so old; 0: they are as things are."""
        self._late_s = late_s
        self._past.clear()
        self.states()

    def lose_machine(self, group: str) -> None:
        """The oldest machine in service of a group dies."""
        for asg in self.world.groups.values():
            if asg.name != f"default-{group}-r1":
                continue
            serving = [m.id for m in asg.capacity if m.in_service_at]
            if serving:
                self.lose(serving[0])

    def lose(self, machine: str) -> None:
        """This one dies."""
        self.compute.conditions[machine] = Condition.GONE
        self.world.machine_changed(machine)
        self._go_on()

    def refuse(self, zones: Sequence[str], code: str) -> None:
        """Launches in these zones fail with a code; empty: they work again."""
        for zone in zones:
            if code:
                self.compute.refusals[zone] = code
            else:
                self.compute.refusals.pop(zone, None)

    def _go_on(self) -> None:
        if self._late_s and self._described is not None:
            self._past = [(u, s) for u, s in self._past if u > self.now() - self._late_s]
            self._past.append((self.now(), self._described))
        self._described = None
        reconcile.run_due(self.world)
        if self._late_s:
            self.states()  # the next change makes it the past
        due = self.world.next_due()
        if due is not None and (self._due is None or due < self._due):
            self._due = due
            self._loop.call_at(due - EPOCH_S, self._arrived, due, context=contextvars.Context())

    def _arrived(self, due: float) -> None:
        if self._due == due:
            self._due = None
        self._go_on()


class SimSizes:
    """Implements the Autoscaler's `Sizes`: one attempt each, as the real adapter.

    A call that was sent is AWS's: it takes effect within the adapter's timeouts, whatever becomes of who sent it.
    """

    def __init__(self, fleets: Fleets, fate: Fate, clock: SimClock, asked: Callable[[str, int], None]) -> None:
        self._fleets, self._fate, self._clock, self._asked = fleets, fate, clock, asked

    async def set_desired(self, asg: str, nodes: int, over_by_s: float) -> None:
        """Absolute; looked at once more when it is about to be sent."""
        unheard = await self._fate.before("set_desired")
        if over_by_s - self._clock.monotonic() < ATTEMPT_S_MAX:
            self._fate.reached("a write was not sent: its lease had too little left")
            raise Unavailable(f"{asg}: the lease has too little left")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        loop.call_later(self._fate.on_its_way_s(ATTEMPT_S_MAX), self._land, asg, nodes, answer, context=LANDS)
        await answer
        await self._fate.back(unheard=unheard)

    def _land(self, asg: str, nodes: int, answer: "asyncio.Future[None]") -> None:
        try:
            if asg in self._fleets.world.groups:
                self._asked(asg, nodes)
            self._call("SetDesiredCapacity", AutoScalingGroupName=asg, DesiredCapacity=nodes, HonorCooldown=False)
        except HeadraceError as e:
            if not answer.done():
                answer.set_exception(e)
        else:
            if not answer.done():
                answer.set_result(None)

    async def failure(self, asg: str, since_s: float) -> str:
        """The newest failed scaling activity."""
        await self._fate.before()
        answer = self._call("DescribeScalingActivities", AutoScalingGroupName=asg, MaxRecords=20)
        failed = [
            a
            for a in answer["Activities"]
            if a["StatusCode"] in {"Failed", "Cancelled"} and a["StartTime"].timestamp() >= since_s
        ]
        if not failed:
            return ""
        newest = max(failed, key=lambda a: a["StartTime"])
        return f"{asg}: {newest.get('StatusMessage') or newest['StatusCode']}"

    def _call(self, action: str, **parameters: Any) -> dict[str, Any]:
        try:
            return self._fleets.call(action, **parameters)
        except AwsError as e:
            said = ClientError({"Error": {"Code": e.code, "Message": str(e)}}, action)
            raise aws_error(said, f"{action} {parameters['AutoScalingGroupName']}") from e
