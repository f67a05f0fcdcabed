"""Channels to members: opened when first used, opened anew when our certificate is renewed, closed when no longer needed."""

import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import grpc
from headrace_runtime.v1.transform_pb2_grpc import TransformServiceStub

from shared.grpc.client import SERVER_NAME
from shared.grpc.tls import channel_credentials

MESSAGE_BYTES_MAX = 64 * 1024 * 1024
LOOK_EVERY_S = 5.0  # for a renewed certificate
RETIRE_S = 90.0  # longer than a call may last: an old channel may have calls in flight
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.ssl_target_name_override", SERVER_NAME),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # for all its name, what one attempt to connect is given
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 10_000),  # a machine that is gone without a word is noticed while calls wait
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.enable_retries", 0),  # retries are ours, from our budget
    ("grpc.use_local_subchannel_pool", 1),
)
Channel = TypeVar("Channel")


@dataclass(frozen=True, slots=True)
class _Line(Generic[Channel]):
    channel: Channel
    transform_batch: Any


class Connections(Generic[Channel]):
    """Of one client; used under its lock."""

    def __init__(self, open_channel: Callable[..., Channel], tls_dir: Path) -> None:
        """`open_channel` is `grpc.secure_channel` or asyncio's; `tls_dir` has `ca.pem`, `cert.pem`, `key.pem`."""
        self._open = open_channel
        self._tls_dir = tls_dir
        self._credentials: grpc.ChannelCredentials | None = None
        self._written_at = 0
        self._look_at = 0.0
        self._lines: dict[str, _Line[Channel]] = {}
        self._retired: deque[tuple[float, Channel]] = deque()

    def transform_batch(self, address: str) -> Any:
        """The method of a member. OSError when there is no certificate."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look(now)
        line = self._lines.get(address)
        if line is None:
            if self._credentials is None:
                self._credentials = channel_credentials(self._tls_dir)
            channel = self._open(address, self._credentials, options=OPTIONS)
            line = self._lines[address] = _Line(channel, TransformServiceStub(channel).TransformBatch)
        return line.transform_batch

    def keep(self, addresses: Collection[str]) -> None:
        """Members that are no longer there: their channels are closed once their calls have ended."""
        for gone in [a for a in self._lines if a not in addresses]:
            self._retire(gone)

    def due(self) -> list[Channel]:
        """Channels to close now."""
        now, found = time.monotonic(), []
        while self._retired and self._retired[0][0] <= now:
            found.append(self._retired.popleft()[1])
        return found

    def all(self) -> list[Channel]:
        """Every channel, to close at the end."""
        return [*(line.channel for line in self._lines.values()), *(channel for _, channel in self._retired)]

    def _retire(self, address: str) -> None:
        self._retired.append((time.monotonic() + RETIRE_S, self._lines.pop(address).channel))

    def _look(self, now: float) -> None:
        self._look_at = now + LOOK_EVERY_S
        written_at = (self._tls_dir / "cert.pem").stat().st_mtime_ns
        if self._written_at and written_at != self._written_at:
            self._credentials = None
            for address in list(self._lines):
                self._retire(address)
        self._written_at = written_at
