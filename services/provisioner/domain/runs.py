"""Runs of Pulumi on a stack: written before the first process starts, so that a crash leaves a trace that can be read.

A stack's lock may be broken only when the lock names a process of one of our own runs and that process is dead.
"""

from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.names import GroupName


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A process that cannot be mistaken for a later one of the same number: `started` is its start in clock ticks."""

    host: str
    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class StackRun:
    """One use of a stack by one holder."""

    id: str
    stack: str
    group: GroupName
    operation: str  # up, destroy, repair
    activity: str
    token: int
    began_at: datetime
    state: str = "running"  # running, done, failed, crashed
    detail: str = ""
    processes: tuple[ProcessMark, ...] = ()


@dataclass(frozen=True, slots=True)
class StackOutcome:
    """What Pulumi did, counted by resource."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StackBusy:
    """The stack's lock is held by a process that is not known to be dead."""

    host: str
    pid: int
    text: str


@dataclass(frozen=True, slots=True)
class StackDifference:
    """What the engine's refresh found on one resource; `fields` are spelled as AWS spells them."""

    resource: str
    gone: bool = False
    fields: tuple[tuple[str, str, str], ...] = field(default=())  # (field, declared, live)
