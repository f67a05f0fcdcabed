"""What invariants of rollouts are told: steps of the traffic, removals, and how everything stands when it has come to rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.autoscaler.domain.group import Reservation
from tests.sim.invariants.base import LedgerState

PERCENT = 100


@dataclass(frozen=True, slots=True)
class FleetNow:
    """A fleet in the cloud."""

    fleet: str
    desired: int
    in_service: int


@dataclass(frozen=True, slots=True)
class Served:
    """One group at one step: what clients know, and what there is.

    `taken`: the cloud took machines lately; `there`: it is neither being made nor taken away; `outlived`: activities
    that have ended and whose reservation lives, with the seconds from the end to its last renewal.
    """

    group: str
    arrival: float
    routes: Mapping[str, int]  # weight by fleet, where an endpoint is known
    weights: Mapping[str, int]  # as the Provisioner has them
    fleets: Sequence[FleetNow]
    answered: bool
    taken: bool
    there: bool
    outlived: Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Removal:
    """A fleet is about to be removed from the cloud; `wanted`: its group is not to be there any more."""

    group: str
    fleet: str
    arrival: float
    weights: Mapping[str, int]  # as the Provisioner has them
    others: Sequence[FleetNow]
    unwanted: bool
    ill: bool


@dataclass(frozen=True, slots=True)
class RunNow:
    """One run of a workflow. `asked` is what it was started with, as JSON."""

    kind: str
    id: str
    open: bool
    outcome: str
    request: str
    activities: Sequence[tuple[str, int, float]]  # (name, attempts, total seconds)
    pipeline: str


@dataclass(frozen=True, slots=True)
class GroupNow:
    """One group when everything has come to rest."""

    name: str
    declared: bool
    standing: Sequence[str]
    weights: Mapping[str, int]
    variables: Mapping[str, Mapping[str, str]]  # by fleet
    made_anew: bool  # since its newest deployment it was taken away, and made again
    deployments: Sequence[tuple[str, str, str, str]]  # (id, phase, fleet, from fleet), newest first


@dataclass(frozen=True, slots=True)
class PipelineNow:
    """One pipeline when everything has come to rest; `edge` is the percent that clients of its edge know, if any."""

    name: str
    registered: bool
    percent: int
    edge: int | None
    seats: Mapping[str, str]  # group by stage, as groups have them
    stages: Mapping[str, str]  # as declared
    topics: frozenset[str]  # below its name
    wanted_topics: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rest:
    """How things stand at the end."""

    healed_for_s: float
    now: float
    ledger: LedgerState
    runs: Sequence[RunNow]
    groups: Sequence[GroupNow]
    cloud: Sequence[FleetNow]
    reservations: Sequence[Reservation]
    problems: Sequence[str]
    audited: frozenset[str]  # operations, or ids of workflows, that the audit log names
    operations: Sequence[tuple[str, str]]  # (id, state) as the admin API has them
    locks: Sequence[str]
    pipelines: Sequence[PipelineNow]
