"""What a group is to do beyond holding its desired capacity: refresh, warm pool, schedule, policies. Records only.

Times are seconds since the epoch (0: not yet, or never), durations seconds.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

CHECKPOINT_DELAY_S_DEFAULT = 3600
HEALTHY_MIN_DEFAULT, HEALTHY_MAX_DEFAULT = 90, 100


@dataclass(slots=True, frozen=True)
class TemplateRef:
    """A launch template; `version` as the caller gave it ("3", "$Latest", "$Default")."""

    id: str
    name: str
    version: str


@dataclass(slots=True, frozen=True)
class Configuration:
    """What instances are launched from: a template, and the mixed instances policy around it if there is one."""

    template: TemplateRef
    mixed: dict[str, Any] | None = None


class RefreshStatus(StrEnum):
    """As AWS spells it."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    BAKING = "Baking"
    CANCELLING = "Cancelling"
    ROLLING_BACK = "RollbackInProgress"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    ROLLED_BACK = "RollbackSuccessful"
    ROLLBACK_FAILED = "RollbackFailed"


REFRESH_ACTIVE = frozenset(
    {
        RefreshStatus.PENDING,
        RefreshStatus.IN_PROGRESS,
        RefreshStatus.BAKING,
        RefreshStatus.CANCELLING,
        RefreshStatus.ROLLING_BACK,
    }
)


@dataclass(slots=True)
class Preferences:
    """How an instance refresh goes about it; defaults are those of the API, not of the console."""

    least: int = HEALTHY_MIN_DEFAULT
    most: int = HEALTHY_MAX_DEFAULT
    warmup_s: int = 0
    checkpoints: list[int] = field(default_factory=list)
    checkpoint_delay_s: int = CHECKPOINT_DELAY_S_DEFAULT
    skip_matching: bool = False
    auto_rollback: bool = False
    protected: str = "Wait"
    standby: str = "Wait"
    alarms: list[str] = field(default_factory=list)
    bake_s: int = 0


@dataclass(slots=True)
class Rollback:
    """Why a refresh is undone, and how far it had come."""

    reason: str
    started_at: float
    percentage: int
    to_update: int
    total: int = 0  # instances that have to go back


@dataclass(slots=True)
class Refresh:
    """An instance refresh. `old` are the instances that are still to go; `given` the preferences as they were given."""

    id: str
    status: RefreshStatus
    preferences: Preferences
    given: dict[str, Any]
    previous: Configuration
    started_at: float
    wanted: Configuration | None = None
    reason: str = ""
    ended_at: float = 0.0
    old: list[str] = field(default_factory=list)
    warm_total: int = 0
    warm_left: int = 0
    total: int = 0
    updated: int = 0  # replaced, in service and warmed up
    checkpoints_passed: int = 0
    paused_until: float = 0.0
    progress_at: float = 0.0
    bake_until: float = 0.0
    rollback: Rollback | None = None
    wait_for_instances: bool = True  # of a cancellation: let what is under way end

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.status in REFRESH_ACTIVE


@dataclass(slots=True)
class WarmPool:
    """Machines that are launched ahead of need. `prepared_max` counts them together with the group; None: its maximum."""

    state: str = "Stopped"
    min: int = 0
    prepared_max: int | None = None
    reuse: bool = False
    deleting: bool = False
    launch_failures: int = 0
    launch_retry_at: float = 0.0


@dataclass(slots=True)
class ScheduledAction:
    """A change of size at a time, or at each time that `recurrence` (cron, in `zone`) says."""

    name: str
    arn: str
    next_at: float
    starts_at: float = 0.0
    ends_at: float = 0.0
    recurrence: str = ""
    zone: str = ""
    min: int | None = None
    max: int | None = None
    desired: int | None = None


@dataclass(slots=True)
class Policy:
    """A scaling policy; `settings` as it was put. `alarms` are those that target tracking keeps for itself."""

    name: str
    arn: str
    type: str
    settings: dict[str, Any]
    enabled: bool = True
    alarms: list[str] = field(default_factory=list)
    acted_at: float = 0.0  # for an alarm that is still in ALARM
