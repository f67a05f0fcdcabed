"""What Auto Scaling needs of EC2 and of load balancing: a short list of verbs that never block.

The model calls them while it holds its lock, so whatever takes long (a process that ends within five seconds) is only
begun here; the machine's side says later, through `World.machine_changed`, that something is different.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from localcloud.aws.autoscaling.allocation import Pool
from localcloud.aws.autoscaling.plans import TemplateRef
from localcloud.aws.errors import LaunchRefused
from localcloud.aws.target_health import TargetState


class Condition(Enum):
    """How a machine is."""

    OK = auto()
    IMPAIRED = auto()  # its status checks fail: the grace period applies
    STOPPED = auto()  # stopped or terminated behind the group's back: no grace
    GONE = auto()  # nothing is left of it


@dataclass(slots=True, frozen=True)
class LaunchOrder:
    """A machine to launch."""

    group: str
    template: TemplateRef  # with a number as version
    instance_type: str
    subnet: str
    zone: str
    tags: Mapping[str, str]
    spot: bool = False
    spot_max_usd: float | None = None  # an hour; a spot machine that costs more is refused


@dataclass(slots=True, frozen=True)
class Stray:
    """A running machine that no group has; `template` is empty when it was launched without one."""

    id: str
    zone: str
    subnet: str
    instance_type: str
    template: TemplateRef


@dataclass(slots=True, frozen=True)
class Launched:
    """A machine that EC2 has accepted; it runs from `ready_at` on."""

    id: str
    ready_at: float


class Compute(Protocol):
    """EC2 and load balancing, as Auto Scaling uses them."""

    def resolve(self, template: TemplateRef) -> tuple[TemplateRef, str]:
        """The template with id, name and a number as version, and its instance type; ValidationError if missing."""
        ...

    def find(self, template: TemplateRef) -> TemplateRef:
        """The template with id and name, its version as given; ValidationError if it or the version is missing."""
        ...

    def zone_of(self, subnet: str) -> str:
        """The zone of a subnet; ValidationError if there is no such subnet."""
        ...

    def default_subnets(self, zones: list[str]) -> list[str]:
        """The default subnets of zones; ValidationError if a zone has none."""
        ...

    def pool(self, instance_type: str, zone: str, spot: bool) -> Pool:  # noqa: FBT001  one of three coordinates
        """What such machines cost, and for how many more there is room."""
        ...

    def launch(self, order: LaunchOrder) -> Launched:
        """Launch a machine; LaunchRefused (or ValidationError) when EC2 does not."""
        ...

    def boot(self, instance_id: str) -> None:
        """It is running from now on."""
        ...

    def condition(self, instance_id: str) -> Condition:
        """How it is now."""
        ...

    def end(self, instance_id: str) -> None:
        """Terminate it; may be repeated."""
        ...

    def stop(self, instance_id: str) -> None:
        """Shut it down for the warm pool; may be repeated."""
        ...

    def start(self, instance_id: str) -> float:
        """Start a stopped machine; when it is running, from which time on `boot` may be called."""
        ...

    def at_risk(self, instance_id: str) -> bool:
        """Whether EC2 recommends to replace it, because its spot capacity may be wanted back."""
        ...

    def stray(self, instance_id: str) -> Stray:
        """A running machine outside of every group; ValidationError if there is none of that id."""
        ...

    def register(self, target: str, instance_id: str) -> None:
        """Add it to a target group (by ARN) or a classic load balancer (by name)."""
        ...

    def deregister(self, target: str, instance_id: str) -> float:
        """Take it out of a target group or load balancer; when its connections have drained (0: nothing to wait for)."""
        ...

    def target_state(self, target: str, instance_id: str) -> TargetState:
        """What a target group (or load balancer) finds of it."""
        ...

    def check_target_group(self, target_group: str) -> None:
        """ValidationError if there is no such target group."""
        ...

    def check_load_balancer(self, name: str) -> None:
        """ValidationError if there is no such classic load balancer."""
        ...


def check_spot_price(order: LaunchOrder, price_usd: float) -> None:
    """LaunchRefused when a spot machine costs more than its order allows."""
    if order.spot and order.spot_max_usd is not None and price_usd > order.spot_max_usd:
        raise LaunchRefused(
            "SpotMaxPriceTooLow",
            f"Your Spot request price of {order.spot_max_usd:g} is lower than the minimum required Spot request "
            f"fulfillment price of {price_usd:g}.",
        )
