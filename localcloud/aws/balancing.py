"""Target groups and classic load balancers of moto's, as instances come and go. The caller holds moto's lock."""

from typing import Any

from localcloud.aws.errors import ValidationError
from localcloud.aws.moto_services import MotoServices

TARGET_GROUP_PREFIX = "arn:"


class Balancing:
    """A target is a target group's ARN or a classic load balancer's name."""

    def __init__(self, services: MotoServices) -> None:
        """`services` has both."""
        self._services = services

    def register(self, target: str, instance_id: str) -> None:
        """Add an instance; a target that is gone is passed over."""
        if target.startswith(TARGET_GROUP_PREFIX):
            if (group := self._target_group(target)) is not None:
                group.register([{"Id": instance_id}])
                self._services.mark(["elbv2"])
        elif (balancer := self._load_balancer(target)) is not None and instance_id not in balancer.instance_sparse_ids:
            self._services.backend("elb").register_instances(target, [instance_id])
            self._services.mark(["elb"])

    def deregister(self, target: str, instance_id: str) -> None:
        """Take an instance out, also when it is not in it."""
        if target.startswith(TARGET_GROUP_PREFIX):
            group = self._target_group(target)
            if group is not None and instance_id in group.targets:
                group.deregister([{"Id": instance_id}])
                self._services.mark(["elbv2"])
        elif (balancer := self._load_balancer(target)) is not None and instance_id in balancer.instance_sparse_ids:
            self._services.backend("elb").deregister_instances(target, [instance_id])
            self._services.mark(["elb"])

    def check_target_group(self, arn: str) -> None:
        """ValidationError if there is no such target group."""
        if self._target_group(arn) is None:
            raise ValidationError(f"Provided Target Groups may not be valid: '{arn}' not found")

    def check_load_balancer(self, name: str) -> None:
        """ValidationError if there is no such classic load balancer."""
        if self._load_balancer(name) is None:
            raise ValidationError(f"Provided Load Balancers may not be valid. Please ensure they exist: {name}")

    def _target_group(self, arn: str) -> Any:
        return self._services.backend("elbv2").target_groups.get(arn)

    def _load_balancer(self, name: str) -> Any:
        return self._services.backend("elb").load_balancers.get(name)
