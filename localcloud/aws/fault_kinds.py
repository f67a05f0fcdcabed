"""The kinds of faults, what may be said of each, and its bounds.

    throttle                  by a token bucket (`rate_per_s`, `burst`) over all calls that match; without a rate, each
    throttle-as-aws           by the buckets that AWS has published, one for each action of EC2, one for all of Auto Scaling
    unavailable               503 before the effect
    error-after-effect        500 after the effect: the caller must find out what happened
    lost-reply                the effect, and then the connection is closed without an answer
    slow                      the answer comes `delay_s` later
    stale-reads               a describe tells what was `delay_s` ago: the old state, or nothing of what is new; `service`:
                              autoscaling, ec2 or iam, or all three
    activity-in-progress      Auto Scaling refuses with ScalingActivityInProgress
    insufficient-capacity     EC2 has no machine of `instance_type` in `zone`, or only `spare` more; `purchase`: spot or on-demand
    failing-target            load balancers' checks of `machine` fail, in `target_group` (an ARN) or in all
    spot-price                spot machines of `instance_type` in `zone` cost `factor` times as much (at most the on-demand price)
    clock-skew                the clock of `machine` is `offset_s` ahead (negative: behind)
    slow-disk                 each read, write and sync of a file takes `machine` `delay_s` longer

Every fault has an end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.aws.errors import ValidationError

THROTTLE, THROTTLE_AS_AWS, UNAVAILABLE, STALE_READS = "throttle", "throttle-as-aws", "unavailable", "stale-reads"
LATE_ERROR, LOST_REPLY, SLOW, IN_PROGRESS = "error-after-effect", "lost-reply", "slow", "activity-in-progress"
NO_CAPACITY, SPOT_PRICE = "insufficient-capacity", "spot-price"
CLOCK_SKEW, SLOW_DISK, FAILING_TARGET = "clock-skew", "slow-disk", "failing-target"
PURCHASES = ("", "spot", "on-demand")
OF_CALLS = frozenset({"service", "actions", "share"})
KINDS: Mapping[str, frozenset[str]] = {  # kind -> what may be said of it, besides `seconds`
    THROTTLE: OF_CALLS | {"rate_per_s", "burst"},
    THROTTLE_AS_AWS: frozenset({"service"}),
    UNAVAILABLE: OF_CALLS,
    LATE_ERROR: OF_CALLS,
    LOST_REPLY: OF_CALLS,
    SLOW: OF_CALLS | {"delay_s"},
    STALE_READS: frozenset({"delay_s", "service"}),
    IN_PROGRESS: frozenset({"actions", "share"}),
    NO_CAPACITY: frozenset({"instance_type", "zone", "share", "purchase", "spare"}),
    FAILING_TARGET: frozenset({"machine", "target_group"}),
    SPOT_PRICE: frozenset({"instance_type", "zone", "factor"}),
    CLOCK_SKEW: frozenset({"machine", "offset_s"}),
    SLOW_DISK: frozenset({"machine", "delay_s"}),
}
BEFALL_CALLS = frozenset({THROTTLE, THROTTLE_AS_AWS, UNAVAILABLE, LATE_ERROR, LOST_REPLY, SLOW, IN_PROGRESS})
OF_MACHINES = frozenset({CLOCK_SKEW, SLOW_DISK})
READ_LATE = ("autoscaling", "ec2", "iam")
SECONDS_MAX = 3600.0
DELAYS_S_MAX = {SLOW: 60.0, SLOW_DISK: 60.0, STALE_READS: SECONDS_MAX}
OFFSET_S_MAX = 366 * 86_400.0
RATE_MAX = 100_000.0
SPARE_MAX = 100_000
FACTOR_MAX = 1_000.0
TEXT_CHARACTERS_MAX = 200
ACTIONS_MAX = 100


@dataclass(slots=True, frozen=True)
class Fault:
    """What goes wrong until `ends_at`. Empty fields match everything; an action matches by prefix."""

    id: str
    kind: str
    ends_at: float
    service: str = ""
    actions: tuple[str, ...] = ()
    instance_type: str = ""
    zone: str = ""
    machine: str = ""
    target_group: str = ""
    purchase: str = ""
    spare: int = 0  # machines that EC2 has left
    share: float = 1.0  # of the calls that match
    rate_per_s: float = 0.0  # 0: no call passes
    burst: float = 1.0
    delay_s: float = 0.0
    offset_s: float = 0.0
    factor: float = 1.0

    def concerns_call(self, service: str, action: str) -> bool:
        """Whether it is about this call."""
        return self.service in {"", service} and (not self.actions or action.startswith(self.actions))

    def concerns_launch(self, instance_type: str, zone: str) -> bool:
        """Whether it is about machines of this type in this zone."""
        return self.instance_type in {"", instance_type} and self.zone in {"", zone}


def read(wanted: Mapping[str, Any], fault_id: str, now: float) -> Fault:
    """A fault as it was asked for: `kind`, `seconds`, and what it is about; ValidationError."""
    kind = text(wanted, "kind")
    if kind not in KINDS:
        raise ValidationError(f"kind must be one of {', '.join(KINDS)}: {kind}")
    if unknown := set(wanted) - KINDS[kind] - {"kind", "seconds"}:
        known = ", ".join(sorted(KINDS[kind]))
        raise ValidationError(f"unknown fields of {kind}: {', '.join(sorted(unknown))}; it has seconds, {known}")
    seconds = number(wanted, "seconds", None, SECONDS_MAX, ": every fault ends")
    if kind in OF_MACHINES and not text(wanted, "machine"):
        raise ValidationError(f"machine must be the id of a machine: {kind} is of one machine")
    return Fault(
        id=fault_id,
        kind=kind,
        ends_at=now + seconds,
        service=service(wanted, kind),
        actions=prefixes(wanted.get("actions", ())),
        instance_type=text(wanted, "instance_type"),
        zone=text(wanted, "zone"),
        machine=text(wanted, "machine"),
        target_group=text(wanted, "target_group"),
        purchase=purchase(wanted),
        spare=int(number(wanted, "spare", None, SPARE_MAX)) if "spare" in wanted else 0,
        share=number(wanted, "share", 1.0, 1.0),
        rate_per_s=number(wanted, "rate_per_s", None, RATE_MAX) if "rate_per_s" in wanted else 0.0,
        burst=number(wanted, "burst", 1.0, RATE_MAX),
        delay_s=number(wanted, "delay_s", None, DELAYS_S_MAX[kind]) if kind in DELAYS_S_MAX else 0.0,
        offset_s=offset(wanted) if kind == CLOCK_SKEW else 0.0,
        factor=number(wanted, "factor", None, FACTOR_MAX) if kind == SPOT_PRICE else 1.0,
    )


def number(wanted: Mapping[str, Any], name: str, default: float | None, most: float, why: str = "") -> float:
    """A field above 0 and at most `most`; ValidationError."""
    value = wanted.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise ValidationError(f"{name} must be above 0 and at most {most:g}{why}: {value}")
    return float(value)


def offset(wanted: Mapping[str, Any]) -> float:
    """By how many seconds a clock is wrong; ValidationError."""
    value = wanted.get("offset_s")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < abs(value) <= OFFSET_S_MAX:
        raise ValidationError(f"offset_s must be seconds, not 0, from -{OFFSET_S_MAX:g} to {OFFSET_S_MAX:g}: {value}")
    return float(value)


def text(wanted: Mapping[str, Any], name: str) -> str:
    """A field that is text; ValidationError."""
    value = wanted.get(name, "")
    if not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX:
        raise ValidationError(f"{name} must be text of at most {TEXT_CHARACTERS_MAX} characters: {str(value)[:80]}")
    return value


def service(wanted: Mapping[str, Any], kind: str) -> str:
    """The service that a fault is of; empty: all that can have it; ValidationError."""
    value = "autoscaling" if kind == IN_PROGRESS else text(wanted, "service")
    if kind == STALE_READS and value not in {"", *READ_LATE}:
        raise ValidationError(f"service must be one of {', '.join(READ_LATE)}, or left out for all of them: {value}")
    return value


def purchase(wanted: Mapping[str, Any]) -> str:
    """How machines are bought: spot, on-demand, or either when it is left out; ValidationError."""
    value = text(wanted, "purchase")
    if value not in PURCHASES:
        raise ValidationError(f"purchase must be one of {', '.join(filter(None, PURCHASES))}: {value}")
    return value


def prefixes(value: object) -> tuple[str, ...]:
    """A list of beginnings of actions; ValidationError."""
    found = tuple(one for one in value if isinstance(one, str) and one) if isinstance(value, list | tuple) else ()
    if not isinstance(value, list | tuple) or len(found) != len(value) or len(found) > ACTIONS_MAX:
        raise ValidationError(
            f"actions must be a list of at most {ACTIONS_MAX} beginnings of actions' names: {str(value)[:80]}"
        )
    return found
