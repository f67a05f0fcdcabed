import json
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc

from dataplane.agent.users_account import FIRST, LAST
from localcloud.servers.kafka import KafkaServer
from localcloud.servers.prometheus import PrometheusServer
from shared.contracts.node import Assignment, FleetRoute, Routes
from shared.contracts.objects import (
    HttpIngest,
    Normalize,
    Pipeline,
    ProvisionedScaling,
    RetryPolicy,
    ServerGroup,
    Stage,
    Transform,
)
from tests.conftest import PASSWORD
from tests.dataplane import small_stack as small
from tests.dataplane.streams import (
    access_of,
    events,
    fields_of,
    fill,
    header,
    is_dead,
    make_topics,
    reading,
    value_of,
    wait_until,
)

pytestmark = pytest.mark.slow
CODE = """
import os
from headrace_runtime import transform, NonRecoverable

@transform(name="delays")
def delays(event):
    if event["n"] == 7:
        raise NonRecoverable("seven", reason="Seven")
    readable = []
    for name in ("/proc/%d/environ" % os.getppid(), os.environ.get("HEADRACE_NODE_STATE_DIR", "/nonexistent")):
        readable.append(os.access(name, os.R_OK))
    return event | {"uid": os.getuid(), "variables": sorted(os.environ)}
"""

MEASURED = """
from headrace_runtime import NonRecoverable, Recoverable, score, transform

@transform
def measured(event):
    score(0.3)
    if event["n"] == 3:
        return None
    if event["n"] == 5:
        raise Recoverable("later", reason="Busy")
    if event["n"] == 7:
        raise NonRecoverable("seven", reason="Seven")
    return event
"""
CONTRACT = {  # of the contracts' table of a node's metrics, with the labels of its own
    "headrace_lag_in_seconds_bucket": {"le"},
    "headrace_lag_out_seconds_bucket": {"le"},
    "headrace_messages_in_total": set[str](),
    "headrace_messages_out_total": set[str](),
    "headrace_messages_failed_total": {"kind", "reason"},
    "headrace_messages_dropped_total": {"reason"},
    "headrace_retries_total": {"tier"},
    "headrace_oldest_unprocessed_timestamp_seconds": set[str](),
    "headrace_busy_ratio": set[str](),
    "headrace_transform_seconds_bucket": {"le"},
    "headrace_transform_errors_total": set[str](),
    "headrace_score_bucket": {"le"},
    "headrace_node_info": {"environment", "runtime"},
}
NODE_LABELS = {"workspace", "pipeline", "stage", "group", "fleet", "revision", "node"}


@dataclass
class Stack:
    front: small.Front
    control: small.ControlPlane
    kafka: KafkaServer
    name: str
    code: Path

    def user_data(self, fleet: str, **more: Any) -> dict[str, Any]:
        return {
            "group": "delays",
            "fleet": fleet,
            "revision": 1,
            "control": {
                "observer": self.control.address,
                "routes": self.control.address,
                "join": self.control.join_address,
                "ca_pem": self.control.ca_pem,
                "join_token_ref": f"/headrace/{fleet}",
            },
            **more,
        }

    def bundle(self, code: bytes | None = None, sha256: str = "") -> dict[str, Any]:
        environment = small.put_object(self.front, "env.tar.gz", small.environment_bundle())
        packed = small.put_object(self.front, "code.tar.gz", code or small.packed(self.code))
        packed["sha256"] = sha256 or packed["sha256"]
        manifest = {"environment": environment, "code": packed, "variables": {"COLOUR": "blue"}}
        return small.put_object(self.front, "manifest.json", json.dumps(manifest).encode())

    def orders(self, kind: str, stage: Stage | None, weight: int = 1, generation: int = 1) -> None:
        scaling = ProvisionedScaling(desired_nodes=1)
        group = ServerGroup(name="delays", kind=kind, scaling=scaling)
        pipeline = stage and Pipeline(name="p", stages=(stage,), edges=())
        assignment = Assignment(
            group=group,
            fleet="delays-r1",
            revision=1,
            pipeline=pipeline or None,
            stage=stage,
            topic_in=f"{self.name}.in",
            topics_out=(f"{self.name}.out",),
            topic_dead=f"{self.name}.dead",
            consumer_group=f"{self.name}.group",
            kafka=access_of(self.kafka),
        )
        fleets = (FleetRoute(fleet="delays-r1", revision=1, weight=weight),)
        self.control.watchers.tell(assignment, Routes(group="delays", generation=generation, fleets=fleets))


@pytest.fixture
def stack(tmp_path: Path, kafka: KafkaServer, unique_name: str) -> Iterator[Stack]:
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("in", "out", "dead")))
    control = small.ControlPlane(tmp_path / "tls")
    control.start()
    code = tmp_path / "code"
    code.mkdir()
    (code / "delays.py").write_text(CODE)
    front = small.Front(tmp_path)
    yield Stack(front, control, kafka, unique_name, code)
    front.stop()
    control.stop()


def test_a_machine_joins_runs_users_code_without_rights_and_drains(stack: Stack) -> None:
    stack.orders("transform", Stage(name="s", group="delays", work=Transform(function="delays")))
    asg = small.launch(stack.front, stack.user_data("delays-r1", bundle=stack.bundle()), 1)
    (address,) = small.in_service(stack.front, asg, 1)
    assert small.health(address)["ready"] is True

    fill(stack.kafka, f"{stack.name}.in", events(20))
    with reading(stack.kafka, stack.name, f"{stack.name}.out", f"{stack.name}.dead") as reader:
        assert reader.ids(20) == set(events(20))
        dead = [m for m in reader.messages if is_dead(m)]
        assert [header(m, "reason") for m in dead] == ["Seven"]
        value = fields_of(next(m for m in reader.messages if not is_dead(m)))
    if os.geteuid() == 0:
        assert FIRST <= value["uid"] <= LAST
    assert not [name for name in value["variables"] if name.startswith(("AWS", "HEADRACE"))]
    assert "COLOUR" in value["variables"]

    # An event is counted after it was acknowledged: whoever reads the topic may be first.
    wait_until(lambda: value_of(small.metrics(address), "headrace_messages_out_total") == 19, "they are counted")
    lines = small.metrics(address)
    assert value_of(lines, "headrace_messages_in_total", pipeline="p", stage="s", fleet="delays-r1") == 20
    assert value_of(lines, "headrace_messages_failed_total", kind="non_recoverable", reason="Seven") == 1
    assert value_of(lines, "process_cpu_seconds_total") > 0
    assert value_of(lines, "process_resident_memory_bytes") < 250e6
    wait_until(lambda: {a.point for a in stack.control.audits if a.count} >= {"in", "out"}, "audits")

    request = pb.TransformBatchRequest(function="delays", events=[b'{"n":1}', b'{"n":7}'])
    with stack.control.channel(f"{address}:7400") as channel:
        found = pb_grpc.TransformServiceStub(channel).TransformBatch(request, timeout=60).results
    assert [r.error.reason for r in found] == ["", "Seven"]
    with stack.control.channel(f"{address}:7400", stranger=True) as channel, pytest.raises(grpc.RpcError):
        pb_grpc.TransformServiceStub(channel).TransformBatch(request, timeout=5)

    asgs = stack.front.client("autoscaling")
    asgs.set_desired_capacity(AutoScalingGroupName=asg, DesiredCapacity=0)
    wait_until(lambda: small.states(stack.front, asg) == [], "gone")
    assert '"hook": "headrace-terminating", "result": "CONTINUE"' in stack.front.consoles()


def test_a_node_works_on_without_the_control_plane_and_follows_weights_after_it(stack: Stack) -> None:
    stack.orders("stage", Stage(name="s", group="delays", work=Normalize()))
    asg = small.launch(stack.front, stack.user_data("delays-r1"), 1)
    (address,) = small.in_service(stack.front, asg, 1)
    wait_until(lambda: bool(small.health(address)["control_plane"]), "watching")
    stack.control.stop()
    fill(stack.kafka, f"{stack.name}.in", events(50))
    with reading(stack.kafka, stack.name, f"{stack.name}.out") as reader:
        assert reader.ids(50) == set(events(50))
    assert small.health(address)["ready"] is True

    stack.control.start(stack.control.ports)
    stack.orders("stage", Stage(name="s", group="delays", work=Normalize()), weight=0, generation=2)
    wait_until(lambda: small.health(address)["detail"] == "its fleet takes no traffic", "weight 0")


def test_a_bundle_that_was_changed_is_refused_and_the_machine_given_back(stack: Stack) -> None:
    stack.orders("transform", None)
    bundle = stack.bundle(sha256="0" * 64)
    small.launch(stack.front, stack.user_data("delays-r1", bundle=bundle), 1)
    wait_until(lambda: '"result": "ABANDON"' in stack.front.consoles(), "abandoned")
    said = stack.front.consoles()
    assert "its sha256 is" in said
    assert "declared is " + "0" * 64 in said


def test_events_come_in_over_http_and_are_on_the_topic_when_they_are_accepted(stack: Stack) -> None:
    stage = Stage(name="s", group="delays", work=HttpIngest(time_field="at", key_field="k"))
    stack.orders("ingest", stage)
    asg = small.launch(stack.front, stack.user_data("delays-r1"), 1)
    (address,) = small.in_service(stack.front, asg, 1)
    body = json.dumps([{"id": "a", "at": 1.5e9, "k": "x"}, {"id": "b"}, 3]).encode()
    request = urllib.request.Request(f"http://{address}:7400/v1/events", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = json.load(answer)
    assert [r["status"] for r in found["results"]] == ["accepted", "invalid", "invalid"]
    assert found["results"][1]["error"]["field"] == "at"
    with reading(stack.kafka, stack.name, f"{stack.name}.out") as reader:
        (message,) = reader.until(lambda m: len(m) == 1)
    assert (message.key(), header(message, "id"), float(header(message, "t"))) == (b"x", "a", 1.5e9)


def test_prometheus_finds_every_metric_of_the_contract_with_its_labels(
    stack: Stack, prometheus: PrometheusServer
) -> None:
    (stack.code / "delays.py").write_text(MEASURED)
    retry = RetryPolicy(attempts=20, first_s=1, max_s=30)
    stack.orders("transform", Stage(name="s", group="delays", work=Transform(function="measured"), retry=retry))
    asg = small.launch(stack.front, stack.user_data("delays-r1", bundle=stack.bundle()), 1)
    (address,) = small.in_service(stack.front, asg, 1)
    fill(stack.kafka, f"{stack.name}.in", events(20))

    def found(name: str) -> list[dict[str, str]]:
        asked = {"query": name}
        answer = httpx.get(f"{prometheus.url}/api/v1/query", params=asked, auth=(prometheus.username, PASSWORD))
        return [r["metric"] for r in answer.json()["data"]["result"] if r["metric"].get("fleet") == "delays-r1"]

    try:
        prometheus.scrape([{"job_name": "nodes", "static_configs": [{"targets": [f"{address}:7401"]}]}])
        for name, own in CONTRACT.items():
            wanted = NODE_LABELS | own
            wait_until(lambda name=name, wanted=wanted: any(wanted <= m.keys() for m in found(name)), name)  # type: ignore[misc]
    finally:
        prometheus.scrape([])
