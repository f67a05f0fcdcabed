"""Prometheus, with basic authentication. Its configuration is JSON (which is YAML) and is replaced by rename."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bcrypt
import httpx

from localcloud.errors import NotReadyError, ToolMissingError
from localcloud.ports import LOOPBACK
from localcloud.process import Launch, StackProcess

ROOT = Path(__file__).resolve().parents[2]
USERNAME = "headrace"
PROBE_S_MAX = 1.0
RETENTION = "2h"
BCRYPT_ROUNDS = 4  # each scrape and query pays for it; the password is 32 random bytes


class PrometheusServer(StackProcess):
    """A server that keeps its samples in `directory`."""

    name = "prometheus"

    def __init__(self, directory: Path, port: int, password: str, log: Path, *, interval_s: int = 1) -> None:
        """`interval_s`: how often targets are scraped and rules evaluated."""
        super().__init__(log)
        self._directory = directory
        self.port = port
        self.username = USERNAME
        self.password = password
        self._interval_s = interval_s
        self._scrapes: Sequence[Mapping[str, Any]] = ()

    def ports(self) -> tuple[int, ...]:
        """One port."""
        return (self.port,)

    @property
    def url(self) -> str:
        """The address, without credentials."""
        return f"http://{LOOPBACK}:{self.port}"

    def scrape(self, scrapes: Sequence[Mapping[str, Any]]) -> None:
        """Set what is scraped (Prometheus' `scrape_configs`); takes effect at once when it runs."""
        self._scrapes = scrapes
        self._write_configuration()
        if self.alive():
            answer = httpx.post(f"{self.url}/-/reload", auth=(self.username, self.password), timeout=10.0)
            if answer.is_error:
                raise NotReadyError(f"prometheus refuses its configuration: {answer.text.strip()}")

    def prepare(self) -> None:
        """Write the configuration and who may ask."""
        self._directory.mkdir(parents=True, exist_ok=True)
        hashed = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(BCRYPT_ROUNDS)).decode()
        self._write("web.yml", {"basic_auth_users": {self.username: hashed}})
        self._write_configuration()

    def _write_configuration(self) -> None:
        every = f"{self._interval_s}s"
        limits = {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every}
        self._directory.mkdir(parents=True, exist_ok=True)
        self._write("prometheus.yml", {"global": limits, "scrape_configs": list(self._scrapes)})

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        fresh = self._directory / f".{name}"
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(content, indent=1))
        fresh.replace(self._directory / name)

    def launch(self) -> Launch:
        """The server itself."""
        command = (
            str(binary()),
            f"--config.file={self._directory / 'prometheus.yml'}",
            f"--web.config.file={self._directory / 'web.yml'}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            "--web.enable-lifecycle",
            "--log.level=warn",
        )
        return Launch(command, {"PATH": "/usr/bin:/bin", "HOME": str(self._directory)})

    def is_ready(self) -> bool:
        """Whether it serves queries."""
        try:
            return httpx.get(f"{self.url}/-/ready", auth=(self.username, self.password), timeout=PROBE_S_MAX).is_success
        except httpx.HTTPError:
            return False


def binary() -> Path:
    """Where the server is: what set-up has got, else of the PATH; raises ToolMissingError."""
    got = ROOT / ".tools" / "bin" / "prometheus"
    if got.exists():
        return got
    on_path = shutil.which("prometheus")
    if on_path:
        return Path(on_path)
    raise ToolMissingError("prometheus is not there: run `make setup`, which gets it.")
