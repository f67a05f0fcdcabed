"""Traffic rating: how many messages per second one node of a group sustains within its SLO, found on a copy under load.

Rates are messages per second, times seconds, shares between 0 and 1.
"""

from typing import Literal

from pydantic import Field

from shared.contracts.admission import LeaseModel
from shared.contracts.base import Contract, Declared
from shared.contracts.provisioning import Artifact

SAMPLE_KEY = "samples/{sha256}.ndjson"
SAMPLE_BYTES_MAX = 512 * 1024
SAMPLE_EVENTS_MAX = 10_000
SAMPLE_IN_BUNDLE = "sample.ndjson"  # in the root of a code bundle
STEP_S_MIN, STEP_S_MAX = 1.0, 120.0
RATE_FIRST_MAX = 1e6
BATCH_MAX = 5000
FUNCTION_LENGTH_MAX = 200
WAIT_S_MAX = 24 * 3600.0
LISTED_MAX = 100
CALLED_NODES_MAX = 50


class Loading(Declared):
    """How load is driven: seconds of a step, messages/s of the first; function and messages of a call or request.

    What is None is as the stage that runs on the group calls; without a stage, the only function there is. Of a group
    whose nodes call a transform group, `called_nodes` of that one stand behind the copy; None is one.
    """

    step_s: float = Field(default=10.0, ge=STEP_S_MIN, le=STEP_S_MAX)
    first: float = Field(default=100.0, gt=0, le=RATE_FIRST_MAX)
    function: str | None = Field(default=None, min_length=1, max_length=FUNCTION_LENGTH_MAX)
    batch: int | None = Field(default=None, ge=1, le=BATCH_MAX)
    called_nodes: int | None = Field(default=None, ge=1, le=CALLED_NODES_MAX)


class RateRequest(Declared):
    """What a person asks for; `sample` is NDJSON: one event a line as the group takes it, or one entity of a feature group."""

    sample: str | None = Field(default=None, min_length=1, max_length=SAMPLE_BYTES_MAX)
    loading: Loading = Loading()
    wait_s_max: float = Field(default=0.0, ge=0, le=WAIT_S_MAX)  # for admission; 0: one refusal is the answer
    reason: str = Field(default="", max_length=500)


class RateInput(Contract):
    """Workflow `RateGroup`."""

    group: str
    request_id: str
    sample: Artifact | None = None  # None: the one in the code bundle
    loading: Loading = Loading()
    wait_s_max: float = 0.0
    reason: str = ""
    requested_by: str = ""


class RatingPromise(Contract):
    """What must hold at a rate, from the group's SLO."""

    latency_p95_s: float
    errors_max: float  # share of the messages


class RatingCall(Contract):
    """What is called, and with what."""

    function: str = ""  # empty: the only one there is
    batch: int
    step_s: float
    first: float


class RatingStep(Contract):
    """What was seen at one rate."""

    wanted: float
    offered: float  # what the driver really sent
    answered: float
    latency_p95_s: float
    errors: float  # share of the messages that failed or were turned away
    held: bool  # whether the promise held
    called_busy: float = 0.0  # of the nodes that the copy calls: share of their workers' time, at its highest
    called_refusals: float = 0.0  # share of the calls to them that they turned away


class RatingFound(Contract):
    """The highest rate at which the promise holds, with its interval; `note` says when it is a bound only."""

    rate: float
    low: float
    high: float
    note: str = ""


class AddCopyInput(Contract):
    """`provisioner.add_copy`: one node beside the group, on the revision that serves; idempotent."""

    group: str
    sample: Artifact | None = None
    loading: Loading = Loading()
    lease: LeaseModel  # of the group


class RatingWay(Contract):
    """How load reaches the copy: calls of users' code, HTTP requests, or events on a topic that the copy alone reads."""

    type: Literal["call", "post", "topic"] = "call"
    body: Literal["events", "entities"] = "events"  # of a request
    topic: str = ""
    topic_dead: str = ""
    consumer_group: str = ""
    sink: str = ""  # host:port that the driver listens on while it drives: where the copy's HTTP sinks are


class CalledModel(Contract):
    """What the copy calls: nodes on the revision that serves of the transform group that the original calls."""

    group: str  # the live one
    copy_group: str
    fleet: str
    revision: int
    nodes: int


class CopyModel(Contract):
    """The copy: a group of its own that no live route and no live stage knows."""

    copy_group: str
    fleet: str
    revision: int
    node_type: str
    promise: RatingPromise
    call: RatingCall
    sample: Artifact
    way: RatingWay = RatingWay()
    called: CalledModel | None = None  # None: it calls no group


class DriveInput(Contract):
    """`provisioner.drive_step`: the next step that `steps` ask for, driven on the copy's node."""

    copied: CopyModel
    steps: tuple[RatingStep, ...] = ()


class DriveAnswer(Contract):
    """One step more, or what the steps have found."""

    step: RatingStep | None = None
    found: RatingFound | None = None


class RatingModel(Contract):
    """`autoscaler.record_rating`, and one line of `headrace ratings`; `rated_at` is seconds since the epoch."""

    id: str
    group: str
    revision: int
    node_type: str
    rated_at: float
    found: RatingFound
    promise: RatingPromise
    call: RatingCall
    steps: tuple[RatingStep, ...] = ()
    sample: str = ""  # sha256
    requested_by: str = ""
    change: str = ""  # since the last rating of another revision; made by the Autoscaler
    called: CalledModel | None = None  # what stood behind the copy


class Ratings(Contract):
    """Of one group, newest first."""

    items: tuple[RatingModel, ...] = ()


class RemoveCopyInput(Contract):
    """Workflow `RemoveCopy`: the copies that a rating left behind."""

    group: str
    request_id: str
