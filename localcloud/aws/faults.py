"""Faults on request: which calls are throttled, fail, are slow or lose their answer, and where EC2 has no capacity.

    throttle                  by a token bucket (`rate_per_s`, `burst`) over all calls that match; without a rate, each
    unavailable               503 before the effect
    error-after-effect        500 after the effect: the caller must find out what happened
    lost-reply                the effect, and then the connection is closed without an answer
    slow                      the answer comes `delay_s` later
    activity-in-progress      Auto Scaling refuses with ScalingActivityInProgress
    insufficient-capacity     EC2 has no machine of `instance_type` in `zone`
    spot-price                spot machines of `instance_type` in `zone` cost `factor` times as much (at most the on-demand price)

Every fault has an end.
"""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.errors import AwsError, ValidationError

THROTTLE, UNAVAILABLE, NO_CAPACITY = "throttle", "unavailable", "insufficient-capacity"
SPOT_PRICE = "spot-price"
LATE_ERROR, LOST_REPLY, SLOW, IN_PROGRESS = "error-after-effect", "lost-reply", "slow", "activity-in-progress"
OF_CALLS = frozenset({"service", "actions", "share"})
KINDS: Mapping[str, frozenset[str]] = {  # kind -> what may be said of it, besides `seconds`
    THROTTLE: OF_CALLS | {"rate_per_s", "burst"},
    UNAVAILABLE: OF_CALLS,
    LATE_ERROR: OF_CALLS,
    LOST_REPLY: OF_CALLS,
    SLOW: OF_CALLS | {"delay_s"},
    IN_PROGRESS: frozenset({"actions", "share"}),
    NO_CAPACITY: frozenset({"instance_type", "zone", "share"}),
    SPOT_PRICE: frozenset({"instance_type", "zone", "factor"}),
}
SECONDS_MAX = 3600.0
DELAY_S_MAX = 60.0
RATE_MAX = 100_000.0
FACTOR_MAX = 1_000.0
OF_LAUNCHES = frozenset({NO_CAPACITY, SPOT_PRICE})  # the kinds that no call meets
FAULTS_MAX = 100
THROTTLING_CODES: Mapping[str, tuple[str, int]] = {
    "ec2": ("RequestLimitExceeded", 503),
    "s3": ("SlowDown", 503),
    "ssm": ("ThrottlingException", 400),
    "logs": ("ThrottlingException", 400),
    "pricing": ("ThrottlingException", 400),
}


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
    share: float = 1.0  # of the calls that match
    rate_per_s: float = 0.0  # 0: no call passes
    burst: float = 1.0
    delay_s: float = 0.0
    factor: float = 1.0

    def concerns_call(self, service: str, action: str) -> bool:
        """Whether it is about this call."""
        return self.service in {"", service} and (not self.actions or action.startswith(self.actions))

    def concerns_launch(self, instance_type: str, zone: str) -> bool:
        """Whether it is about machines of this type in this zone."""
        return self.instance_type in {"", instance_type} and self.zone in {"", zone}


@dataclass(slots=True, frozen=True)
class Plight:
    """What befalls a call besides being refused at once."""

    delay_s: float = 0.0
    error_after: bool = False
    reply_lost: bool = False


class Bucket:
    """Tokens that come at a rate, up to a burst (EC2's developer guide, "Request throttling").

    >>> bucket = Bucket(rate_per_s=2, burst=1, now=0.0)
    >>> bucket.take(0.0), bucket.take(0.1), bucket.take(0.6)
    (True, False, True)
    """

    def __init__(self, rate_per_s: float, burst: float, now: float) -> None:
        """It begins full."""
        self._rate, self._burst, self._tokens, self._at = rate_per_s, burst, burst, now

    def take(self, now: float) -> bool:
        """Whether there was a token."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Faults:
    """The faults that are on now."""

    def __init__(self, clock: Clock, new_id: Callable[[], str], chance: random.Random) -> None:
        """`chance` decides which share of the calls is hit."""
        self._clock, self._new_id, self._chance = clock, new_id, chance
        self._faults: dict[str, Fault] = {}
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def inject(self, wanted: Mapping[str, Any]) -> Fault:
        """Begin a fault: `kind`, `seconds`, and what it is about; ValidationError."""
        kind = text(wanted, "kind")
        if kind not in KINDS:
            raise ValidationError(f"kind must be one of {', '.join(KINDS)}: {kind}")
        if unknown := set(wanted) - KINDS[kind] - {"kind", "seconds"}:
            known = ", ".join(sorted(KINDS[kind]))
            raise ValidationError(f"unknown fields of {kind}: {', '.join(sorted(unknown))}; it has seconds, {known}")
        seconds = number(wanted, "seconds", None, SECONDS_MAX, ": every fault ends")
        rated = "rate_per_s" in wanted
        fault = Fault(
            id=self._new_id(),
            kind=kind,
            ends_at=self._clock.now() + seconds,
            service=text(wanted, "service") if kind != IN_PROGRESS else "autoscaling",
            actions=prefixes(wanted.get("actions", ())),
            instance_type=text(wanted, "instance_type"),
            zone=text(wanted, "zone"),
            share=number(wanted, "share", 1.0, 1.0),
            rate_per_s=number(wanted, "rate_per_s", None, RATE_MAX) if rated else 0.0,
            burst=number(wanted, "burst", 1.0, RATE_MAX),
            delay_s=number(wanted, "delay_s", None, DELAY_S_MAX) if kind == SLOW else 0.0,
            factor=number(wanted, "factor", None, FACTOR_MAX) if kind == SPOT_PRICE else 1.0,
        )
        with self._lock:
            self._drop_ended()
            if len(self._faults) >= FAULTS_MAX:
                raise ValidationError(f"{FAULTS_MAX} faults are on: clear some")
            self._faults[fault.id] = fault
            if rated:
                self._buckets[fault.id] = Bucket(fault.rate_per_s, max(1.0, fault.burst), self._clock.now())
        return fault

    def active(self) -> list[Fault]:
        """The faults that have not ended."""
        with self._lock:
            self._drop_ended()
            return list(self._faults.values())

    def listing(self) -> list[dict[str, Any]]:
        """The same, for people."""
        return [asdict(fault) for fault in self.active()]

    def clear(self, fault_id: str | None = None) -> None:
        """End one, or all."""
        with self._lock:
            for key in [fault_id] if fault_id is not None else list(self._faults):
                self._faults.pop(key, None)
                self._buckets.pop(key, None)

    def check_call(self, service: str, action: str) -> Plight:
        """What befalls a call; AwsError when a fault refuses it before it has an effect."""
        if not self._faults:
            return Plight()
        delay_s, error_after, reply_lost = 0.0, False, False
        for fault in self.active():
            if fault.kind in OF_LAUNCHES or not fault.concerns_call(service, action) or not self._hits(fault):
                continue
            if fault.kind == THROTTLE:
                self._throttle(fault, service)
            elif fault.kind == UNAVAILABLE:
                raise AwsError("ServiceUnavailable", "The service is unavailable. Please try again shortly.", 503)
            elif fault.kind == IN_PROGRESS and not action.startswith("Describe"):
                raise AwsError("ScalingActivityInProgress", "A scaling activity is in progress for this group.")
            delay_s = max(delay_s, fault.delay_s)
            error_after = error_after or fault.kind == LATE_ERROR
            reply_lost = reply_lost or fault.kind == LOST_REPLY
        return Plight(delay_s, error_after, reply_lost)

    def has_capacity(self, instance_type: str, zone: str) -> bool:
        """Whether EC2 launches such a machine there."""
        return not any(
            fault.kind == NO_CAPACITY and fault.concerns_launch(instance_type, zone) and self._hits(fault)
            for fault in self.active()
        )

    def spot_factor(self, instance_type: str, zone: str) -> float:
        """By how much spot machines of a type cost more in a zone than the table says."""
        factors = (f.factor for f in self.active() if f.kind == SPOT_PRICE and f.concerns_launch(instance_type, zone))
        return max(factors, default=1.0)

    def _throttle(self, fault: Fault, service: str) -> None:
        with self._lock:
            bucket = self._buckets.get(fault.id)
            passes = bucket is not None and bucket.take(self._clock.now())
        if not passes:
            code, status = THROTTLING_CODES.get(service, ("Throttling", 400))
            words = "Request limit exceeded." if service == "ec2" else "Rate exceeded"
            raise AwsError(code, words, status)

    def _drop_ended(self) -> None:
        now = self._clock.now()
        for key in [key for key, fault in self._faults.items() if fault.ends_at <= now]:
            del self._faults[key]
            self._buckets.pop(key, None)

    def _hits(self, fault: Fault) -> bool:
        return fault.share >= 1 or self._chance.random() < fault.share


def number(wanted: Mapping[str, Any], name: str, default: float | None, most: float, why: str = "") -> float:
    """A field above 0 and at most `most`; ValidationError."""
    value = wanted.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise ValidationError(f"{name} must be above 0 and at most {most:g}{why}: {value}")
    return float(value)


def text(wanted: Mapping[str, Any], name: str) -> str:
    """A field that is text; ValidationError."""
    value = wanted.get(name, "")
    if not isinstance(value, str):
        raise ValidationError(f"{name} must be text: {value}")
    return value


def prefixes(value: object) -> tuple[str, ...]:
    """A list of beginnings of actions; ValidationError."""
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):
        raise ValidationError(f"actions must be a list of beginnings of actions' names: {value}")
    return tuple(value)
