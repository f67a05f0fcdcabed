"""A machine that is a process gets a wrong clock and a slow disk, keeps them while the cloud is dead, and is well again after their end."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud import ports
from localcloud.aws import ailments
from localcloud.aws.client import Control, ControlRefusedError
from localcloud.aws.machines import Ailment
from tests.localcloud_aws.front import FrontProcess, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
NODE = Path(__file__).parent / "ailing_node.py"
IMAGE = {"ImageId": "ami-headrace", "InstanceType": "m6a.large", "MinCount": 1, "MaxCount": 1}
DAY_S, TOLERANCE_S = 86_400.0, 3_600.0  # so far off that no slowness of a machine looks like it


@pytest.fixture
def place() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="headrace-ailments-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def make_front(place: Path, port: int) -> FrontProcess:
    command = f"{sys.executable} {NODE}"
    arguments = ("--machines", "process", "--state", str(place / "state"), "--node-command", command)
    return FrontProcess(port, place / "front.log", *arguments)


def said(place: Path, instance_id: str) -> dict[str, float]:
    file = place / "machines" / instance_id / "said.json"
    found: dict[str, float] = json.loads(until(lambda: file.exists() and file.read_text(), "the machine to speak"))
    return found


def ahead_s(place: Path, instance_id: str) -> float:
    return said(place, instance_id)["wall"] - time.time()


def test_a_clock_that_is_wrong_and_a_disk_that_is_slow(place: Path) -> None:
    port = ports.choose()
    front, again = make_front(place, port), make_front(place, port)
    front.start()
    try:
        instance_id = front.client("ec2").run_instances(**IMAGE)["Instances"][0]["InstanceId"]
        assert abs(ahead_s(place, instance_id)) < TOLERANCE_S
        with Control(front.url) as control:
            skew = {"machine": instance_id, "offset_s": DAY_S}
            if not (place / "machines" / instance_id / ailments.FILE).exists():  # a computer without a C compiler
                with pytest.raises(ControlRefusedError, match="Install one"):
                    control.inject("clock-skew", 600, **skew)
                return
            fault = control.inject("clock-skew", 3000, **skew)
            until(lambda: abs(ahead_s(place, instance_id) - DAY_S) < TOLERANCE_S, "a clock a day ahead")
            with control.fault("slow-disk", 600, machine=instance_id, delay_s=1.5):
                until(lambda: said(place, instance_id)["disk_s"] >= 1.5, "a slow disk")
            until(lambda: said(place, instance_id)["disk_s"] < 1.5, "a disk as before")
        front.kill()
        assert abs(ahead_s(place, instance_id) - DAY_S) < TOLERANCE_S
        again.start()
        with Control(again.url) as control:
            assert [one["id"] for one in control.faults()] == [fault]
            assert again.machines()[instance_id]["clock_offset_s"] == DAY_S
            control.clear()
            until(lambda: abs(ahead_s(place, instance_id)) < TOLERANCE_S, "a right clock")
            with control.fault("clock-skew", 600, machine=instance_id, offset_s=-DAY_S):
                until(lambda: abs(ahead_s(place, instance_id) + DAY_S) < TOLERANCE_S, "a clock a day behind")
            control.inject("clock-skew", 0.5, **skew)
            until(lambda: abs(ahead_s(place, instance_id)) < TOLERANCE_S, "a fault that ends by itself")
        again.client("ec2").terminate_instances(InstanceIds=[instance_id])
        until(lambda: instance_id not in again.machines(), "the machine to be gone")
    finally:
        again.stop()
        front.kill()


def test_without_a_compiler_machines_run_and_can_not_ail(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(place))
    assert ailments.build(place) is None
    assert "apt-get install gcc" in caplog.text
    assert ailments.environment(place, None) == {}


def test_a_compiler_that_fails_says_why(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compiler = place / "cc"
    compiler.write_text("#!/bin/sh\necho no headers here >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:/bin:/usr/bin")
    assert ailments.build(place) is None
    assert "no headers here" in caplog.text
    assert list(place.glob("*.so")) == []


def test_the_numbers_are_where_the_shim_reads_them(place: Path) -> None:
    ailments.write(place, Ailment(-1.5, 10.0, 0.25, 20.0))
    numbers = ailments.NUMBERS.unpack((place / ailments.FILE).read_bytes())
    assert numbers == (-1_500_000_000, 10_000_000_000, 250_000_000, 20_000_000_000)
