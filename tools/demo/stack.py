"""What the demo needs of the stack itself: how to log in to its broker and to its AWS."""

from pathlib import Path
from typing import Any

from localcloud.cloud import AwsFront
from localcloud.servers.kafka import KafkaServer
from localcloud.state import StackState


def broker_settings(directory: Path) -> dict[str, Any]:
    """What a librdkafka client needs."""
    state = StackState.open(directory)
    place = state.directory / "kafka"
    password = state.passwords["kafka"]
    broker = KafkaServer(place, state.ports["kafka"], state.ports["kafka_controller"], password, state.log("kafka"))
    return broker.client_settings() | {"log_level": 0}


def aws_environment(directory: Path) -> dict[str, str]:
    """Endpoint and keys of the control plane's principal."""
    state = StackState.open(directory)
    front = AwsFront(state.directory / "aws", state.ports["aws"], state.passwords["aws"], state.log("aws"))
    return front.client_environment()
