"""How many nodes a group has, and what it promises."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from headrace.declaring import Declared, Seconds

NODES_MAX = 500
FleetSize = Annotated[int, Field(ge=0, le=NODES_MAX)]


class LagTarget(Declared):
    """Keep lag under `seconds`."""

    type: Literal["lag"] = "lag"
    seconds: Annotated[Seconds, Field(gt=0)]


class CpuTarget(Declared):
    """Keep CPU near `percent` (0-100)."""

    type: Literal["cpu"] = "cpu"
    percent: float = Field(gt=0, le=100)


class MetricTarget(Declared):
    """Keep a named Prometheus metric per node near `value`."""

    type: Literal["metric"] = "metric"
    metric: str
    value: float = Field(gt=0)


Target = Annotated[LagTarget | CpuTarget | MetricTarget, Field(discriminator="type")]


class ProvisionedScaling(Declared):
    """A fixed number of nodes."""

    type: Literal["provisioned"] = "provisioned"
    desired_nodes: FleetSize


class Autoscaling(Declared):
    """Between `min_nodes` and `max_nodes`, sized by demand over measured capacity, and by targets.

    `node_rate` is the messages/s one node sustains, until it has been measured; `utilization` the share of measured
    capacity to plan for; `scale_in_after_s` how long demand must stay low before a node is taken away.
    """

    type: Literal["autoscaling"] = "autoscaling"
    min_nodes: FleetSize
    max_nodes: FleetSize
    targets: tuple[Target, ...] = ()
    utilization: float = Field(default=0.8, gt=0, le=1)
    node_rate: float | None = Field(default=None, gt=0)
    scale_in_after_s: Annotated[Seconds, Field(ge=0)] = 900.0

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min_nodes > self.max_nodes:
            msg = f"min_nodes {self.min_nodes} is above max_nodes {self.max_nodes}: lower min_nodes or raise max_nodes"
            raise ValueError(msg)
        return self


class Slo(Declared):
    """What a group or pipeline promises: percent of messages that do not fail, lag p95 in seconds, share lost."""

    availability: float = Field(default=99.9, gt=0, lt=100)
    lag_p95_s: Annotated[Seconds, Field(gt=0)] = 5.0
    loss: float = Field(default=0.01, ge=0, lt=1)
