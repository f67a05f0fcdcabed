"""Faults on request: which calls are throttled or fail, and where EC2 has no capacity. Every fault has an end."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.errors import AwsError, ValidationError

THROTTLE, UNAVAILABLE, NO_CAPACITY = "throttle", "unavailable", "insufficient-capacity"
KINDS = (THROTTLE, UNAVAILABLE, NO_CAPACITY)
SECONDS_MAX = 3600.0
FAULTS_MAX = 100
THROTTLING_CODES: Mapping[str, tuple[str, int]] = {
    "ec2": ("RequestLimitExceeded", 503),
    "s3": ("SlowDown", 503),
    "ssm": ("ThrottlingException", 400),
    "logs": ("ThrottlingException", 400),
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

    def concerns_call(self, service: str, action: str) -> bool:
        """Whether it is about this call."""
        return self.service in {"", service} and (not self.actions or action.startswith(self.actions))

    def concerns_launch(self, instance_type: str, zone: str) -> bool:
        """Whether it is about launching such a machine there."""
        return self.instance_type in {"", instance_type} and self.zone in {"", zone}


class Faults:
    """The faults that are on now."""

    def __init__(self, clock: Clock, new_id: Callable[[], str], chance: random.Random) -> None:
        """`chance` decides which share of the calls is hit."""
        self._clock, self._new_id, self._chance = clock, new_id, chance
        self._faults: dict[str, Fault] = {}
        self._lock = threading.Lock()

    def inject(self, wanted: Mapping[str, Any]) -> Fault:
        """Begin a fault: `kind`, `seconds`, and what it is about; ValidationError."""
        kind, seconds, share = wanted.get("kind"), wanted.get("seconds"), wanted.get("share", 1.0)
        if kind not in KINDS:
            raise ValidationError(f"kind must be one of {', '.join(KINDS)}: {kind}")
        if not isinstance(seconds, int | float) or not 0 < seconds <= SECONDS_MAX:
            raise ValidationError(f"seconds must be above 0 and at most {SECONDS_MAX:.0f}, every fault ends: {seconds}")
        if not isinstance(share, int | float) or not 0 < share <= 1:
            raise ValidationError(f"share must be above 0 and at most 1: {share}")
        unknown = set(wanted) - {"kind", "seconds", "service", "actions", "instance_type", "zone", "share"}
        if unknown:
            raise ValidationError(f"unknown fields: {', '.join(sorted(unknown))}")
        fault = Fault(
            id=self._new_id(),
            kind=kind,
            ends_at=self._clock.now() + seconds,
            service=str(wanted.get("service", "")),
            actions=tuple(str(one) for one in wanted.get("actions", ())),
            instance_type=str(wanted.get("instance_type", "")),
            zone=str(wanted.get("zone", "")),
            share=float(share),
        )
        with self._lock:
            if len(self._faults) >= FAULTS_MAX:
                raise ValidationError(f"{FAULTS_MAX} faults are on: clear some")
            self._faults[fault.id] = fault
        return fault

    def active(self) -> list[Fault]:
        """The faults that have not ended."""
        now = self._clock.now()
        with self._lock:
            self._faults = {key: fault for key, fault in self._faults.items() if fault.ends_at > now}
            return list(self._faults.values())

    def listing(self) -> list[dict[str, Any]]:
        """The same, for people."""
        return [asdict(fault) for fault in self.active()]

    def clear(self, fault_id: str | None = None) -> None:
        """End one, or all."""
        with self._lock:
            if fault_id is None:
                self._faults.clear()
            else:
                self._faults.pop(fault_id, None)

    def check_call(self, service: str, action: str) -> None:
        """Raises what a client of this call sees, if a fault hits it."""
        if not self._faults:
            return
        for fault in self.active():
            if fault.kind == NO_CAPACITY or not fault.concerns_call(service, action) or not self._hits(fault):
                continue
            if fault.kind == THROTTLE:
                code, status = THROTTLING_CODES.get(service, ("Throttling", 400))
                raise AwsError(code, "Rate exceeded", status)
            raise AwsError("ServiceUnavailable", "The service is unavailable. Please try again shortly.", 503)

    def has_capacity(self, instance_type: str, zone: str) -> bool:
        """Whether EC2 launches such a machine there."""
        return not any(
            fault.kind == NO_CAPACITY and fault.concerns_launch(instance_type, zone) and self._hits(fault)
            for fault in self.active()
        )

    def _hits(self, fault: Fault) -> bool:
        return fault.share >= 1 or self._chance.random() < fault.share
