"""What a node is told and what it keeps. It works on from its last copy when the control plane is gone."""

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.objects import Pipeline, ServerGroup, Slo, Stage
from shared.contracts.provisioning import Artifact

RAMP_BUCKETS = 1000
EVENT_BYTES_MAX = 1024 * 1024  # of a value between stages
MESSAGE_BYTES_MAX = 1_200_000  # of a stage's topic: a value with its key and headers
LETTER_BYTES_MAX = 1_400_000  # of its dead letters and retries: the same, with why it failed
PORT_SERVE = 7400  # ingest HTTP, or transform gRPC
PORT_HEALTH = 7401  # health and /metrics
USER_DATA_BYTES_MAX = 16 * 1024
HOOK_LAUNCHING = "headrace-launching"  # completed with CONTINUE when the node is ready; ABANDON by itself
HOOK_TERMINATING = "headrace-terminating"  # completed when the node has drained; CONTINUE by itself


class Control(Contract):
    """Where the control plane is: `host:port` pairs; `join_token_ref` names an SSM parameter."""

    observer: str
    routes: str  # the Provisioner, mutual TLS
    join: str  # the Provisioner's join port: server TLS only
    ca_pem: str  # the stack's authority: public
    server_name: str = "provisioner"
    join_token_ref: str


class UserData(Contract):
    """User data of a machine: pointers only."""

    workspace: str = "default"
    group: str
    fleet: str
    revision: int
    bundle: Artifact | None = None  # a BundleManifest
    control: Control


class BundleManifest(Contract):
    """What users' code needs; the file's own sha256 stands in the user data."""

    environment: Artifact  # tar.gz with site-packages under `site/`
    code: Artifact  # tar.gz of the code folder
    variables: dict[str, str] = Field(default_factory=dict)


class KafkaAccess(Contract):
    """How to reach the broker. Comes over mutual TLS at joining; never in user data, never to users' code."""

    bootstrap: str
    username: str = ""
    password: str = Field(default="", repr=False)


class Assignment(Contract):
    """What this node works on."""

    group: ServerGroup
    fleet: str
    revision: int
    pipeline: Pipeline | None = None
    stage: Stage | None = None
    topic_in: str = ""
    topics_out: tuple[str, ...] = ()  # one per outgoing edge
    topic_dead: str = ""
    topics_retry: tuple[str, ...] = ()  # of the global retrier, one for each of its delays
    consumer_group: str = ""
    kafka: KafkaAccess | None = None
    slo: Slo = Slo()
    rehearsal: bool = False  # on a copy that is rated: its audits are nobody's


class FleetRoute(Contract):
    """A fleet's part in the traffic."""

    fleet: str
    revision: int
    weight: int  # 0: its nodes stop consuming or serving
    endpoints: tuple[str, ...] = ()  # host:port of nodes in service
    zones: tuple[str, ...] = ()  # the availability zone of each endpoint, in the same order


class Routes(Contract):
    """Of one group; `generation` only grows."""

    group: str
    generation: int
    fleets: tuple[FleetRoute, ...] = ()
    ramp_percent: int = 100  # for ingest groups: buckets below percent * 10 are admitted


def topic_in(pipeline: str, stage: str) -> str:
    """The topic a stage consumes.

    >>> topic_in("departures", "normalize")
    'headrace.departures.normalize'
    """
    return f"headrace.{pipeline}.{stage}"


def topic_dead(pipeline: str, stage: str) -> str:
    """The stage's dead letters."""
    return f"headrace.{pipeline}.{stage}.dead"


def topics_retry(pipeline: str, stage: str, levels: int) -> tuple[str, ...]:
    """Where events wait for the global retrier: a topic for each delay.

    >>> topics_retry("departures", "transmit", 2)
    ('headrace.departures.transmit.retry1', 'headrace.departures.transmit.retry2')
    """
    return tuple(f"headrace.{pipeline}.{stage}.retry{level}" for level in range(1, levels + 1))


def consumer_group(pipeline: str, stage: str) -> str:
    """The consumer group of a stage; both fleets of a deployment are members of it."""
    return f"headrace.{pipeline}.{stage}"


def routes_key(workspace: str, group: str) -> str:
    """The Redis key of a group's routes (JSON of `Routes`); changes are published on the channel of the same name."""
    return f"headrace:routes:{workspace}:{group}"


def assignment_key(workspace: str, group: str) -> str:
    """The channel on which a changed assignment is announced."""
    return f"headrace:assignment:{workspace}:{group}"
