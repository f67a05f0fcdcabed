"""Signals out of a real Prometheus that scrapes a real exporter, whose numbers are functions of the time."""

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from localcloud import ports
from localcloud.servers.prometheus import PrometheusServer
from services.autoscaler.adapters.signals import PrometheusSignals, metric_query
from services.autoscaler.domain.policy import MetricAim
from services.autoscaler.domain.signals import Quality, Signals
from shared.domain.errors import InvalidInput
from shared.domain.names import GroupName, Workspace
from shared.prometheus import PrometheusClient
from tests.autoscaler.groups import snapshot
from tests.waiting import eventually

PARTITIONS, RATE, BEHIND = 4, 50.0, 100.0
WINDOW_S, STALE_S = 5.0, 8.0
# Arrival, throughput and CPU of `normalize`, arrival of `edge`.
RATES = (PARTITIONS * RATE, (PARTITIONS - 1) * RATE, 0.75, 30.0)
STREAM = replace(snapshot(2, partitions=PARTITIONS), group=GroupName("normalize"))
EDGE = replace(snapshot(2, stream=False), group=GroupName("edge"))
ABSENT = replace(snapshot(2, stream=False), group=GroupName("absent"))


class Exporter:
    """Offsets of `normalize`, exported twice as two Observers would; two nodes of `normalize` and one of `edge`."""

    def __init__(self, workspace: str) -> None:
        self._workspace, self._began = workspace, time.time() - 1000

    def collect(self) -> Iterable[Metric]:
        elapsed = time.time() - self._began
        labels = ["workspace", "pipeline", "stage", "group", "topic", "partition", "observer"]
        end = GaugeMetricFamily("headrace_topic_end_offset", "-", labels=labels)
        committed = GaugeMetricFamily("headrace_group_committed_offset", "-", labels=[*labels, "consumer_group"])
        for partition in range(PARTITIONS):
            for observer in ("a", "b"):
                of = [self._workspace, "p", "n", "normalize", "t", str(partition), observer]
                end.add_metric(of, elapsed * RATE + BEHIND)
                if partition:  # nothing was ever committed in partition 0, where nothing ever arrived
                    committed.add_metric([*of, "c"], elapsed * RATE)
        yield end
        yield committed
        yield from self._nodes(elapsed)

    def _nodes(self, elapsed: float) -> Iterator[Metric]:
        labels = ["workspace", "group", "node"]
        info, cpu = (
            GaugeMetricFamily("headrace_node_info", "-", labels=labels),
            CounterMetricFamily("process_cpu_seconds", "-", labels=labels),
        )
        got, busy = (
            CounterMetricFamily("headrace_messages_in", "-", labels=labels),
            GaugeMetricFamily("headrace_busy_ratio", "-", labels=labels),
        )
        waiting = GaugeMetricFamily("queue_length", "-", labels=labels)
        for group, node, at_work in (("normalize", "i-1", 0.5), ("normalize", "i-2", 0.25), ("edge", "i-3", 1.0)):
            of = [self._workspace, group, node]
            info.add_metric(of, 1)
            cpu.add_metric(of, elapsed * at_work)
            got.add_metric(of, elapsed * 30)
            busy.add_metric(of, at_work)
            waiting.add_metric(of, 7)
        yield from (info, cpu, got, busy, waiting)


@pytest.fixture
def workspace(prometheus: PrometheusServer, unique_name: str) -> Iterator[str]:
    registry, port = CollectorRegistry(auto_describe=False), ports.choose()
    registry.register(Exporter(unique_name))
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    prometheus.scrape(
        [{"job_name": "exporter", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]
    )
    yield unique_name
    prometheus.scrape([])
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
async def client(prometheus: PrometheusServer) -> AsyncIterator[PrometheusClient]:
    made = PrometheusClient(prometheus.url, prometheus.username, prometheus.password)
    yield made
    await made.close()


async def read_when_there(source: PrometheusSignals) -> dict[GroupName, Signals]:
    async def look() -> dict[GroupName, Signals] | None:
        """The whole window has been scraped, each time when it was due: until then a rate is too low or too high."""
        found = dict(await source.read((STREAM, EDGE, ABSENT), time.time()))
        stream, edge = found[GroupName("normalize")], found[GroupName("edge")]
        seen = (stream.arrival.value, stream.throughput.value, stream.cpu_cores.value, edge.arrival.value)
        return found if seen == pytest.approx(RATES, rel=0.1) and stream.backlog.known else None

    return await eventually(look, within_s=120)


async def test_stream_groups_at_the_broker_and_others_at_their_nodes(workspace: str, client: PrometheusClient) -> None:
    source = PrometheusSignals(client, workspace, WINDOW_S, STALE_S)
    found = await read_when_there(source)
    stream, edge = found[GroupName("normalize")], found[GroupName("edge")]
    assert stream.arrival.quality is Quality.OK
    assert stream.backlog_worst.value == pytest.approx(1000 * RATE, rel=0.2), "what nobody committed all waits"
    assert stream.backlog.value == pytest.approx(stream.backlog_worst.value + 3 * BEHIND, rel=0.01)
    assert (stream.cpu_nodes.value, stream.busy.value) == (2, 0.375)
    assert edge.arrival.quality is Quality.PARTIAL, "one of two nodes reports"
    assert found[GroupName("absent")].arrival.quality is Quality.MISSING


async def test_named_metrics(workspace: str, client: PrometheusClient) -> None:
    source = PrometheusSignals(client, workspace, WINDOW_S, STALE_S)
    await read_when_there(source)
    aimed = replace(STREAM, policy=replace(STREAM.policy, metrics=(MetricAim("queue_length", 5), MetricAim("no{", 1))))

    async def look() -> Signals | None:
        """Each query has three seconds, which a busy machine may need."""
        found = (await source.read((aimed,), time.time()))[GroupName("normalize")]
        return found if found.metrics["queue_length"].quality is Quality.OK else None

    named = (await eventually(look)).metrics
    assert named["queue_length"].value == 14
    assert not named["no{"].known


async def test_fewer_partitions_than_declared_are_partial(workspace: str, client: PrometheusClient) -> None:
    source = PrometheusSignals(client, workspace, WINDOW_S, STALE_S)
    await read_when_there(source)
    grown = replace(STREAM, partitions=PARTITIONS + 1)

    async def look() -> Signals | None:
        found = (await source.read((grown,), time.time()))[GroupName("normalize")]
        return found if found.arrival.usable and found.backlog.usable else None

    found = await eventually(look)
    assert (found.arrival.quality, found.backlog.quality) == (Quality.PARTIAL, Quality.PARTIAL)


async def test_what_is_no_longer_scraped_goes_stale_or_missing_never_zero(
    workspace: str, client: PrometheusClient, prometheus: PrometheusServer
) -> None:
    source = PrometheusSignals(client, workspace, WINDOW_S, STALE_S)
    await read_when_there(source)
    prometheus.scrape([])

    async def look() -> Signals | None:
        found = (await source.read((STREAM,), time.time()))[GroupName("normalize")]
        return None if found.backlog.usable or found.arrival.usable else found

    gone = await eventually(look)
    assert {gone.backlog.quality, gone.arrival.quality} <= {Quality.STALE, Quality.MISSING}


async def test_a_server_that_is_gone_is_a_failure_of_every_signal() -> None:
    client = PrometheusClient(f"http://127.0.0.1:{ports.choose()}")
    found = await PrometheusSignals(client, "w", WINDOW_S, STALE_S).read((STREAM, EDGE), time.time())
    await client.close()
    assert {s.arrival.quality for s in found.values()} == {Quality.FAILED}
    assert found[GroupName("normalize")].backlog.quality is Quality.FAILED


def test_a_metric_s_name_is_checked() -> None:
    with pytest.raises(InvalidInput, match="not the name"):
        metric_query(Workspace("w"), 'up"} or vector(1', 60.0)
    assert "rate(done_total{" in metric_query(Workspace("w"), "done_total", 60.0)
