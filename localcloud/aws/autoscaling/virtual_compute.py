"""Machines that exist only as numbers: for tests of the model and for simulations, where a second costs nothing."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

from localcloud.aws.autoscaling.allocation import Pool
from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.autoscaling.compute import Condition, Launched, LaunchOrder, Stray, check_spot_price
from localcloud.aws.autoscaling.plans import TemplateRef
from localcloud.aws.errors import LaunchRefused, ValidationError
from localcloud.aws.target_health import TargetState

SUBNETS = {"subnet-a": "us-east-1a", "subnet-b": "us-east-1b", "subnet-c": "us-east-1c"}


class VirtualCompute:
    """Implements `Compute`. `conditions` and `refusals` are for whoever plays fate."""

    def __init__(
        self,
        clock: Clock,
        *,
        boot_s: Callable[[], float] = lambda: 0.0,
        subnets: Mapping[str, str] | None = None,
        templates: Mapping[str, int] | None = None,
    ) -> None:
        """`boot_s` gives each machine's boot time; `templates`: template id -> its latest version."""
        self._clock = clock
        self._boot_s = boot_s
        self.subnets = dict(subnets or SUBNETS)
        self.templates = dict(templates or {"lt-1": 1})
        self.conditions: dict[str, Condition] = {}
        self.pools: dict[tuple[str, str, bool], Pool] = {}  # type, zone, spot -> price and room
        self.refusals: dict[str, str] = {}  # zone or instance type -> error code
        self.orders: dict[str, LaunchOrder] = {}
        self.registered: dict[str, set[str]] = {}  # target group or load balancer -> instance ids
        self.target_states: dict[str, TargetState] = {}
        self.draining_s = 0.0
        self.risky: set[str] = set()
        self.strays: dict[str, Stray] = {}
        self.stopped: set[str] = set()
        self._ids = itertools.count(1)

    def find(self, template: TemplateRef) -> TemplateRef:
        """The template, its version as given."""
        template_id = template.id or template.name
        latest = self.templates.get(template_id)
        if latest is None:
            raise ValidationError(
                "You must use a valid fully-formed launch template. The specified launch template, with template ID "
                f"{template_id}, does not exist."
            )
        if template.version not in {"$Latest", "$Default"} and not 1 <= int(template.version) <= latest:
            raise ValidationError(
                f"You must use a valid fully-formed launch template. Could not find the specified version "
                f"{template.version} for the launch template with ID {template_id}."
            )
        return TemplateRef(template_id, template_id, template.version)

    def resolve(self, template: TemplateRef) -> tuple[TemplateRef, str]:
        """The default version is the latest one."""
        found = self.find(template)
        version = found.version if found.version.isdigit() else str(self.templates[found.id])
        return replace(found, version=version), "m6a.large"

    def zone_of(self, subnet: str) -> str:
        """The zone of a subnet."""
        if subnet not in self.subnets:
            raise ValidationError(f"The subnet ID '{subnet}' does not exist")
        return self.subnets[subnet]

    def default_subnets(self, zones: list[str]) -> list[str]:
        """The subnets of the zones."""
        return [subnet for subnet, zone in self.subnets.items() if zone in zones]

    def pool(self, instance_type: str, zone: str, spot: bool) -> Pool:  # noqa: FBT001  one of three coordinates
        """As fate has set it."""
        return self.pools.get((instance_type, zone, spot), Pool())

    def launch(self, order: LaunchOrder) -> Launched:
        """A new machine, unless the zone refuses."""
        pool = self.pool(order.instance_type, order.zone, order.spot)
        check_spot_price(order, pool.price_usd)
        if code := self.refusals.get(order.zone) or self.refusals.get(order.instance_type):
            raise LaunchRefused(code, f"We currently do not have sufficient capacity in {order.zone}.")
        if pool.room < 1:
            raise LaunchRefused(
                "InsufficientInstanceCapacity", f"We have no more {order.instance_type} in {order.zone}."
            )
        self.pools[order.instance_type, order.zone, order.spot] = replace(pool, room=pool.room - 1)
        instance_id = f"i-{next(self._ids):017x}"
        self.orders[instance_id] = order
        self.conditions[instance_id] = Condition.OK
        return Launched(instance_id, self._clock.now() + self._boot_s())

    def boot(self, instance_id: str) -> None:
        """Nothing to do."""

    def stop(self, instance_id: str) -> None:
        """Note it."""
        self.stopped.add(instance_id)

    def start(self, instance_id: str) -> float:
        """It boots anew."""
        self.stopped.discard(instance_id)
        return self._clock.now() + self._boot_s()

    def at_risk(self, instance_id: str) -> bool:
        """As fate has set it."""
        return instance_id in self.risky

    def stray(self, instance_id: str) -> Stray:
        """One that fate has put there."""
        if instance_id not in self.strays:
            raise ValidationError(f"Invalid Instance ID: {instance_id}")
        return self.strays[instance_id]

    def condition(self, instance_id: str) -> Condition:
        """As fate has set it."""
        return self.conditions.get(instance_id, Condition.GONE)

    def end(self, instance_id: str) -> None:
        """It is gone at once."""
        self.stopped.discard(instance_id)
        self.risky.discard(instance_id)
        self.conditions.pop(instance_id, None)

    def register(self, target: str, instance_id: str) -> None:
        """Keep it."""
        self.registered.setdefault(target, set()).add(instance_id)

    def deregister(self, target: str, instance_id: str) -> float:
        """Forget it; it drains for as long as fate says."""
        if instance_id not in self.registered.get(target, set()):
            return 0.0
        self.registered[target].discard(instance_id)
        return self._clock.now() + self.draining_s if self.draining_s else 0.0

    def target_state(self, target: str, instance_id: str) -> TargetState:
        """As fate has set it; healthy otherwise, if it is registered."""
        if instance_id not in self.registered.get(target, set()):
            return TargetState.UNUSED
        return self.target_states.get(instance_id, TargetState.HEALTHY)

    def check_target_group(self, target_group: str) -> None:
        """Any ARN will do."""
        if not target_group.startswith("arn:"):
            raise ValidationError(f"The target group '{target_group}' is not valid")

    def check_load_balancer(self, name: str) -> None:
        """Any name will do that is not an ARN."""
        if name.startswith("arn:"):
            raise ValidationError(f"Provided Load Balancers may not be valid: '{name}'")
