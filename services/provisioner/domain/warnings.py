"""What a person should know before a group is made: quotas that it comes near, and about what it costs.

Quotas are AWS's defaults (500 Auto Scaling Groups a region; 1,152 on-demand vCPU of the standard families is a usual
account's). Prices are AWS's own, on demand, as its price list says them; what they come to in a month is said to be about right only.
"""

from dataclasses import dataclass
from decimal import Decimal

ASGS_QUOTA = 500
QUOTA_NEAR = 0.8
VCPU_QUOTA = 1152
HOURS_PER_MONTH = 730


@dataclass(frozen=True, slots=True)
class NodePrice:
    """A machine of a type in our region: its processors, and what an hour of it costs on demand, in USD."""

    vcpus: int
    usd_per_hour: Decimal


def quota_warnings(asgs: int, node_type: str, nodes_max: int, price: NodePrice | None) -> tuple[str, ...]:
    """Quotas that the group comes near; `asgs` counts Auto Scaling Groups with the new one, `price` is None when not known.

    >>> quota_warnings(450, "m6a.large", 2, None)
    ('450 of 500 Auto Scaling Groups of the region would be in use: ask AWS for a higher quota',)
    """
    warnings = []
    if asgs >= ASGS_QUOTA * QUOTA_NEAR:
        warnings.append(
            f"{asgs} of {ASGS_QUOTA} Auto Scaling Groups of the region would be in use: ask AWS for a higher quota"
        )
    vcpus = price.vcpus * nodes_max if price is not None else 0
    if vcpus >= VCPU_QUOTA * QUOTA_NEAR:
        warnings.append(
            f"{nodes_max} machines of {node_type} are {vcpus} vCPU; a usual account's quota is {VCPU_QUOTA}"
        )
    return tuple(warnings)


def cost_warning(node_type: str, nodes_min: int, nodes_max: int, price: NodePrice) -> str:
    """About what the machines cost.

    >>> cost_warning("m6a.large", 1, 4, NodePrice(2, Decimal("0.0864")))
    'about $63 to $252 a month for 1 to 4 machines of m6a.large, on demand'
    """
    month = price.usd_per_hour * HOURS_PER_MONTH
    low, high = f"${month * nodes_min:.0f}", f"${month * nodes_max:.0f}"
    machines = f"{nodes_min} to {nodes_max} machines" if nodes_min != nodes_max else f"{nodes_max} machines"
    span = f"{low} to {high}" if low != high else low
    return f"about {span} a month for {machines} of {node_type}, on demand"
