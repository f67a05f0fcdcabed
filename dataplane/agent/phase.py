"""What a node is doing."""

from dataclasses import dataclass


class BootError(Exception):
    """The node can never be healthy; the message says why."""


@dataclass(slots=True)
class Phase:
    """For the node's health."""

    name: str = "booting"
    ready: bool = False
    detail: str = ""
