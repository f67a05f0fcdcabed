"""A machine of an ingest group and of a feature group, run by the agent, with a transform group of its own."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.servers.kafka import KafkaServer
from localcloud.servers.valkey import ValkeyServer
from shared.contracts.node import Assignment, FleetRoute, Routes
from shared.contracts.objects import ProvisionedScaling, ServerGroup
from shared.contracts.serving import FeatureServing, GroupCall, OnlineStore, PushIngest
from tests.conftest import PASSWORD
from tests.dataplane import small_stack as small
from tests.dataplane.streams import access_of, make_topics, reading, value_of, wait_until
from tests.dataplane_client.nodes import GROUP, Node

pytestmark = pytest.mark.slow
FLEET = "served-r1"


@pytest.fixture
def control(tmp_path: Path) -> Iterator[small.ControlPlane]:
    made = small.ControlPlane(tmp_path / "tls")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def front(tmp_path: Path) -> Iterator[small.Front]:
    made = small.Front(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def scores(tmp_path: Path, control: small.ControlPlane) -> Iterator[Node]:
    """A transform group of one node, which the control plane knows."""
    node = Node(tmp_path, "a", control.authority)
    route = FleetRoute(fleet="scores-r1", revision=1, weight=1, endpoints=(node.address(),))
    control.watchers.called[GROUP] = Routes(group=GROUP, generation=1, fleets=(route,))
    yield node
    node.end()


def tell(
    control: small.ControlPlane, kafka: KafkaServer, serving: PushIngest | FeatureServing, generation: int
) -> None:
    kind = "ingest" if isinstance(serving, PushIngest) else "feature"
    group = ServerGroup(name="served", kind=kind, scaling=ProvisionedScaling(desired_nodes=1), serving=serving)
    fleets = (FleetRoute(fleet=FLEET, revision=1, weight=1),)
    control.watchers.tell(
        Assignment(group=group, fleet=FLEET, revision=1, kafka=access_of(kafka)),
        Routes(group="served", generation=generation, fleets=fleets),
    )


def post(address: str, path: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://{address}:7400{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


def test_a_machine_takes_events_for_topic_and_store_and_then_serves_them_as_features(
    front: small.Front,
    control: small.ControlPlane,
    scores: Node,
    kafka: KafkaServer,
    empty_valkey: ValkeyServer,
    unique_name: str,
    tmp_path: Path,
) -> None:
    make_topics(kafka, f"{unique_name}.out")
    (tmp_path / "password").write_text(PASSWORD)
    online = OnlineStore(
        url=f"redis://127.0.0.1:{empty_valkey.port}/0",
        view="planes",
        password_file=str(tmp_path / "password"),
        timeout_s=15.0,
    )
    call = GroupCall(group=GROUP, function="act", timeout_s=30.0)
    tell(control, kafka, PushIngest(topic=f"{unique_name}.out", store=online, transform=call), 1)
    user_data = {
        "group": "served",
        "fleet": FLEET,
        "revision": 1,
        "control": {
            "observer": control.address,
            "routes": control.address,
            "join": control.join_address,
            "ca_pem": control.ca_pem,
            "join_token_ref": f"/headrace/{FLEET}",
        },
    }
    (address,) = small.in_service(front, small.launch(front, user_data, 1), 1)

    status, told = post(address, "/v1/events", [{"id": "N1", "event_time": 5, "n": 1}, {"id": "N2"}])
    assert (status, [r["status"] for r in told["results"]]) == (200, ["accepted", "invalid"])
    assert post(address, "/v1/features", {"entities": ["N1"]})[0] == 404
    with reading(kafka, unique_name, f"{unique_name}.out") as reader:
        assert reader.ids(1) == {"N1"}
    assert value_of(small.metrics(address), "headrace_messages_out_total", group="served", fleet=FLEET) == 1

    tell(control, kafka, FeatureServing(store=online, transform=call), 2)
    wait_until(lambda: post(address, "/v1/features", {"entities": []})[0] == 200, "serving features")
    assert small.health(address)["detail"] == "serving"
    status, told = post(address, "/v1/features", {"entities": ["N1", {"id": "N9", "with": {"x": 1}}]})
    assert [r["status"] for r in told["results"]] == ["ok", "missing"]
    assert told["results"][0]["features"] == {"id": "N1", "event_time": 5, "n": 1, "node": "a"}

    control.stop()
    wait_until(lambda: not small.health(address)["control_plane"], "the control plane is gone")
    assert [post(address, "/v1/features", {"entities": ["N1"]})[1]["ok"] for _ in range(20)] == [1] * 20
