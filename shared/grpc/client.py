"""Calls to other services: one channel each, a deadline on every call, errors of the tree."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc

from shared.grpc.errors import from_wire
from shared.grpc.server import MESSAGE_BYTES_MAX
from shared.grpc.tls import channel_credentials

DEADLINE_S = 5.0
SERVER_NAME = "localhost"  # every leaf certificate carries it beside its identity
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.ssl_target_name_override", SERVER_NAME),
)
Answer = TypeVar("Answer")


def open_channel(address: str, tls_dir: Path) -> grpc.aio.Channel:
    """A channel with this process' identity; connects when first used."""
    return grpc.aio.secure_channel(address, channel_credentials(tls_dir), options=OPTIONS)


async def call(method: Callable[..., Any], request: Any, deadline_s: float = DEADLINE_S) -> Any:
    """One unary call; HeadraceError on failure (Unavailable when there was no answer in time)."""
    try:
        return await method(request, timeout=deadline_s)
    except grpc.aio.AioRpcError as e:
        name = getattr(method, "_method", b"rpc")
        raise from_wire(e, name.decode() if isinstance(name, bytes) else str(name)) from None
