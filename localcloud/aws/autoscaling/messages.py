"""What Auto Scaling needs of SNS and SQS: to send a message, without waiting for it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True, frozen=True)
class Message:
    """A message to a topic or a queue."""

    target: str  # its ARN
    subject: str
    text: str


class Messages(Protocol):
    """Sends messages; one that can not be delivered is lost."""

    def send(self, target: str, subject: str, text: str) -> None:
        """Send to a topic or a queue by its ARN; does not block."""
        ...


class VirtualMessages:
    """Messages that are only kept: for tests of the model and for simulations."""

    def __init__(self) -> None:
        """None to begin with."""
        self.sent: list[Message] = []

    def send(self, target: str, subject: str, text: str) -> None:
        """Keep it."""
        self.sent.append(Message(target, subject, text))
