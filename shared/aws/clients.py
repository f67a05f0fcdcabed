"""boto3 clients: made once per process and service, with our own timeouts and retries."""

import threading
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.domain.errors import (
    AlreadyExists,
    CapacityUnavailable,
    Denied,
    HeadraceError,
    InvalidInput,
    NotFound,
    Throttled,
    Unavailable,
)

CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 10
ATTEMPTS_MAX = 4
POOL_CONNECTIONS = 16
_LOCK = threading.Lock()

CODES: dict[str, type[HeadraceError]] = {
    "Throttling": Throttled,
    "ThrottlingException": Throttled,
    "RequestLimitExceeded": Throttled,
    "ScalingActivityInProgress": Throttled,
    "ResourceContention": Throttled,
    "InsufficientInstanceCapacity": CapacityUnavailable,
    "ValidationError": InvalidInput,
    "AlreadyExists": AlreadyExists,
    "AccessDenied": Denied,
    "AccessDeniedException": Denied,
    "UnauthorizedOperation": Denied,
    "NoSuchKey": NotFound,
    "ParameterNotFound": NotFound,
    "NoSuchEntity": NotFound,
}


@lru_cache(maxsize=64)
def _make(service: str, region: str | None = None) -> Any:
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": ATTEMPTS_MAX, "mode": "standard"},
        max_pool_connections=POOL_CONNECTIONS,
        s3={"addressing_style": "path"},
    )
    return boto3.client(service, region_name=region, config=config)


def aws_client(service: str, region: str | None = None) -> Any:
    """The process' client of a service, in its own region or another; making one is slow and not thread-safe, so it is locked and kept."""
    with _LOCK:
        return _make(service, region)


def aws_error(failure: BotoCoreError | ClientError, what: str) -> HeadraceError:
    """An AWS failure in our tree; `what` names the call and the thing."""
    if isinstance(failure, ClientError):
        code = failure.response.get("Error", {}).get("Code", "")
        text = failure.response.get("Error", {}).get("Message", "")
        kind = CODES.get(code) or (NotFound if "NotFound" in code else Unavailable)
        return kind(f"{what}: AWS answered {code}: {text}")
    return Unavailable(f"{what}: {type(failure).__name__}: {failure}", retry_after_s=1.0)
