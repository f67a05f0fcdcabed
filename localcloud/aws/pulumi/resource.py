"""What the provider needs of a resource type, and the AWS clients that all of them use."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import boto3
from botocore.config import Config

from localcloud.aws.pulumi.values import Inputs

SERVICES = ("ec2", "iam", "elbv2", "autoscaling", "ssm")
WAIT_POLL_S = 0.2
CONNECT_S_MAX, READ_S_MAX, ATTEMPTS_MAX, CONNECTIONS_MAX = 2, 30, 5, 32


class TimedOutError(Exception):
    """What was waited for did not come."""


@dataclass(slots=True, frozen=True)
class Seen:
    """A resource as AWS has it: every input that can be read, and the outputs that are no inputs."""

    inputs: Inputs
    outputs: Inputs


@dataclass(slots=True, frozen=True)
class Change:
    """An update: the inputs before and after, and the names of those that differ."""

    old: Inputs
    new: Inputs
    names: frozenset[str]


@dataclass(slots=True, frozen=True)
class Context:
    """What a call may use; `active` turns false when the engine has given up."""

    clients: dict[str, Any]
    account: str
    region: str
    active: Callable[[], bool] = lambda: True


class Resource(Protocol):
    """A type. `known` are its inputs, `replaced_by` those that cannot be changed in place."""

    known: frozenset[str]
    replaced_by: frozenset[str]

    def create(self, aws: Context, inputs: Inputs) -> str:
        """Make it; the id. Botocore's ClientError when AWS refuses."""
        ...

    def find(self, aws: Context, inputs: Inputs) -> str | None:
        """The id of what exists under our name already."""
        ...

    def read(self, aws: Context, resource_id: str, inputs: Inputs) -> Seen | None:
        """As it is; None or a not-found ClientError when it is gone. `inputs`: as last known."""
        ...

    def update(self, aws: Context, resource_id: str, change: Change) -> None:
        """Carry out a change."""
        ...

    def delete(self, aws: Context, resource_id: str, inputs: Inputs) -> None:
        """Remove it."""
        ...


def make_clients(region: str, services: Sequence[str] = SERVICES) -> dict[str, Any]:
    """One client of each service; keys and endpoint from the environment. Made once: making is slow and not safe."""
    config = Config(
        connect_timeout=CONNECT_S_MAX,
        read_timeout=READ_S_MAX,
        retries={"total_max_attempts": ATTEMPTS_MAX, "mode": "standard"},
        max_pool_connections=CONNECTIONS_MAX,
    )
    session = boto3.session.Session(region_name=region)
    return {service: session.client(service, config=config) for service in services}


def removed_keys(change: Change, name: str = "tags") -> list[str]:
    """The tags that an update removes."""
    return sorted(set(change.old.get(name) or {}) - set(change.new.get(name) or {}))


def pause(aws: Context, deadline: float, what: str) -> None:
    """Wait a moment; TimedOutError when there is no time left or the engine has given up."""
    if time.monotonic() > deadline or not aws.active():
        raise TimedOutError(f"gave up waiting for {what}")
    time.sleep(WAIT_POLL_S)
