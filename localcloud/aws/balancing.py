"""Target groups and classic load balancers of moto's, as instances come and go. The caller holds moto's lock.

What is known of a target's health is kept with moto's target group, so that it is saved and restored with it. Whoever else
registers a target (RegisterTargets) is noticed by `follow`, which compares what is registered with what is known. The health
of classic load balancers is not looked at.
"""

from typing import Any

from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.errors import ValidationError
from localcloud.aws.moto_services import MotoServices
from localcloud.aws.target_health import (
    DISABLED,
    INVALID_STATE,
    NOT_IN_USE,
    NOT_REGISTERED,
    CheckSettings,
    Target,
    TargetState,
    drain,
)

TARGET_GROUP_PREFIX = "arn:"
KNOWN = "localcloud_targets"  # where moto's target group keeps them: id -> Target
DELAY_ATTRIBUTE = "deregistration_delay.timeout_seconds"
FORWARD = "forward"


class Balancing:
    """A target is a target group's ARN or a classic load balancer's name."""

    def __init__(self, services: MotoServices, clock: Clock) -> None:
        """`services` has both."""
        self._services, self._clock = services, clock

    def register(self, target: str, instance_id: str) -> None:
        """Add an instance; a target that is gone is passed over."""
        if target.startswith(TARGET_GROUP_PREFIX):
            if (group := self.target_group(target)) is not None:
                group.register([{"Id": instance_id}])
                self.follow(group)
                self._services.mark(["elbv2"])
        elif (balancer := self._load_balancer(target)) is not None and instance_id not in balancer.instance_sparse_ids:
            self._services.backend("elb").register_instances(target, [instance_id])
            self._services.mark(["elb"])

    def deregister(self, target: str, instance_id: str) -> float:
        """Take an instance out, also when it is not in it; when it has drained, 0 when there is nothing to wait for."""
        if target.startswith(TARGET_GROUP_PREFIX):
            group = self.target_group(target)
            if group is not None and instance_id in group.targets:
                group.deregister([{"Id": instance_id}])
                self.follow(group)
                self._services.mark(["elbv2"])
                known = targets_of(group).get(instance_id)
                return known.draining_until if known else 0.0
        elif (balancer := self._load_balancer(target)) is not None and instance_id in balancer.instance_sparse_ids:
            self._services.backend("elb").deregister_instances(target, [instance_id])
            self._services.mark(["elb"])
        return 0.0

    def groups(self) -> list[Any]:
        """All target groups."""
        return list(self._services.backend("elbv2").target_groups.values())

    def follow(self, group: Any) -> None:
        """Note who was registered and who was deregistered since; forget who has drained."""
        known, now = targets_of(group), self._clock.now()
        for instance_id in group.targets:
            if instance_id not in known or known[instance_id].state is TargetState.DRAINING:
                known[instance_id] = Target(next_at=now)
        for instance_id in [one for one in known if one not in group.targets]:
            target = known[instance_id]
            if target.state is not TargetState.DRAINING:
                delay_s = float(group.attributes.get(DELAY_ATTRIBUTE, 0)) if self.in_use(group) else 0.0
                drain(target, now + delay_s)
            if target.draining_until <= now:
                del known[instance_id]
                self._services.mark(["elbv2"])

    def in_use(self, group: Any) -> bool:
        """Whether a listener of a load balancer sends it anything."""
        backend = self._services.backend("elbv2")
        balancers = [backend.load_balancers.get(arn) for arn in set(group.load_balancer_arns)]
        listeners = [one for balancer in balancers if balancer for one in balancer.listeners.values()]
        actions = [a for one in listeners for a in one.default_actions]
        actions += [a for one in listeners for rule in one.rules.values() for a in rule.actions]
        return any(a.type == FORWARD and group.arn in backend._get_target_group_arns_from(a.data) for a in actions)  # noqa: SLF001  moto's own reading of actions

    def find(self, target: str, instance_id: str) -> Target:
        """What a target group finds of an instance; of a classic load balancer: healthy when it is in it."""
        if not target.startswith(TARGET_GROUP_PREFIX):
            balancer = self._load_balancer(target)
            has = balancer is not None and instance_id in balancer.instance_sparse_ids
            return Target(0.0, TargetState.HEALTHY, "") if has else unused(NOT_REGISTERED)
        group = self.target_group(target)
        if group is None:
            return unused(NOT_REGISTERED)
        self.follow(group)
        known = targets_of(group).get(instance_id)
        if known is None or known.state is TargetState.DRAINING:
            return known or unused(NOT_REGISTERED)
        if not self.in_use(group):
            return unused(NOT_IN_USE)
        if not self.runs(instance_id):
            return unused(INVALID_STATE)
        return known if group.health_check_enabled else Target(0.0, TargetState.UNAVAILABLE, DISABLED)

    def runs(self, instance_id: str) -> bool:
        """Whether EC2's books have it running."""
        instance = self._services.backend("ec2").get_instance_by_id(instance_id)
        return instance is not None and instance.state == "running"

    def check_target_group(self, arn: str) -> None:
        """ValidationError if there is no such target group."""
        if self.target_group(arn) is None:
            raise ValidationError(f"Provided Target Groups may not be valid: '{arn}' not found")

    def check_load_balancer(self, name: str) -> None:
        """ValidationError if there is no such classic load balancer."""
        if self._load_balancer(name) is None:
            raise ValidationError(f"Provided Load Balancers may not be valid. Please ensure they exist: {name}")

    def target_group(self, arn: str) -> Any:
        """Moto's target group; None when there is none."""
        return self._services.backend("elbv2").target_groups.get(arn)

    def _load_balancer(self, name: str) -> Any:
        return self._services.backend("elb").load_balancers.get(name)


def targets_of(group: Any) -> dict[str, Target]:
    """What is known of a target group's targets, by id."""
    known: dict[str, Target] = vars(group).setdefault(KNOWN, {})
    return known


def settings_of(group: Any) -> CheckSettings:
    """How a target group checks."""
    return CheckSettings(
        float(group.health_check_interval_seconds),
        float(group.health_check_timeout_seconds),
        int(group.healthy_threshold_count),
        int(group.unhealthy_threshold_count),
    )


def unused(reason: str) -> Target:
    """A target that is sent nothing."""
    return Target(0.0, TargetState.UNUSED, reason)
