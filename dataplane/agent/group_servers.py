"""What a node of a feature or ingest group serves by itself, made from its group's intent."""

from collections.abc import Callable

from dataplane.client.threads import GroupClient
from dataplane.feature_server import server as features
from dataplane.ingest_server import server as events
from dataplane.serving.online_store import FeatureStore
from dataplane.serving.topic_writer import TopicWriter
from dataplane.serving.transforms import Transforms
from dataplane.stages.measures import Measures
from shared.contracts.node import Assignment
from shared.contracts.serving import FeatureServing, GroupCall, PushIngest
from shared.domain.errors import InvalidInput

CallGroup = Callable[[str], GroupClient]
GroupServer = features.FeatureServer | events.IngestServer
PATHS: dict[str, str] = {"features": features.PATH, "push": events.PATH}


def make_server(assignment: Assignment, node: str, call_group: CallGroup, measures: Measures) -> GroupServer:
    """Started; InvalidInput when the orders do not hold what the intent needs."""
    match assignment.group.serving:
        case FeatureServing() as spec:
            store = FeatureStore(spec.store, assignment.group.workspace)
            return features.FeatureServer(spec, store, _transforms(spec.transform, call_group, measures), measures)
        case PushIngest() as spec:
            return _ingest(spec, assignment, node, call_group, measures)
        case None:
            raise InvalidInput(f"group {assignment.group.name}: it declares nothing to serve", field="serving")


def _ingest(
    spec: PushIngest, assignment: Assignment, node: str, call_group: CallGroup, measures: Measures
) -> events.IngestServer:
    topic = None
    if spec.topic:
        if assignment.kafka is None:
            raise InvalidInput(f"group {assignment.group.name}: no broker came with its orders", field="topic")
        topic = TopicWriter(assignment.kafka, node, spec.topic)
    store = FeatureStore(spec.store, assignment.group.workspace) if spec.store else None
    parts = events.Parts(_transforms(spec.transform, call_group, measures), topic, store)
    if topic:
        topic.start()
    return events.IngestServer(spec, parts, measures)


def _transforms(call: GroupCall | None, call_group: CallGroup, measures: Measures) -> Transforms | None:
    return Transforms(call, call_group(call.group), measures) if call else None
