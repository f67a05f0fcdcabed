"""Bundles and AWS calls as an enemy would have them."""

import io
import os
import stat
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from dataplane.agent import aws
from dataplane.agent.machine import Credentials, MachineSettings
from dataplane.agent.unpacking import unpack
from shared.domain.errors import InvalidInput

Fill = Callable[[tarfile.TarFile], None]


def archive(path: Path, fill: Fill) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        fill(tar)
    return path


def add(tar: tarfile.TarFile, name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.linkname = kind, mode, link
    member.size = 3 if kind == tarfile.REGTYPE else 0
    tar.addfile(member, io.BytesIO(b"abc") if member.size else None)


@pytest.mark.parametrize(
    "fill",
    [
        lambda t: add(t, "../out"),
        lambda t: add(t, "a/../../out"),
        lambda t: add(t, "/etc/out"),
        lambda t: add(t, "link", tarfile.SYMTYPE, link="/etc"),
        lambda t: add(t, "hard", tarfile.LNKTYPE, link="other"),
        lambda t: add(t, "dev", tarfile.CHRTYPE),
        lambda t: add(t, "pipe", tarfile.FIFOTYPE),
        lambda t: add(t, "x" * 600),
    ],
)
def test_a_member_that_leads_outside_stops_the_unpacking(tmp_path: Path, fill: Fill) -> None:
    packed = archive(tmp_path / "b.tar.gz", fill)
    with pytest.raises(InvalidInput, match="bundle"):
        unpack(packed, tmp_path / "in" / "target")
    assert not (tmp_path / "in" / "target").exists()
    assert not (tmp_path / "out").exists()


def test_plain_files_are_unpacked_readable_by_others_and_without_set_uid(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        add(tar, "./site/a.py", mode=0o600)
        add(tar, "site/run", mode=0o6755)

    previous = os.umask(0o077)
    try:
        unpack(archive(tmp_path / "b.tar.gz", fill), tmp_path / "target")
    finally:
        os.umask(previous)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "target").rglob("*")}
    assert modes == {"site": 0o755, "a.py": 0o644, "run": 0o755}


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "b.tar.gz").write_bytes(b"not gzip")
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        unpack(tmp_path / "b.tar.gz", tmp_path / "target")


@pytest.mark.parametrize(
    "request_",
    [
        aws.Request("s3", "GET", "https://b.s3.eu-west-1.amazonaws.com/a%20folder/x.tar.gz", {}),
        aws.Request("ssm", "POST", "https://ssm.eu-west-1.amazonaws.com/", {"X-Amz-Target": "T.G"}, b'{"Name":"a"}'),
        aws.Request("autoscaling", "POST", "http://127.0.0.1:5000/", {"Content-Type": "x/y"}, b"Action=A&Version=1"),
    ],
)
def test_requests_are_signed_as_botocore_signs_them(request_: aws.Request) -> None:
    keys = Credentials("AKID", "secret", "token")
    ours = aws.signed(request_, keys, "eu-west-1", datetime.now(UTC))
    theirs = AWSRequest(request_.method, request_.url, dict(request_.headers), request_.body)
    kind = S3SigV4Auth if request_.service == "s3" else SigV4Auth
    signer = kind(BotoCredentials("AKID", "secret", "token"), request_.service, "eu-west-1")
    signer.add_auth(theirs)
    stamp = datetime.strptime(theirs.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = aws.signed(request_, keys, "eu-west-1", stamp)
    assert ours["authorization"] == theirs.headers["Authorization"]


def test_a_machine_without_a_state_folder_says_which_variable_is_missing() -> None:
    with pytest.raises(InvalidInput, match="HEADRACE_NODE_STATE_DIR"):
        MachineSettings.of({})
