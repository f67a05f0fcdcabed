"""The admin API as the process that production runs: real certificates, real stores, S3 through the embedded AWS."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from localcloud import ports
from localcloud.servers.postgres import SchemaAccess
from localcloud.servers.temporal import TemporalServer
from tests.localcloud_aws.front import FrontProcess

READY_S_MAX = 120.0
STOP_S_MAX = 60.0
TOKEN = "the-process-token"


@contextlib.contextmanager
def running(environment: dict[str, str], url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.admin_api"], env=environment, stderr=out, stdout=out
        )
        try:
            deadline = time.monotonic() + READY_S_MAX
            while not is_up(url):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(STOP_S_MAX)


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5.0).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
@pytest.mark.timeout(300)  # three servers of the session may start within it
def test_the_process_starts_publishes_code_and_stops_cleanly(
    database: Callable[[str], SchemaAccess], temporal: TemporalServer, localcloud_aws: FrontProcess, tmp_path: Path
) -> None:
    access = database("admin_api")
    (tmp_path / "token").write_text(TOKEN + "\n")
    address = f"127.0.0.1:{ports.choose()}"
    bucket = f"bundles-{tmp_path.name.replace('_', '-')[:40]}"
    environment = os.environ | localcloud_aws.client_environment()
    environment |= {
        "HEADRACE_DATABASE_URL": access.url,
        "HEADRACE_DATABASE_SCHEMA": access.schema,
        "HEADRACE_TEMPORAL_ADDRESS": temporal.address,
        "HEADRACE_TEMPORAL_NAMESPACE": temporal.namespace,
        "HEADRACE_LISTEN": address,
        "HEADRACE_METRICS_LISTEN": f"127.0.0.1:{ports.choose()}",
        "HEADRACE_ADMIN_TOKEN_FILE": str(tmp_path / "token"),
        "HEADRACE_BUNDLE_BUCKET": bucket,
        "HEADRACE_TLS_DIR": str(tmp_path / "no-certificates"),
        "HEADRACE_OBSERVER_ADDRESS": "127.0.0.1:9",
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo("score.py")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"x = 1"))
    content, log = out.getvalue(), tmp_path / "admin.log"
    digest = sha256(content).hexdigest()
    with running(environment, f"http://{address}", log) as process:
        headers = {"authorization": f"Bearer {TOKEN}", "x-content-sha256": digest}
        for _ in range(2):
            answer = httpx.post(f"http://{address}/v1/code", content=content, headers=headers, timeout=60)
            assert answer.status_code == 201, answer.text
        kept = localcloud_aws.client("s3").get_object(Bucket=bucket, Key=f"code/{digest}.tar.gz")["Body"].read()
        assert sha256(kept).hexdigest() == digest
        away = httpx.get(f"http://{address}/v1/verdicts", headers=headers, timeout=60)
        assert away.status_code == 503
        assert "certificate" in away.json()["detail"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_S_MAX) == 0, log.read_text()
    assert TOKEN not in log.read_text()
