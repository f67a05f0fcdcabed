"""How busy the nodes are that the copy calls, and how many calls they turn away, while load is driven.

So it is known whether they are what holds the copy back: calls that come in bursts are turned away by nodes whose workers
are idle most of the time.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import Any, Self

import grpc
from headrace_runtime.v1.transform_pb2 import GetHealthRequest
from headrace_runtime.v1.transform_pb2_grpc import TransformServiceStub

from dataplane.client.connections import OPTIONS
from dataplane.driving.driver import brief
from shared.domain.errors import Unavailable
from shared.grpc.tls import channel_credentials

LOOK_EVERY_S = 0.5
ANSWER_S_MAX = 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Of all called nodes together during a step: shares of their workers' time, and of the calls that came."""

    busy: float = 0.0  # over some seconds, at its highest
    turned_away: float = 0.0


class CalledNodes:
    """Asks all of them for their health again and again."""

    def __init__(self, addresses: Sequence[str], tls_dir: Path) -> None:
        """`addresses` are `host:port`; `tls_dir` holds the identity that they let in."""
        credentials = channel_credentials(tls_dir)
        self._channels = [grpc.secure_channel(a, credentials, options=OPTIONS) for a in addresses]
        self._stubs = [TransformServiceStub(c) for c in self._channels]
        self._names = ", ".join(addresses)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="called", daemon=True)
        self._first: dict[int, Any] = {}  # by place; what a node said first, and last
        self._last: dict[int, Any] = {}
        self._busy = 0.0
        self._error = ""

    def __enter__(self) -> Self:
        """Begin."""
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """No more."""
        self._stop()
        for channel in self._channels:
            channel.close()

    def seen(self) -> Seen:
        """Ends the watch; Unavailable when none of them has ever answered."""
        self._stop()
        self._look()
        if not self._last:
            raise Unavailable(f"called nodes {self._names}: none of them says how busy it is: {self._error}")
        taken, away = (self._grown(name) for name in ("calls_taken", "calls_turned_away"))
        return Seen(self._busy, away / (taken + away) if away else 0.0)

    def _stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(ANSWER_S_MAX + LOOK_EVERY_S)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            self._look()

    def _look(self) -> None:
        asked = [s.GetHealth.future(GetHealthRequest(), timeout=ANSWER_S_MAX) for s in self._stubs]
        found = {place: said for place, answer in enumerate(asked) if (said := self._said(answer)) is not None}
        if found:
            self._busy = max(self._busy, fmean(said.busy_ratio for said in found.values()))
        self._first = found | self._first
        self._last |= found

    def _said(self, answer: Any) -> Any:
        try:
            return answer.result()
        except grpc.RpcError as e:
            self._error = f"{e.code().name}: {brief(e.details())}"
            return None

    def _grown(self, name: str) -> int:
        """Since the first look; a server that has started again began anew, and counts as it stands."""
        spans = ((getattr(self._first[p], name), getattr(last, name)) for p, last in self._last.items())
        return sum(last - first if last >= first else last for first, last in spans)
