"""All groups of one account and region, the ports, and the agenda that says which group has something due when.

A group on the agenda is stepped once its time has come (`run_due`); waking it twice does no harm. `changed` collects
the names of groups to be written to the state file. Nothing here locks: whoever owns the world serialises access.
"""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from localcloud.aws.autoscaling.alarms import Alarms, VirtualAlarms
from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.autoscaling.compute import Compute
from localcloud.aws.autoscaling.messages import Messages, VirtualMessages
from localcloud.aws.autoscaling.records import Group, Member
from localcloud.aws.errors import ValidationError

DELETED_KEPT_S = 42 * 86_400.0  # activities of deleted groups are told for six weeks
DELETED_KEPT_MAX = 1_000


@dataclass(slots=True)
class Quotas:
    """AWS's own default limits (service quotas of Auto Scaling)."""

    groups: int = 500
    hooks_per_group: int = 50
    target_groups_per_group: int = 50


@dataclass(slots=True)
class World:
    """The groups of a region; `new_id` gives ids for activities and tokens."""

    clock: Clock
    compute: Compute
    new_id: Callable[[], str]
    account: str = "123456789012"
    region: str = "us-east-1"
    quotas: Quotas = field(default_factory=Quotas)
    alarms: Alarms = field(default_factory=VirtualAlarms)
    messages: Messages = field(default_factory=VirtualMessages)
    groups: dict[str, Group] = field(default_factory=dict)
    deleted: dict[str, Group] = field(default_factory=dict)  # by ARN: what is still told of groups that are gone
    changed: set[str] = field(default_factory=set)
    owners: dict[str, str] = field(default_factory=dict)  # instance id -> group name
    _agenda: list[tuple[float, int, str]] = field(default_factory=list)
    _due: dict[str, float] = field(default_factory=dict)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)

    def group(self, name: str) -> Group:
        """A group that exists and is not being deleted."""
        group = self.groups.get(name)
        if group is None or group.deleting:
            raise ValidationError(f"AutoScalingGroup name not found - {name}")
        return group

    def member(self, instance_id: str) -> tuple[Group, Member]:
        """An instance of any group."""
        group = self.groups.get(self.owners.get(instance_id, ""))
        if group is None:
            raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")
        return group, group.members[instance_id]

    def touch(self, group: Group) -> None:
        """The group was changed: write it down, and let it be stepped now."""
        self.changed.add(group.name)
        self.wake(group.name, self.clock.now())

    def wake(self, name: str, when: float) -> None:
        """Step the group at a time, or earlier if it is on the agenda earlier."""
        if self._due.get(name, float("inf")) <= when:
            return
        self._due[name] = when
        heapq.heappush(self._agenda, (when, next(self._order), name))

    def machine_changed(self, instance_id: str) -> None:
        """The machine's side has news of an instance."""
        if name := self.owners.get(instance_id):
            self.wake(name, self.clock.now())

    def next_due(self) -> float | None:
        """When the next group has something to do; None: never, as things stand."""
        while self._agenda:
            when, _, name = self._agenda[0]
            if self._due.get(name) == when:
                return when
            heapq.heappop(self._agenda)
        return None

    def take_due(self) -> str | None:
        """The name of a group whose time has come, taken off the agenda."""
        when = self.next_due()
        if when is None or when > self.clock.now():
            return None
        name = heapq.heappop(self._agenda)[2]
        del self._due[name]
        return name

    def forget(self, group: Group) -> None:
        """The group is gone."""
        self.groups.pop(group.name, None)
        self.changed.add(group.name)
        group.deleted_at = self.clock.now()
        self.deleted[group.arn] = group
        self.changed.add(group.arn)
        horizon = self.clock.now() - DELETED_KEPT_S
        old = [arn for arn, one in self.deleted.items() if one.deleted_at < horizon]
        for arn in [*old, *list(self.deleted)[: len(self.deleted) - len(old) - DELETED_KEPT_MAX]]:
            self.deleted.pop(arn, None)
            self.changed.add(arn)

    def record(self, key: str) -> Group | None:
        """The group of a name, or the deleted one of an ARN; None when nothing is to be kept of it."""
        return self.groups.get(key) or self.deleted.get(key)
