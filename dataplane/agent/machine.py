"""What a machine knows of itself: its environment, and the instance metadata service (version 2)."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.contracts.base import invalid_input
from shared.contracts.node import USER_DATA_BYTES_MAX, UserData
from shared.domain.errors import InvalidInput, NotFound, Unavailable

DEADLINE_S = 3.0
TOKEN_LIFE_S = 3600
ANSWER_BYTES_MAX = 64 * 1024
LINK_LOCAL = "http://169.254.169.254/"
TARGET_TERMINATED = "Terminated"
UNAUTHORIZED, MISSING = 401, 404
USERS_PORTS = (53, 443)  # where users' code may connect to by TCP
USERS_WORKERS_MAX, MEMORY_MIB_MAX, PORT_MAX = 64, 16 * 1024**2, 65_535


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """From the environment; on EC2 the image's service file sets the state folder, and nothing else is needed."""

    metadata: str  # base URL of the instance metadata service
    state: Path
    address: str  # of this machine; empty: ask the metadata service
    endpoint: str  # one URL for all of AWS; empty: the region's own endpoints
    region: str
    users_workers: int = 1
    users_memory_mib: int = 0  # of users' processes together; 0: a share of the machine's
    users_ports: tuple[int, ...] = USERS_PORTS

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "MachineSettings":
        """Read it; InvalidInput names what is missing."""
        state = environment.get("HEADRACE_NODE_STATE_DIR", "")
        if not state:
            raise InvalidInput("HEADRACE_NODE_STATE_DIR: not set", remedy="name a folder that the node may write to")
        return cls(
            metadata=environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", LINK_LOCAL).rstrip("/") + "/",
            state=Path(state).absolute(),
            address=environment.get("HEADRACE_NODE_ADDRESS", ""),
            endpoint=environment.get("AWS_ENDPOINT_URL", ""),
            region=environment.get("AWS_REGION", environment.get("AWS_DEFAULT_REGION", "")),
            users_workers=_whole(environment, "HEADRACE_NODE_USERS_WORKERS", 1, USERS_WORKERS_MAX),
            users_memory_mib=_whole(environment, "HEADRACE_NODE_USERS_MEMORY_MIB", 0, MEMORY_MIB_MAX),
            users_ports=_ports(environment),
        )


def _whole(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = environment.get(name, "") or str(default)
    if not text.isdecimal() or not default <= int(text) <= most:
        raise InvalidInput(f"{name}: {text!r}", remedy=f"give a whole number from {default} to {most}")
    return int(text)


def _ports(environment: Mapping[str, str]) -> tuple[int, ...]:
    name = "HEADRACE_NODE_USERS_PORTS"
    if name not in environment:
        return USERS_PORTS
    parts = [part.strip() for part in environment[name].split(",") if part.strip()]
    if not all(part.isdecimal() and 0 < int(part) <= PORT_MAX for part in parts):
        raise InvalidInput(f"{name}: {environment[name]!r}", remedy="give TCP ports, separated by commas")
    return tuple(int(part) for part in parts)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary keys of the machine's role."""

    access_key: str
    secret_key: str
    token: str


class Metadata:
    """A client of the metadata service; may be used by several threads."""

    def __init__(self, base: str) -> None:
        """`base` ends with a slash."""
        self._base = base
        self._token = ""
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def instance_id(self) -> str:
        """The EC2 instance's id."""
        return self._read("meta-data/instance-id")

    def address(self) -> str:
        """The machine's own address."""
        return self._read("meta-data/local-ipv4")

    def zone(self) -> str:
        """The availability zone."""
        return self._read("meta-data/placement/availability-zone")

    def target_state(self) -> str:
        """What the Auto Scaling Group wants of this machine: InService, Terminated, ..."""
        return self._read("meta-data/autoscaling/target-lifecycle-state")

    def user_data(self) -> UserData:
        """The machine's pointers; InvalidInput names the field at fault."""
        text = self._read("user-data")
        if len(text.encode()) > USER_DATA_BYTES_MAX:
            raise InvalidInput(f"user data: {len(text.encode())} bytes, at most {USER_DATA_BYTES_MAX}")
        try:
            return UserData.model_validate_json(text)
        except ValueError as e:
            from pydantic import ValidationError

            raise invalid_input(e) if isinstance(e, ValidationError) else InvalidInput(f"user data: {e}") from e

    def credentials(self) -> Credentials:
        """Of the machine's role."""
        role = self._read("meta-data/iam/security-credentials/").splitlines()
        if not role:
            raise NotFound("metadata: this machine has no role", remedy="launch it with an instance profile")
        keys = json.loads(self._read(f"meta-data/iam/security-credentials/{role[0].strip()}"))
        return Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"])

    def _read(self, path: str) -> str:
        for last in (False, True):
            if not self._token:
                self._token = self._request(
                    "PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_LIFE_S)}
                )
            try:
                return self._request("GET", path, {"X-aws-ec2-metadata-token": self._token})
            except urllib.error.HTTPError as e:
                if e.code == UNAUTHORIZED and not last:
                    self._token = ""
                    continue
                kind = NotFound if e.code == MISSING else Unavailable
                raise kind(f"metadata {path}: answered {e.code}") from e
        raise Unavailable(f"metadata {path}: no token was accepted")

    def _request(self, method: str, path: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(f"{self._base}latest/{path}", method=method, headers=headers)  # noqa: S310  http is its protocol
        try:
            with self._open(request, timeout=DEADLINE_S) as answer:
                return str(answer.read(ANSWER_BYTES_MAX).decode())
        except urllib.error.HTTPError:
            raise
        except OSError as e:
            raise Unavailable(f"metadata {path}: {e}", retry_after_s=1.0) from e


def node_labels(user_data: UserData, instance: str) -> dict[str, str]:
    """The labels of everything a node measures; pipeline and stage are known once it has orders."""
    return {
        "workspace": user_data.workspace,
        "pipeline": "",
        "stage": "",
        "group": user_data.group,
        "fleet": user_data.fleet,
        "revision": str(user_data.revision),
        "node": instance,
    }


def settings() -> MachineSettings:
    """Of this process."""
    return MachineSettings.of(os.environ)
