"""The embedded AWS with virtual machines, the stand-in provider, and a whole Provisioner on real servers."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from localcloud.certificates import DevelopmentAuthority
from localcloud.servers.postgres import SchemaAccess
from localcloud.servers.valkey import ValkeyServer
from services.provisioner.__main__ import Adapters, Service, build, real_adapters
from services.provisioner.settings import ProvisionerSettings
from shared.aws import clients
from shared.contracts.admission import LeaseModel
from shared.database import Database
from shared.domain.activity import ActivityKind
from shared.redis import redis_client

ROOT = Path(__file__).resolve().parents[2]
STOP_S_MAX = 60.0
AWS = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


def started(*command: str, **environment: str) -> "tuple[subprocess.Popen[str], str]":
    """A process that prints its port first, and the port."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **AWS, **environment},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    assert port.isdigit(), f"{command} did not say its port"
    return process, port


def ended(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    process.wait(timeout=STOP_S_MAX)
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(scope="session")
def cloud_environment() -> Iterator[dict[str, str]]:
    """What a process needs to reach the embedded AWS and the stand-in provider."""
    front, port = started("-m", "localcloud.aws", "--port", "0", "--machines", "virtual")
    endpoint = f"http://127.0.0.1:{port}"
    provider, provider_port = started("-m", "localcloud.aws.pulumi_provider", "--port", "0", AWS_ENDPOINT_URL=endpoint)
    yield {**AWS, "AWS_ENDPOINT_URL": endpoint, "PULUMI_DEBUG_PROVIDERS": f"aws:{provider_port}"}
    ended(provider)
    ended(front)


@pytest.fixture
def cloud(cloud_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The same, for this process."""
    for name, value in cloud_environment.items():
        monkeypatch.setenv(name, value)
    clients._make.cache_clear()
    yield cloud_environment
    clients._make.cache_clear()


@dataclass
class Running:
    """A Provisioner without its transports."""

    service: Service
    adapters: Adapters
    settings: ProvisionerSettings
    directory: Path
    tokens: int = 0

    def lease(self, group: str, *, seconds: float = 300.0) -> LeaseModel:
        """A lease with the next token, as the Observer would give it."""
        self.tokens += 1
        deadline = self.adapters.clock.now().timestamp() + seconds
        return LeaseModel(
            activity_id=f"act-{self.tokens}",
            token=self.tokens,
            kind=ActivityKind.PROVISION,
            scope=f"group/{group}",
            deadline_s=deadline,
        )


@pytest.fixture
async def running(  # a whole service stands on many servers
    cloud: dict[str, str],
    database: Callable[[str], SchemaAccess],
    empty_valkey: ValkeyServer,
    tmp_path: Path,
    unique_name: str,
) -> AsyncIterator[Running]:
    """A Provisioner whose every adapter is the real one; no broker is there for it."""
    access = database("provisioner")
    authority = DevelopmentAuthority(tmp_path / "tls", unique_name)
    settings = ProvisionerSettings.model_validate(
        {
            "stack": unique_name,
            "profile": "demo",
            "database_url": SecretStr(access.url),
            "database_schema": access.schema,
            "redis_url": SecretStr(empty_valkey.url),
            "tls_dir": authority.service("provisioner"),
            "listen": "127.0.0.1:7001",
            "join_listen": "127.0.0.1:7002",
            "ca_cert_file": authority.files.certificate,
            "ca_key_file": authority.files.key,
            "bundle_bucket": f"bundles-{unique_name}",
            "uv": str(ROOT / ".venv" / "bin" / "uv"),
            "provisioner_dir": tmp_path / "provisioner",
            "PULUMI_ROOT": ROOT / ".tools",
            "PULUMI_BACKEND_URL": f"file://{tmp_path}/state",
            "PULUMI_CONFIG_PASSPHRASE": SecretStr("test"),
        }
    )
    store = Database(settings.database_url, settings.database_schema, "provisioner")
    redis = redis_client(settings.redis_url)
    adapters = real_adapters(settings, store, redis)
    yield Running(build(settings, adapters), adapters, settings, tmp_path)
    adapters.stacks.close()  # type: ignore[attr-defined]  # the real one has threads
    await redis.aclose()
    await store.close()
