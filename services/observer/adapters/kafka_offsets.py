"""End and committed offsets, read from the broker itself: a dead or lying node cannot hide what waits.

What is read is exported as `headrace_topic_end_offset` and `headrace_group_committed_offset`, for the Autoscaler.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import time
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily

from services.observer.domain.evidence import BrokerReading, GroupFacts, Inventory, Offsets

REQUEST_TIMEOUT_S = 4.0
METADATA_TIMEOUT_S = 4.0
THREADS = 1  # one reading at a time; the next tick waits for it

_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # librdkafka's binding
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]

_Key = tuple[str, str, str, str]  # pipeline, stage, group, topic


class OffsetsExport:
    """The last reading, as Prometheus' gauges."""

    def __init__(self, workspace: str, registry: CollectorRegistry = REGISTRY) -> None:
        """Registers itself."""
        self._workspace = workspace
        self._ends: dict[_Key, Mapping[int, int]] = {}
        self._committed: dict[tuple[*_Key, str], Mapping[int, int]] = {}
        registry.register(self)

    def keep(self, inventory: Inventory, reading: BrokerReading) -> None:
        """Replace what is exported; what could not be read is absent, not frozen."""
        stages = {g: (p.name, s) for p in inventory.pipelines.values() for s, g in p.stages.items()}
        ends: dict[_Key, Mapping[int, int]] = {}
        committed: dict[tuple[*_Key, str], Mapping[int, int]] = {}
        for name, offsets in reading.offsets.items():
            facts = inventory.groups[name]
            pipeline, stage = stages.get(name, ("", ""))
            key = (pipeline, stage, name, facts.topic_in)
            ends[key] = offsets.end
            committed[*key, facts.consumer_group] = {
                p: offsets.committed.get(p, offsets.low.get(p, 0)) for p in offsets.end
            }
        self._ends, self._committed = ends, committed

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """For Prometheus."""
        labels = ["workspace", "pipeline", "stage", "group", "topic"]
        end = GaugeMetricFamily(
            "headrace_topic_end_offset", "End offset as the broker says.", labels=[*labels, "partition"]
        )
        for key, partitions in self._ends.items():
            for partition, offset in partitions.items():
                end.add_metric([self._workspace, *key, str(partition)], offset)
        committed = GaugeMetricFamily(
            "headrace_group_committed_offset",
            "Committed offset as the broker says.",
            labels=[*labels, "consumer_group", "partition"],
        )
        for key_, partitions in self._committed.items():
            for partition, offset in partitions.items():
                committed.add_metric([self._workspace, *key_, str(partition)], offset)
        return [end, committed]


class KafkaOffsets:
    """Blocking calls of librdkafka in one thread of its own."""

    def __init__(self, settings: Mapping[str, Any], export: OffsetsExport) -> None:
        """`settings` are librdkafka's."""
        self._admin = AdminClient({**settings, "log_level": 0})
        self._export = export
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="kafka-offsets")

    async def read(self, inventory: Inventory) -> BrokerReading:
        """Of every group that consumes a topic."""
        consuming = [g for _, g in sorted(inventory.groups.items()) if g.topic_in and g.consumer_group]
        loop = asyncio.get_running_loop()
        reading = await loop.run_in_executor(self._threads, self._read, consuming)
        self._export.keep(inventory, reading)
        return reading

    def _read(self, groups: Sequence[GroupFacts]) -> BrokerReading:
        at = time()
        if not groups:
            return BrokerReading(at)
        try:
            topics = self._admin.list_topics(timeout=METADATA_TIMEOUT_S).topics
            partitions = {
                g.name: [TopicPartition(g.topic_in, p) for p in sorted(topics[g.topic_in].partitions)]
                for g in groups
                if g.topic_in in topics and topics[g.topic_in].error is None
            }
            every = list({(t.topic, t.partition): t for ps in partitions.values() for t in ps}.values())
            ends = self._list(every, _LATEST)
            lows = self._list(every, _EARLIEST)
        except KafkaException as e:
            return BrokerReading(at, failed={g.name: str(e)[:200] for g in groups})
        offsets: dict[str, Offsets] = {}
        failed: dict[str, str] = {}
        for g in groups:
            if g.name not in partitions:
                failed[g.name] = f"topic {g.topic_in} does not exist"
                continue
            try:
                committed = self._committed(g.consumer_group, partitions[g.name])
            except KafkaException as e:
                failed[g.name] = str(e)[:200]
                continue
            mine = [(t.topic, t.partition) for t in partitions[g.name]]
            offsets[g.name] = Offsets(
                end={p: ends[t, p] for t, p in mine if (t, p) in ends},
                committed=committed,
                low={p: lows[t, p] for t, p in mine if (t, p) in lows},
            )
        return BrokerReading(at, offsets, failed)

    def _list(self, partitions: Sequence[TopicPartition], spec: OffsetSpec) -> dict[tuple[str, int], int]:
        futures = self._admin.list_offsets(dict.fromkeys(partitions, spec), request_timeout=REQUEST_TIMEOUT_S)
        return {(t.topic, t.partition): f.result(REQUEST_TIMEOUT_S).offset for t, f in futures.items()}

    def _committed(self, group: str, partitions: Sequence[TopicPartition]) -> dict[int, int]:
        """Committed offsets of a consumer group; a partition that was never committed is absent."""
        request = [ConsumerGroupTopicPartitions(group, list(partitions))]
        futures = self._admin.list_consumer_group_offsets(request, request_timeout=REQUEST_TIMEOUT_S)
        answer = futures[group].result(REQUEST_TIMEOUT_S)
        return {t.partition: t.offset for t in answer.topic_partitions if t.offset >= 0}

    def close(self) -> None:
        """End the thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)
