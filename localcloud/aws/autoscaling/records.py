"""What is known of a group: plain records, which only the functions of this package change, under one lock.

Times are seconds since the epoch, durations seconds. Every record can be written as JSON and read back
(`documents`), which is how a group survives a restart.
"""

from dataclasses import dataclass, field
from typing import Any

from localcloud.aws.autoscaling.lifecycle import CAPACITY, TRANSITIONS, WARM, Lifecycle
from localcloud.aws.autoscaling.plans import (
    Configuration,
    Policy,
    Refresh,
    RefreshStatus,
    ScheduledAction,
    TemplateRef,
    WarmPool,
)

ACTIVITIES_KEPT_MAX = 200
HOOK_TIMEOUT_S_DEFAULT = 3600
COOLDOWN_S_DEFAULT = 300


@dataclass(slots=True, frozen=True)
class Tag:
    """A tag of a group."""

    key: str
    value: str
    propagate: bool


@dataclass(slots=True)
class Hook:
    """A lifecycle hook; `transition` is autoscaling:EC2_INSTANCE_LAUNCHING or ..._TERMINATING."""

    name: str
    transition: str
    timeout_s: int = HOOK_TIMEOUT_S_DEFAULT
    default_result: str = "ABANDON"
    target: str = ""
    role: str = ""
    metadata: str = ""


@dataclass(slots=True)
class HookAction:
    """One hook that holds one instance now; `result` is empty until somebody or the timeout decides."""

    hook: str
    token: str
    timeout_s: int
    default_result: str
    expires_at: float
    ends_at: float  # heartbeats do not carry it beyond this
    result: str = ""
    reason: str = ""


@dataclass(slots=True)
class Member:
    """An instance of the group. `template` has the version that was resolved at its launch."""

    id: str
    zone: str
    subnet: str
    instance_type: str
    template: TemplateRef
    launched_at: float
    ready_at: float  # when the machine is running
    lifecycle: Lifecycle = Lifecycle.PENDING
    healthy: bool = True
    health_cause: str = ""
    health_cause_at: float = 0.0
    protected: bool = False
    in_service_at: float = 0.0
    actions: list[HookAction] = field(default_factory=list)
    activity_id: str = ""
    hooks_skipped: bool = False
    booted: bool = False
    ended: bool = False
    weight: int = 1  # units of capacity that it counts for
    weighted: bool = False  # whether its policy gives weights
    spot: bool = False
    dead: bool = False  # stopped or gone: to replace it costs no capacity
    balancing: bool = False  # launched ahead, to even out the zones
    returning: bool = False  # on its way from the group to the warm pool
    draining_until: float = 0.0  # what load balancers have sent it may end until then

    def move(self, to: Lifecycle) -> None:
        """Go to the next state; a move that the table does not have is a defect of ours."""
        if to not in TRANSITIONS[self.lifecycle]:
            raise AssertionError(f"{self.id}: {self.lifecycle} may not become {to}")
        self.lifecycle = to

    @property
    def counts(self) -> bool:
        """Whether it counts against the desired capacity."""
        return self.lifecycle in CAPACITY

    @property
    def warm(self) -> bool:
        """Whether it belongs to the warm pool."""
        return self.lifecycle in WARM


@dataclass(slots=True)
class Activity:
    """A scaling activity; `ended_at` is 0 while it runs."""

    id: str
    description: str
    cause: str
    started_at: float
    status: str
    instance_id: str = ""
    zone: str = ""
    subnet: str = ""
    ended_at: float = 0.0
    message: str = ""
    progress: int = 0

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self.ended_at


@dataclass(slots=True)
class Group:
    """An Auto Scaling group. `stored` keeps, as given, the settings that are returned but steer nothing here."""

    name: str
    arn: str
    created_at: float
    min: int
    max: int
    desired: int
    template: TemplateRef
    subnets: list[str]
    zones: list[str]
    mixed: dict[str, Any] | None = None
    cooldown_s: int = COOLDOWN_S_DEFAULT
    health_check_type: str = "EC2"
    grace_s: int = 0
    protect_new: bool = False
    termination_policies: list[str] = field(default_factory=lambda: ["Default"])
    suspended: dict[str, str] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    hooks: dict[str, Hook] = field(default_factory=dict)
    target_groups: list[str] = field(default_factory=list)
    stored: dict[str, Any] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)  # oldest first
    deleting: bool = False
    request_cause: str = ""  # who changed what was wanted, in AWS's words; part of the next activities' cause
    scaled_at: float = 0.0  # when the last scaling activity ended; 0: never
    launch_failures: int = 0
    launch_retry_at: float = 0.0
    rebalance_at: float = 0.0  # not before then, because a zone had no room
    load_balancers: list[str] = field(default_factory=list)
    attached: dict[str, str] = field(
        default_factory=dict
    )  # target group or load balancer -> the state of its attachment
    detaching: dict[str, float] = field(default_factory=dict)  # what was detached -> until when it drains
    refreshes: list[Refresh] = field(default_factory=list)  # oldest first
    warm_pool: WarmPool | None = None
    schedules: dict[str, ScheduledAction] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    notifications: dict[str, list[str]] = field(default_factory=dict)  # topic -> events that it is told of
    metrics: list[str] = field(default_factory=list)  # that are published
    metrics_at: float = 0.0  # when they are published next
    alarms_at: float = 0.0  # when the alarms of the policies are looked at next
    deleted_at: float = 0.0

    @property
    def balancers(self) -> list[str]:
        """All target groups and load balancers."""
        return [*self.target_groups, *self.load_balancers]

    @property
    def elb_health(self) -> bool:
        """Whether what load balancers find counts for the health of instances."""
        return "ELB" in (kind.strip() for kind in self.health_check_type.split(","))

    @property
    def units(self) -> int:
        """What counts against the desired capacity: instances, or the sum of their weights."""
        return sum(m.weight for m in self.capacity)

    @property
    def warm(self) -> list[Member]:
        """The members of the warm pool, oldest first."""
        return [m for m in self.members.values() if m.warm]

    @property
    def refresh(self) -> Refresh | None:
        """The instance refresh that has not ended."""
        return self.refreshes[-1] if self.refreshes and self.refreshes[-1].active else None

    @property
    def configuration(self) -> Configuration:
        """What instances are launched from now: during a refresh, what it wants."""
        refresh = self.refresh
        if refresh and refresh.wanted and refresh.status is not RefreshStatus.ROLLING_BACK:
            return refresh.wanted
        return Configuration(self.template, self.mixed)

    @property
    def warmup_s(self) -> int | None:
        """The default instance warm-up; None when it was never set or was taken back."""
        value = self.stored.get("DefaultInstanceWarmup")
        return None if value is None or value < 0 else int(value)

    @property
    def maintenance(self) -> tuple[int, int] | None:
        """The instance maintenance policy: minimum and maximum healthy percentage."""
        policy = self.stored.get("InstanceMaintenancePolicy") or {}
        least, most = policy.get("MinHealthyPercentage", -1), policy.get("MaxHealthyPercentage", -1)
        return None if least < 0 or most < 0 else (int(least), int(most))

    @property
    def capacity(self) -> list[Member]:
        """The members that count against the desired capacity, oldest first."""
        return [m for m in self.members.values() if m.counts]

    def active(self, process: str) -> bool:
        """Whether a process (Launch, Terminate, ReplaceUnhealthy, ...) is not suspended."""
        return process not in self.suspended

    def record(self, activity: Activity) -> None:
        """Keep an activity; the oldest ended ones are forgotten beyond the limit."""
        self.activities.append(activity)
        surplus = len(self.activities) - ACTIVITIES_KEPT_MAX
        if surplus > 0:
            ended = [a.id for a in self.activities if not a.running][:surplus]
            self.activities = [a for a in self.activities if a.id not in ended]

    def activity(self, activity_id: str) -> Activity | None:
        """An activity that is still kept."""
        return next((a for a in reversed(self.activities) if a.id == activity_id), None)
