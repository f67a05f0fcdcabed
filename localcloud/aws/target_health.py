"""The health of one target of a target group, as a load balancer sees it. Pure.

After "Health checks for your target groups" and "Target groups: deregistration delay" of the load balancers' user guides. A
target begins as `initial`; its first check that passes makes it healthy, so many failures in a row make it unhealthy, and
from there so many passes in a row make it healthy again. A target that is deregistered drains for the delay of its group.
"""

from dataclasses import dataclass
from enum import StrEnum


class TargetState(StrEnum):
    """As AWS spells it."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    UNUSED = "unused"
    UNAVAILABLE = "unavailable"


REGISTERING, CHECKING = "Elb.RegistrationInProgress", "Elb.InitialHealthChecking"
FAILED, TIMEOUT, MISMATCH = "Target.FailedHealthChecks", "Target.Timeout", "Target.ResponseCodeMismatch"
NOT_REGISTERED, NOT_IN_USE = "Target.NotRegistered", "Target.NotInUse"
INVALID_STATE, DISABLED = "Target.InvalidState", "Target.HealthCheckDisabled"
DEREGISTERING = "Target.DeregistrationInProgress"
DESCRIPTIONS = {
    REGISTERING: "Target registration is in progress",
    CHECKING: "Initial health checks in progress",
    FAILED: "Health checks failed",
    TIMEOUT: "Request timed out",
    MISMATCH: "Health checks failed with these codes",
    NOT_REGISTERED: "Target is not registered to the target group",
    NOT_IN_USE: "Target group is not configured to receive traffic from the load balancer",
    INVALID_STATE: "Target is in the stopped or terminated state",
    DISABLED: "Health checks are disabled for this target",
    DEREGISTERING: "Target deregistration is in progress",
}


@dataclass(slots=True, frozen=True)
class CheckSettings:
    """How a target group checks its targets: seconds, and how many checks in a row decide."""

    interval_s: float
    timeout_s: float
    healthy_count: int
    unhealthy_count: int


@dataclass(slots=True, frozen=True)
class Outcome:
    """What a check has found: a reason code, empty when it passed, and what is to be said of it besides."""

    reason: str = ""
    detail: str = ""


@dataclass(slots=True)
class Target:
    """What is known of one target; `next_at` is when it is checked next, times in seconds since the epoch."""

    next_at: float
    state: TargetState = TargetState.INITIAL
    reason: str = REGISTERING
    detail: str = ""
    passed: int = 0  # checks in a row
    failed: int = 0
    draining_until: float = 0.0

    @property
    def description(self) -> str:
        """The reason in words."""
        said = DESCRIPTIONS.get(self.reason, "")
        return f"{said}: [{self.detail}]" if self.detail else said


def observe(target: Target, settings: CheckSettings, outcome: Outcome, now: float) -> bool:
    """Count a check of a target that is registered; whether its state is another now.

    >>> target, settings = Target(0.0), CheckSettings(30, 5, 3, 2)
    >>> [observe(target, settings, Outcome(FAILED), now) for now in (0, 30)], target.state.value
    ([False, True], 'unhealthy')
    >>> [observe(target, settings, Outcome(), now) for now in (60, 90, 120)], target.state.value
    ([False, False, True], 'healthy')
    """
    before = target.state
    target.next_at = now + settings.interval_s
    if outcome.reason:
        target.passed, target.failed = 0, target.failed + 1
        if target.failed >= settings.unhealthy_count:
            target.state = TargetState.UNHEALTHY
        if target.state is TargetState.UNHEALTHY:
            target.reason, target.detail = outcome.reason, outcome.detail
        elif target.state is TargetState.INITIAL:
            target.reason = CHECKING
    else:
        target.passed, target.failed = target.passed + 1, 0
        if target.state is TargetState.INITIAL or target.passed >= settings.healthy_count:
            target.state, target.reason, target.detail = TargetState.HEALTHY, "", ""
    return target.state is not before


def drain(target: Target, until: float) -> None:
    """It was deregistered: what is under way may end until then."""
    target.state, target.reason, target.detail = TargetState.DRAINING, DEREGISTERING, ""
    target.draining_until = until
