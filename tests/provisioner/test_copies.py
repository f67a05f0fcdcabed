"""The copy that is rated: what of it is decided, made by Pulumi's real engine, and gone again; load by the real driver."""

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.certificates import DevelopmentAuthority
from services.provisioner.adapters.load_process import LoadProcess
from services.provisioner.domain.group import Group
from services.provisioner.domain.load import Calls, LoadFound, LoadOrder, LoadStep, sample_events
from services.provisioner.operations.copies import alone, copy_intent, serving_revision
from services.provisioner.operations.rehearsal import Rehearsal
from services.provisioner.operations.translation import spec_of
from shared.aws.clients import aws_client
from shared.contracts.node import KafkaAccess
from shared.contracts.provisioning import Artifact, GroupStackInput, RegisterGroupInput
from shared.contracts.rating import SAMPLE_IN_BUNDLE, AddCopyInput, DriveInput, Loading, RatingWay
from shared.domain.errors import Conflict, InvalidInput, NotFound, Refused, StaleLease, Unavailable
from shared.domain.names import GroupName, rating_copy
from tests.dataplane_client.nodes import Node
from tests.provisioner.conftest import Running
from tests.provisioner.examples import fleet, intent, spec
from tests.provisioner.test_engine import CODE, add, asg, make, weigh

LINES = b'{"n": 1}\n{"n": 2}\n'


def test_a_sample_is_events_line_by_line_and_a_bad_line_is_named() -> None:
    assert sample_events(LINES, "s", 10) == (b'{"n": 1}', b'{"n": 2}')
    for content, why in ((b"", "no event"), (b'{"n": 1}\n{"n"\n', "line 2"), (LINES * 3, "more than 5")):
        with pytest.raises(InvalidInput, match=why):
            sample_events(content, "s", 5)


def test_the_revision_that_serves_is_copied_and_none_while_two_share() -> None:
    one = Group(intent(), fleets=(fleet(revision=1), fleet(revision=2, weight=100)))
    assert serving_revision(one).number == 2
    for weights in ((50, 50), (0, 0)):
        both = tuple(fleet(revision=n, weight=w) for n, w in enumerate(weights, 1))
        with pytest.raises(Refused):
            serving_revision(Group(intent(), fleets=both))


def test_a_copy_is_one_node_of_the_same_type_under_a_name_of_its_own() -> None:
    original = Group(intent())
    copied = Group(copy_intent(original.intent, Rehearsal(alone(spec_of(original)), RatingWay())))
    assert (copied.name, copied.intent.nodes_min, copied.intent.nodes_max) == ("rating-delays", 1, 1)
    assert (copied.intent.node_type, copied.intent.document != original.intent.document) == ("m6a.large", True)
    assert (copied.scope, original.scope) == ("group/delays", "group/delays")
    long = rating_copy(GroupName("g" * 63))
    assert len(long) == 63
    assert long != rating_copy(GroupName("g" * 62 + "h"))


def packed(**files: bytes) -> bytes:
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb") as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def publish(url: str, content: bytes) -> None:
    s3, (bucket, _, key) = aws_client("s3"), url.removeprefix("s3://").partition("/")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=content)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore:aws.ec2/encryptioncontrol:DeprecationWarning")  # the SDK warns as it loads
async def test_a_copy_is_made_under_the_lease_of_its_original_seen_by_nobody_and_gone_again(
    running: Running, unique_name: str
) -> None:
    group, copied = unique_name, f"rating-{unique_name}"
    service = running.service
    await make(running, group)
    await weigh(running, group, r1=100)
    given = await running.adapters.bundles.put_text("samples", LINES.decode())
    sample = Artifact(url=given.url, sha256=given.sha256, size=given.size)
    with pytest.raises(StaleLease):
        await service.copies.add(AddCopyInput(group=group, sample=sample, lease=running.lease(copied)))
    live = asg(f"{group}-r1")
    how = Loading(step_s=2, batch=7)
    made = await service.copies.add(AddCopyInput(group=group, sample=sample, loading=how, lease=running.lease(group)))
    repeated = AddCopyInput(group=group, sample=sample, loading=how, lease=running.lease(group))
    assert await service.copies.add(repeated) == made
    assert (made.copy_group, made.fleet, made.revision) == (copied, f"{copied}-r1", 1)
    assert (made.call.batch, made.promise.latency_p95_s, made.sample) == (7, 5.0, sample)
    there = asg(made.fleet)
    assert there is not None
    assert (there["MinSize"], there["MaxSize"], there["DesiredCapacity"]) == (1, 1, 1)
    assert [g.spec.name for g in await service.groups.all()] == [group]  # nobody judges or scales the copy
    assert asg(f"{group}-r1") == live
    assert (await service.sweeping.sweep()).copies == (group,)
    with pytest.raises(Conflict, match="is taken by the copy"):
        await service.groups.register(RegisterGroupInput(spec=spec(copied), generation=9))
    with pytest.raises(InvalidInput, match=f"reads like a fleet of group '{group}'"):
        await service.groups.register(RegisterGroupInput(spec=spec(f"{group}-r1x"), generation=1))
    with pytest.raises(Unavailable, match="in service"):
        await service.copies.drive(DriveInput(copied=made))

    await add(running, group, 2)
    await weigh(running, group, r2=100)
    request = AddCopyInput(group=group, lease=running.lease(group))
    publish(CODE.url, packed(code=b"pass"))
    with pytest.raises(InvalidInput, match=f"holds no {SAMPLE_IN_BUNDLE}"):
        await service.copies.add(request)
    publish(CODE.url, packed(**{SAMPLE_IN_BUNDLE: LINES, "code.py": b"pass"}))
    again = await service.copies.add(request)
    assert (again.fleet, asg(made.fleet)) == (f"{copied}-r2", None)  # what another revision left goes first
    assert await running.adapters.bundles.read(again.sample.url, 1000) == LINES
    with pytest.raises(InvalidInput, match="above 3"):
        await running.adapters.bundles.read(again.sample.url, 3)
    with pytest.raises(NotFound):
        await running.adapters.bundles.read(f"{again.sample.url}-not", 1000)
    for _ in range(2):
        await service.groups.remove(GroupStackInput(group=copied, lease=running.lease(group)))
    assert asg(again.fleet) is None
    assert (await service.sweeping.sweep()).copies == ()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[Node, DevelopmentAuthority]]:
    """Each event says how long it takes; two workers."""
    authority = DevelopmentAuthority(tmp_path / "tls", "test")
    made = Node(tmp_path, "copy", authority)
    try:
        yield made, authority
    finally:
        made.end()


def order(
    address: str, *events: bytes, rate: float, steps: tuple[LoadStep, ...] = (), latency_s: float = 5.0
) -> LoadOrder:
    return LoadOrder(Calls(address, "", 1), 1.0, rate, latency_s, 0.01, events, steps)


async def test_load_goes_straight_to_the_node_and_what_it_cannot_take_is_told(
    node: tuple[Node, DevelopmentAuthority],
) -> None:
    made, authority = node
    driver = LoadProcess(authority.service("provisioner"), KafkaAccess(bootstrap="127.0.0.1:1"))
    address = made.address()
    held = await driver.drive(order(address, b'{"sleep": 0}', rate=4.0))
    assert isinstance(held, LoadStep)
    assert (held.wanted, held.held, held.errors) == (4.0, True, 0.0)
    broke = await driver.drive(order(address, b'{"sleep": 1.0}', rate=40.0, latency_s=0.5))  # two a second
    assert isinstance(broke, LoadStep)
    assert not broke.held
    below = await driver.drive(order(address, b'{"sleep": 0}', rate=40.0, steps=(broke,)))
    assert isinstance(below, LoadStep)
    assert below.wanted == pytest.approx(25.0)
    many = tuple(LoadStep(rate, rate, rate, 0.1, 0.0, held=True) for rate in (90.0, 95.0) * 12)
    found = await driver.drive(order(address, b"{}", rate=90.0, steps=many))
    assert isinstance(found, LoadFound)
    assert "every step held" in found.note
    with pytest.raises(InvalidInput, match="takes none of 1 events"):
        await driver.drive(order(address, b"17", rate=4.0))
    made.end()
    with pytest.raises(Unavailable):
        await driver.drive(order(address, b"{}", rate=4.0))
