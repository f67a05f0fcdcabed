"""Tables in the bundle bucket, read by a machine's agent with its role's keys from the metadata service."""

import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from dataplane.agent.aws import NodeAws
from dataplane.agent.machine import Metadata
from dataplane.stages.http_bodies import read_whole
from dataplane.stages.tables import parse_table
from localcloud.aws.imds import PREFIX
from localcloud.servers.kafka import KafkaServer
from shared.contracts.node import Assignment, FleetRoute, Routes
from shared.contracts.objects import Enrich, Pipeline, ProvisionedScaling, RetryPolicy, ServerGroup, Stage
from shared.contracts.works import S3Table
from shared.domain.errors import Denied, InvalidInput, NotFound, Unavailable
from tests.dataplane import small_stack as small
from tests.dataplane.streams import Reader, access_of, fields_of, fill, id_of, make_topics, reading, wait_until

GROUP, FLEET = "carriers", "carriers-r1"
KEY = "tables/carriers.csv"
PATIENT = RetryPolicy(attempts=20, first_s=0.05, max_s=0.2)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[small.ControlPlane]:
    made = small.ControlPlane(tmp_path / "tls")
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def front(tmp_path: Path) -> Iterator[small.Front]:
    made = small.Front(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def enriching(control: small.ControlPlane, kafka: KafkaServer, name: str) -> None:
    """Orders of a stage that looks carriers up in an object."""
    source = S3Table(url=f"s3://bundles/{KEY}", format="csv", key="code")
    work = Enrich(source=source, field="carrier", into="airline", refresh_s=0.1, on_missing="keep")
    stage = Stage(name="enrich", group=GROUP, work=work, retry=PATIENT)
    group = ServerGroup(name=GROUP, kind="stage", scaling=ProvisionedScaling(desired_nodes=1))
    assignment = Assignment(
        group=group,
        fleet=FLEET,
        revision=1,
        pipeline=Pipeline.model_validate({"name": "p", "stages": [stage.model_dump()], "edges": []}),
        stage=stage,
        topic_in=f"{name}.in",
        topics_out=(f"{name}.out",),
        topic_dead=f"{name}.dead",
        consumer_group=f"{name}.group",
        kafka=access_of(kafka),
    )
    fleets = (FleetRoute(fleet=FLEET, revision=1, weight=1),)
    control.watchers.tell(assignment, Routes(group=GROUP, generation=1, fleets=fleets))


def user_data(control: small.ControlPlane) -> dict[str, object]:
    addresses = {"observer": control.address, "routes": control.address, "join": control.join_address}
    told = {**addresses, "ca_pem": control.ca_pem, "join_token_ref": f"/headrace/{FLEET}"}
    return {"group": GROUP, "fleet": FLEET, "revision": 1, "control": told}


class Airlines:
    """Asks the stage by events: which airline does it put into one of this carrier?"""

    def __init__(self, kafka: KafkaServer, name: str, reader: Reader) -> None:
        self._kafka, self._name, self._reader, self._count = kafka, name, reader, 0

    def of(self, carrier: str) -> object:
        self._count += 1
        event_id = f"q{self._count}"
        fill(self._kafka, f"{self._name}.in", {event_id: b'{"carrier": "%s"}' % carrier.encode()})
        found = self._reader.until(lambda messages: event_id in {id_of(m) for m in messages})
        row = next(fields_of(m) for m in found if id_of(m) == event_id).get("airline")
        return row and row["name"]


@pytest.fixture
def machine(
    front: small.Front, control: small.ControlPlane, kafka: KafkaServer, unique_name: str
) -> Iterator[tuple[str, Airlines]]:
    """An instance whose agent runs the stage over a table with one carrier."""
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("in", "out", "dead")))
    enriching(control, kafka, unique_name)
    small.put_object(front, KEY, b"code,name\nUA,United\n")
    asg = small.launch(front, user_data(control), 1)
    small.in_service(front, asg, 1)
    groups = front.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[asg])
    (instance,) = (i["InstanceId"] for i in groups["AutoScalingGroups"][0]["Instances"])
    with reading(kafka, unique_name, f"{unique_name}.out") as reader:
        yield instance, Airlines(kafka, unique_name, reader)


@pytest.mark.timeout(300)
def test_a_node_enriches_from_an_object_with_its_roles_keys_and_keeps_good_rows(
    front: small.Front, machine: tuple[str, Airlines]
) -> None:
    instance, airlines = machine
    assert (airlines.of("UA"), airlines.of("B6")) == ("United", None)
    small.put_object(front, KEY, b"code,name\nUA,United Air Lines\nB6,JetBlue\n")
    wait_until(lambda: airlines.of("B6") == "JetBlue", "the table is read anew")
    small.put_object(front, KEY, b"code,name\nUA,United,Chicago\n")
    wait_until(lambda: "a row has more columns" in front.consoles(), "it is refused")
    assert airlines.of("UA") == "United Air Lines"
    small.put_object(front, KEY, b"code,name\nUA,U\n")
    wait_until(lambda: airlines.of("UA") == "U", "a mended table is read")

    # The same keys, asked directly: what is not there, not allowed, or too large is told apart.
    aws = NodeAws(front.endpoint, lambda: "us-east-1", Metadata(f"{front.endpoint}{PREFIX}{instance}/").credentials)
    assert aws.read(f"s3://bundles/{KEY}", 15) == b"code,name\nUA,U\n"
    with pytest.raises(InvalidInput, match="15 bytes, at most 14"):
        aws.read(f"s3://bundles/{KEY}", 14)
    with pytest.raises(NotFound):
        aws.read("s3://bundles/none", 100)
    with pytest.raises(Denied):
        aws.read("s3://others/t", 100)


class CutShort(BaseHTTPRequestHandler):
    """Promises more than it sends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"code,name\nUA,United\n")

    def log_message(self, *_: object) -> None:
        pass


def test_a_body_that_was_cut_short_is_not_a_smaller_table() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), CutShort)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/table.csv"
        with urllib.request.urlopen(url, timeout=30) as answer, pytest.raises(Unavailable, match="20 of 100 bytes"):
            read_whole(answer, "table", 1000)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)


def test_a_row_with_more_columns_than_names_is_refused() -> None:
    with pytest.raises(InvalidInput, match="more columns"):
        parse_table(b"code,name\nUA,United,Chicago\n", "csv", "code", 10)
