"""The events of the demo: replayed by threads of this process, counted at the far end and in the dead letters."""

import time
from dataclasses import dataclass
from typing import Any

import orjson
from confluent_kafka import Consumer, TopicPartition

from examples.flights.traffic.departures import TOTAL, departures
from examples.flights.traffic.replay import IngestNodes, Replay
from localcloud.state import DIRECTORY
from tools.demo.stack import broker_settings
from tools.demo.world import FLIGHTS_TABLE, Api, Receiver

__all__ = ["TOTAL", "Flow", "Loss"]

PIPELINE = "departures"
INGEST_GROUP = "departures-ingest"
POLL_S = 1.0
READ_BATCH = 1000
DEAD_STAGES = ("normalize", "transform", "transmit")


@dataclass(frozen=True, slots=True)
class Loss:
    """Acknowledged events by where they are."""

    acknowledged: int
    delivered: int
    dead: int
    missing: int

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"acknowledged {self.acknowledged:,}, delivered {self.delivered:,}, "
            f"dead letters {self.dead:,}, missing {self.missing:,}"
        )


class Flow:
    """The replay and the counting."""

    def __init__(self, api: Api, receiver: Receiver) -> None:
        """Starts paused."""
        self._api = api
        self._receiver = receiver
        nodes = IngestNodes(lambda: api.items("/v1/routes"), INGEST_GROUP)
        self.replay = Replay(departures(FLIGHTS_TABLE), nodes, rate=0.0)

    @property
    def sent(self) -> int:
        """Acknowledged so far."""
        return len(self.replay.counts.acknowledged)

    def stats(self, since: float = 0.0) -> dict[str, Any]:
        """The receiver's numbers."""
        return self._receiver.stats(since)

    def loss(self) -> Loss:
        """Where every acknowledged event is now."""
        acknowledged = set(self.replay.counts.acknowledged)
        delivered = self._receiver.ids()
        dead = self.dead_letters() if acknowledged - delivered else set()
        missing = acknowledged - delivered - dead
        return Loss(
            len(acknowledged), len(acknowledged & delivered), len((acknowledged & dead) - delivered), len(missing)
        )

    def settled_loss(self, timeout_s: float) -> Loss:
        """The same, after what is under way has arrived or the time is up."""
        deadline = time.monotonic() + timeout_s
        while True:
            loss = self.loss()
            if not loss.missing or time.monotonic() > deadline:
                return loss
            time.sleep(POLL_S)

    def dead_letters(self) -> set[str]:
        """Ids in the dead-letter topics of the pipeline."""
        topics = [f"headrace.{PIPELINE}.{stage}.dead" for stage in DEAD_STAGES]
        reader = Consumer(broker_settings(DIRECTORY) | {"group.id": "demo-dead-letters", "enable.auto.commit": False})
        found: set[str] = set()
        try:
            known = reader.list_topics(timeout=10).topics
            parts = [TopicPartition(t, p, 0) for t in topics if t in known for p in known[t].partitions]
            ends = {(p.topic, p.partition): reader.get_watermark_offsets(p, timeout=10) for p in parts}
            waiting = {place for place, (low, high) in ends.items() if high > low}
            reader.assign([TopicPartition(t, p, ends[t, p][0]) for t, p in waiting])
            while waiting:
                messages = reader.consume(READ_BATCH, timeout=5)
                if not messages:
                    break
                for message in messages:
                    if message.error() is None:
                        found.add(_id_of(message))
                        place = (str(message.topic()), int(message.partition() or 0))
                        if int(message.offset() or 0) + 1 >= ends[place][1]:
                            waiting.discard(place)
        finally:
            reader.close()
        return found


def _id_of(message: Any) -> str:
    headers = dict(message.headers() or ())
    if "id" in headers:
        return bytes(headers["id"]).decode()
    return str(orjson.loads(message.value())["id"])
