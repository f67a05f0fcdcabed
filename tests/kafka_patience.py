"""Calls to a broker that is still settling: a new topic has no leader yet, a new group's coordinator reads its past."""

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

SETTLING_S_MAX = 90.0
SETTLING = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError._WAIT_COORD,
        KafkaError._TIMED_OUT,
    }
)
Answer = TypeVar("Answer")


def patiently(call: Callable[[], Answer]) -> Answer:
    """What the call gives once the broker has settled; its error after `SETTLING_S_MAX`, and every other error at once."""
    deadline = time.monotonic() + SETTLING_S_MAX
    while True:
        try:
            return call()
        except KafkaException as error:
            if error.args[0].code() not in SETTLING or time.monotonic() > deadline:
                raise
        time.sleep(0.1)  # between tries
