"""What a stack keeps between starts, in `.headrace/`: ports and passwords, chosen once; who runs; where logs are.

stack.json      ports and passwords (mode 0600)
status.json     what runs, as the supervisor last saw it
logs/ tls/ and one folder per server
client.json     how the `headrace` command of this folder reaches the stack; admin-token beside it
"""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from localcloud import ports
from localcloud.errors import DiskNearlyFullError, StackError

ROOT = Path(__file__).resolve().parents[1]
DIRECTORY = ROOT / ".headrace"
SERVER_PORTS = (
    "postgres",
    "valkey",
    "temporal",
    "temporal_ui",
    "kafka",
    "kafka_controller",
    "prometheus",
    "aws",
    "pulumi_provider",
)
GRPC_SERVICES = ("observer", "provisioner", "autoscaler", "deployer")
SERVICE_PORTS = (
    *GRPC_SERVICES,
    "provisioner_join",
    "rating_sink",
    "admin_api",
    *(f"{name}_metrics" for name in (*GRPC_SERVICES, "workflows", "admin_api")),
)
SCHEMAS = ("observer", "provisioner", "autoscaler", "deployer", "admin")
PASSWORDS = ("postgres", "valkey", "prometheus", "kafka", "pulumi", "aws", *(f"schema_{name}" for name in SCHEMAS))
PASSWORD_BYTES = 24
DISK_MB_MIN = 1024


@dataclass(frozen=True, slots=True)
class StackState:
    """One stack's choices; `directory` is its `.headrace`."""

    directory: Path
    ports: Mapping[str, int]
    passwords: Mapping[str, str]

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Read the choices; those not made yet are made now and kept."""
        file = directory / "stack.json"
        kept = read_json(file)
        chosen: dict[str, int] = dict(kept.get("ports", {}))
        passwords: dict[str, str] = dict(kept.get("passwords", {}))
        for name in (*SERVER_PORTS, *SERVICE_PORTS):
            if name not in chosen:
                chosen[name] = ports.choose(set(chosen.values()))
        for name in PASSWORDS:
            passwords.setdefault(name, secrets.token_urlsafe(PASSWORD_BYTES))
        now = {"ports": chosen, "passwords": passwords}
        if now != kept:
            write_private(file, json.dumps(now, indent=1))
        return cls(directory, chosen, passwords)

    @property
    def name(self) -> str:
        """A name for this stack among those of the machine."""
        return sha256(str(self.directory.resolve()).encode()).hexdigest()[:12]

    def address(self, name: str) -> str:
        """`127.0.0.1:<port>` of a named listener."""
        return f"{ports.LOOPBACK}:{self.ports[name]}"

    def log(self, name: str) -> Path:
        """Where a process' output goes."""
        return self.directory / "logs" / f"{name}.log"

    @property
    def admin_token_file(self) -> Path:
        """Where the first administrator's token is."""
        return self.directory / "admin-token"

    def make_client_profile(self) -> None:
        """Write what the `headrace` command of this folder needs: address and token, made once."""
        if not self.admin_token_file.exists():
            write_private(self.admin_token_file, secrets.token_urlsafe(PASSWORD_BYTES))
        profile = {"url": f"http://{self.address('admin_api')}", "token_file": str(self.admin_token_file)}
        write_private(self.directory / "client.json", json.dumps(profile, indent=1))


def read_json(file: Path) -> dict[str, Any]:
    """A file's object; empty when there is none. Raises StackError when it cannot be read."""
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise StackError(f"{file} is damaged ({error}): remove it; what it held is chosen anew.") from error
    if not isinstance(content, dict):
        raise StackError(f"{file} does not hold an object: remove it; what it held is chosen anew.")
    return content


def write_private(file: Path, text: str) -> None:
    """Replace a file atomically; only its owner can read it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(file)


def require_room(directory: Path) -> None:
    """Raise DiskNearlyFullError unless the disk of `directory` has room; HEADRACE_DISK_MB_MIN says how much."""
    needed_mb = int(os.environ.get("HEADRACE_DISK_MB_MIN", DISK_MB_MIN))
    directory.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(directory).free // 1_000_000
    if free_mb < needed_mb:
        raise DiskNearlyFullError(
            f"the disk of {directory} has {free_mb} MB free, and the stack wants {needed_mb} MB: "
            "free some room, or set HEADRACE_DISK_MB_MIN to a smaller number."
        )


def is_built(module: str) -> bool:
    """Whether one of our modules is in this checkout."""
    place = ROOT.joinpath(*module.split("."))
    return place.with_suffix(".py").exists() or (place / "__main__.py").exists()
