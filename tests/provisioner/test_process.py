"""The process as it is run: it starts on real servers, answers over mutual TLS, and leaves on SIGTERM."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from localcloud import ports
from localcloud.certificates import DevelopmentAuthority
from localcloud.servers.postgres import SchemaAccess
from localcloud.servers.temporal import TemporalServer
from localcloud.servers.valkey import ValkeyServer
from shared.clients.provisioner import ProvisionerClient
from shared.domain.errors import NotFound, Unavailable
from shared.grpc.client import open_channel
from tests.provisioner.conftest import ROOT
from tests.provisioner.examples import spec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
READY_S_MAX = 120.0
LEAVES_S_MAX = 60.0


def launched(environment: dict[str, str], log: BinaryIO) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "services.provisioner"], cwd=ROOT, stderr=log, env=environment)


def environment_of(
    cloud: dict[str, str],
    access: SchemaAccess,
    authority: DevelopmentAuthority,
    valkey: ValkeyServer,
    temporal: TemporalServer,
    place: Path,
) -> dict[str, str]:
    """All but where it listens."""
    return {
        **os.environ,
        **cloud,
        "HEADRACE_STACK": "test",
        "HEADRACE_PROFILE": "demo",
        "HEADRACE_DATABASE_URL": access.url,
        "HEADRACE_DATABASE_SCHEMA": access.schema,
        "HEADRACE_REDIS_URL": valkey.url,
        "HEADRACE_TEMPORAL_ADDRESS": temporal.address,
        "HEADRACE_TEMPORAL_NAMESPACE": temporal.namespace,
        "HEADRACE_TLS_DIR": str(authority.service("provisioner")),
        "HEADRACE_CA_CERT_FILE": str(authority.files.certificate),
        "HEADRACE_CA_KEY_FILE": str(authority.files.key),
        "HEADRACE_PROVISIONER_DIR": str(place / "provisioner"),
        "PULUMI_ROOT": str(ROOT / ".tools"),
        "PULUMI_BACKEND_URL": f"file://{place}/state",
        "PULUMI_CONFIG_PASSPHRASE": "test",
    }


async def answers(client: ProvisionerClient, process: "subprocess.Popen[bytes]") -> tuple[int, int]:
    async with asyncio.timeout(READY_S_MAX):
        while True:
            assert process.poll() is None, "the process ended"
            try:
                groups, pipelines = await client.inventory()
            except Unavailable:
                continue
            return len(groups), len(pipelines)


async def test_it_starts_answers_and_leaves(
    cloud_environment: dict[str, str],
    database: Callable[[str], SchemaAccess],
    empty_valkey: ValkeyServer,
    temporal: TemporalServer,
    tmp_path: Path,
) -> None:
    access = database("provisioner")
    authority = DevelopmentAuthority(tmp_path / "tls", "test")
    listen, join, metrics = (f"127.0.0.1:{ports.choose()}" for _ in range(3))
    log = (tmp_path / "log").open("wb")
    process = launched(
        {
            **environment_of(cloud_environment, access, authority, empty_valkey, temporal, tmp_path),
            "HEADRACE_LISTEN": listen,
            "HEADRACE_JOIN_LISTEN": join,
            "HEADRACE_METRICS_LISTEN": metrics,
        },
        log,
    )
    channel = open_channel(listen, authority.service("observer"))
    try:
        client = ProvisionerClient(channel)
        assert await answers(client, process) == (0, 0)
        with pytest.raises(NotFound, match="group delays"):
            await client.group("delays")
        changes, _ = await client.plan_group(spec())
        assert "create autoscaling group default-delays-r1" in changes
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, LEAVES_S_MAX) == 0
        said = (tmp_path / "log").read_bytes()
        assert b"test:test" not in said
        assert access.url.encode() not in said
    finally:
        await channel.close()
        if process.poll() is None:
            process.kill()
            process.wait()
        log.close()
        print((tmp_path / "log").read_text()[-3000:])  # noqa: T201  pytest shows it when the test fails
