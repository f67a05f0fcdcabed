"""What a group asks for (its policy) and the Autoscaler's own limits, each with its name and unit."""

import re
from dataclasses import dataclass

LAG_S_DEFAULT = 5.0  # what counts as "no backlog" when the group names no lag target
CORES_DEFAULT = 1.0
_SIZES = {"nano": 2.0, "micro": 2.0, "small": 2.0, "medium": 1.0, "large": 2.0, "xlarge": 4.0, "metal": 96.0}
_MANY = re.compile(r"(\d+)xlarge")


@dataclass(frozen=True, slots=True)
class MetricAim:
    """Keep `metric` per node near `value`."""

    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Policy:
    """A group's scaling; `fixed_nodes` is set for a provisioned group and then rules alone."""

    nodes_min: int
    nodes_max: int
    fixed_nodes: int | None = None
    utilization: float = 0.8  # share of measured capacity to plan for
    node_rate: float | None = None  # messages/s of one node, as declared
    scale_in_after_s: float = 900.0
    cpu_percent: float | None = None
    lag_s: float | None = None
    metrics: tuple[MetricAim, ...] = ()

    @property
    def backlog_s_max(self) -> float:
        """Seconds of work that may wait before it counts as a backlog."""
        return self.lag_s if self.lag_s is not None else LAG_S_DEFAULT


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most max(`nodes`, `percent` of the size at the start of the period) in `period_s`."""

    nodes: int
    percent: float
    period_s: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The Autoscaler's own numbers; the demo profile shortens the times."""

    tick_s: float = 15.0
    window_s: float = 60.0  # over which rates are taken
    stale_after_s: float = 60.0  # four scrapes of 15 s
    catch_up_s: float = 300.0  # a backlog is to be gone in this time
    dead_band: float = 0.1
    rate_out: RateLimit = RateLimit(nodes=4, percent=100.0, period_s=15.0)
    rate_in: RateLimit = RateLimit(nodes=1, percent=25.0, period_s=60.0)
    warmup_s: float = 60.0  # after a node entered service its CPU is no evidence for more nodes
    mass_loss_ratio: float = 0.3
    mass_loss_hold_s: float = 600.0
    gain_min: float = 0.1  # share of the expected gain that a scale-out must bring
    ineffective_max: int = 2
    ineffective_hold_s: float = 900.0
    refused_back_off_s: float = 30.0
    capacity_back_off_s: float = 60.0
    capacity_back_off_s_max: float = 1800.0
    observation_gap_s: float = 90.0  # a longer silence makes the scale-in window start again
    capacity_change_max: float = 0.25  # of measured capacity, per observation


def cores_of(node_type: str) -> float:
    """Virtual cores of an EC2 type by its size; 1 where the size is not known.

    >>> cores_of("m6a.large"), cores_of("c7g.4xlarge"), cores_of("odd")
    (2.0, 16.0, 1.0)
    """
    size = node_type.rpartition(".")[2]
    many = _MANY.fullmatch(size)
    return 4.0 * int(many.group(1)) if many else _SIZES.get(size, CORES_DEFAULT)
