"""The faults that are on now: which calls are throttled, fail, are slow or unanswered, where EC2 has no capacity, what ails machines.

The kinds are in `fault_kinds.py`. Faults are kept in the state file until they end, so that a restart does not heal anything; buckets of
tokens are full again after one.
"""

import math
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from localcloud.aws import fault_kinds as kinds
from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.errors import AwsError, ValidationError
from localcloud.aws.fault_kinds import Fault
from localcloud.aws.machines import Ailment
from localcloud.aws.state_file import StateFile
from localcloud.aws.throttling import Bucket, PublishedBuckets, Rate

MARK = "fault"
FAULTS_MAX = 100
THROTTLING_CODES: Mapping[str, tuple[str, int]] = {
    "ec2": ("RequestLimitExceeded", 503),
    "s3": ("SlowDown", 503),
    "ssm": ("ThrottlingException", 400),
    "logs": ("ThrottlingException", 400),
    "pricing": ("ThrottlingException", 400),
}


@dataclass(slots=True, frozen=True)
class Plight:
    """What befalls a call besides being refused at once."""

    delay_s: float = 0.0
    error_after: bool = False
    reply_lost: bool = False


class Faults:
    """The faults that are on now."""

    def __init__(
        self,
        clock: Clock,
        new_id: Callable[[], str],
        chance: random.Random,
        state: StateFile,
        *,
        throttled: bool = False,
    ) -> None:
        """`chance` says which share of the calls is hit; `throttled`: as by AWS, always."""
        self._clock, self._new_id, self._chance = clock, new_id, chance
        self._state = state
        self._buckets: dict[str, Bucket] = {}
        self._published = PublishedBuckets(clock.now)
        self._throttled = throttled
        self._lock = threading.Lock()
        self._faults = {key: read_back(document) for key, document in state.marks(MARK).items()}
        for fault in self._faults.values():
            self._fill(fault)

    def inject(self, wanted: Mapping[str, Any]) -> Fault:
        """Begin a fault: `kind`, `seconds`, and what it is about; ValidationError."""
        fault = kinds.read(wanted, self._new_id(), self._clock.now())
        with self._lock:
            self._drop_ended()
            if len(self._faults) >= FAULTS_MAX:
                raise ValidationError(f"{FAULTS_MAX} faults are on: clear some")
            for other in self._faults.values():
                if fault.kind in kinds.OF_MACHINES and (other.kind, other.machine) == (fault.kind, fault.machine):
                    raise ValidationError(f"{fault.machine} has a {fault.kind} already: clear {other.id} first")
            self._faults[fault.id] = fault
            self._fill(fault)
            self._state.put_mark(MARK, fault.id, asdict(fault))
        return fault

    def active(self) -> list[Fault]:
        """The faults that have not ended."""
        with self._lock:
            self._drop_ended()
            return list(self._faults.values())

    def listing(self) -> list[dict[str, Any]]:
        """The same, for people."""
        return [asdict(fault) for fault in self.active()]

    def clear(self, fault_id: str | None = None) -> list[Fault]:
        """End one, or all; those that have been ended."""
        with self._lock:
            ids = list(self._faults) if fault_id is None else [fault_id]
            ended = [self._faults[key] for key in ids if key in self._faults]
            self._forget([fault.id for fault in ended])
        return ended

    def check_call(self, service: str, action: str, form: Mapping[str, str] | None = None) -> Plight:
        """What befalls a call; AwsError when a fault refuses it before it has an effect."""
        if self._throttled:
            self._throttle_as_aws(service, action, form or {})
        if not self._faults:
            return Plight()
        delay_s, error_after, reply_lost = 0.0, False, False
        for fault in self.active():
            if (
                fault.kind not in kinds.BEFALL_CALLS
                or not fault.concerns_call(service, action)
                or not self._hits(fault)
            ):
                continue
            if fault.kind == kinds.THROTTLE:
                self._throttle(fault, service)
            elif fault.kind == kinds.THROTTLE_AS_AWS:
                self._throttle_as_aws(service, action, form or {})
            elif fault.kind == kinds.UNAVAILABLE:
                raise AwsError("ServiceUnavailable", "The service is unavailable. Please try again shortly.", 503)
            elif fault.kind == kinds.IN_PROGRESS and not action.startswith("Describe"):
                raise AwsError("ScalingActivityInProgress", "A scaling activity is in progress for this group.")
            delay_s = max(delay_s, fault.delay_s)
            error_after = error_after or fault.kind == kinds.LATE_ERROR
            reply_lost = reply_lost or fault.kind == kinds.LOST_REPLY
        return Plight(delay_s, error_after, reply_lost)

    def room(self, instance_type: str, zone: str, purchase: str) -> float:
        """For how many more such machines EC2 has room there; infinity when no fault is about them."""
        faults = [fault for fault in self._of_room(instance_type, zone, purchase) if fault.share >= 1]
        return min((fault.spare for fault in faults), default=math.inf)

    def take_room(self, instance_type: str, zone: str, purchase: str) -> bool:
        """Whether EC2 launches such a machine there; a fault that leaves some machines leaves one less then."""
        hitting = [fault.id for fault in self._of_room(instance_type, zone, purchase) if self._hits(fault)]
        with self._lock:
            faults = [self._faults[key] for key in hitting if key in self._faults]
            if any(fault.spare < 1 for fault in faults):
                return False
            for fault in faults:
                self._faults[fault.id] = replace(fault, spare=fault.spare - 1)
                self._state.put_mark(MARK, fault.id, asdict(self._faults[fault.id]))
        return True

    def fails_target(self, target_group: str, machine: str) -> bool:
        """Whether the load balancer's check of a target fails."""
        return any(
            fault.kind == kinds.FAILING_TARGET
            and fault.machine in {"", machine}
            and fault.target_group in {"", target_group}
            for fault in self.active()
        )

    def spot_factor(self, instance_type: str, zone: str) -> float:
        """By how much spot machines of a type cost more in a zone than the table says."""
        return max(
            (f.factor for f in self.active() if f.kind == kinds.SPOT_PRICE and f.concerns_launch(instance_type, zone)),
            default=1.0,
        )

    def read_delay_s(self, service: str) -> float:
        """By how much a service's descriptions lag behind; 0: they do not."""
        if not self._faults:
            return 0.0
        return max(
            (f.delay_s for f in self.active() if f.kind == kinds.STALE_READS and f.service in {"", service}),
            default=0.0,
        )

    def ailment(self, machine: str) -> Ailment:
        """What is wrong with a machine now."""
        of_machine = {fault.kind: fault for fault in self.active() if fault.machine == machine}
        skew, disk = of_machine.get(kinds.CLOCK_SKEW), of_machine.get(kinds.SLOW_DISK)
        return Ailment(
            skew.offset_s if skew else 0.0,
            skew.ends_at if skew else 0.0,
            disk.delay_s if disk else 0.0,
            disk.ends_at if disk else 0.0,
        )

    # ------------------------------------------------------------------------------------------------------------ parts

    def _of_room(self, instance_type: str, zone: str, purchase: str) -> list[Fault]:
        return [
            fault
            for fault in self.active()
            if fault.kind == kinds.NO_CAPACITY
            and fault.concerns_launch(instance_type, zone)
            and fault.purchase in {"", purchase}
        ]

    def _throttle(self, fault: Fault, service: str) -> None:
        with self._lock:
            bucket = self._buckets.get(fault.id)
            passes = bucket is not None and bucket.take(self._clock.now())
        if not passes:
            raise throttled(service)

    def _throttle_as_aws(self, service: str, action: str, form: Mapping[str, str]) -> None:
        with self._lock:
            passes = self._published.take(service, action, form)
        if not passes:
            raise throttled(service)

    def _fill(self, fault: Fault) -> None:
        if fault.rate_per_s:
            self._buckets[fault.id] = Bucket(Rate(max(1.0, fault.burst), fault.rate_per_s), self._clock.now())

    def _drop_ended(self) -> None:
        now = self._clock.now()
        if ended := [key for key, fault in self._faults.items() if fault.ends_at <= now]:
            self._forget(ended)

    def _forget(self, ids: list[str]) -> None:
        for key in ids:
            self._faults.pop(key, None)
            self._buckets.pop(key, None)
        self._state.drop_marks(MARK, ids)

    def _hits(self, fault: Fault) -> bool:
        return fault.share >= 1 or self._chance.random() < fault.share


def throttled(service: str) -> AwsError:
    """A service's own words for too many requests."""
    code, status = THROTTLING_CODES.get(service, ("Throttling", 400))
    return AwsError(code, "Request limit exceeded." if service == "ec2" else "Rate exceeded", status)


def read_back(document: Mapping[str, Any]) -> Fault:
    """A fault as it was written down."""
    return Fault(**{**document, "actions": tuple(document["actions"])})
