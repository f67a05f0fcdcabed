"""The control API from Python: faults, machines, network questions. Every fault that `fault` begins ends with its block.

with Control("http://127.0.0.1:5000") as control, control.fault("throttle", 30, service="ec2"):
    ...
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import httpx

TIMEOUT_S = 10.0


class ControlRefusedError(Exception):
    """The stand-in refused; the text says what and why."""


class Control:
    """A client of `/_localcloud/`; ControlRefusedError when it refuses, httpx.HTTPError when it does not answer."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint`: what AWS_ENDPOINT_URL is to clients."""
        self._client = httpx.Client(base_url=f"{endpoint.rstrip('/')}/_localcloud/", timeout=TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes its connections."""
        self._client.close()

    def inject(self, kind: str, seconds: float, **about: Any) -> str:
        """Begin a fault; its id. Kinds and what may be said about each: `localcloud/aws/fault_kinds.py`."""
        return str(self._ask("POST", "faults", {"kind": kind, "seconds": seconds, **about})["id"])

    def faults(self) -> list[dict[str, Any]]:
        """The faults that have not ended."""
        found: list[dict[str, Any]] = self._ask("GET", "faults")
        return found

    def clear(self, fault_id: str | None = None) -> None:
        """End one fault, or all."""
        self._ask("DELETE", f"faults/{fault_id}" if fault_id else "faults")

    @contextmanager
    def fault(self, kind: str, seconds: float, **about: Any) -> Iterator[str]:
        """A fault for as long as the block lasts, and at most `seconds`."""
        fault_id = self.inject(kind, seconds, **about)
        try:
            yield fault_id
        finally:
            self.clear(fault_id)

    def machines(self) -> list[dict[str, Any]]:
        """The machines that are not gone."""
        found: list[dict[str, Any]] = self._ask("GET", "machines")
        return found

    def do(self, instance_id: str, deed: str, **how: Any) -> None:
        """Something to a machine: crash, stop, hang, wake, interrupt, rebalance."""
        self._ask("POST", f"machines/{instance_id}/{deed}", how)

    def reachable(self, source: str, target: str, port: int, protocol: str = "tcp", ip: int = 4) -> tuple[bool, str]:
        """Whether an instance (or "internet") can connect to a port of another, and why."""
        asked = urlencode({"source": source, "target": target, "port": port, "protocol": protocol, "ip": ip})
        found = self._ask("GET", f"network/reachable?{asked}")
        return bool(found["yes"]), str(found["why"])

    def internet_from(self, subnet: str, *, public: bool = True, ip: int = 4) -> tuple[bool, str]:
        """Whether machines of a subnet can reach the internet, and why; `public`: they have public addresses."""
        asked = urlencode({"subnet": subnet, "public": str(public).lower(), "ip": ip})
        found = self._ask("GET", f"network/internet?{asked}")
        return bool(found["yes"]), str(found["why"])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._client.request(method, path, json=body)
        if not answer.is_success:
            raise ControlRefusedError(f"{method} {path}: {answer.text}")
        return answer.json()
