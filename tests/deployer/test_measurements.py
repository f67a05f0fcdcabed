"""What fleets did, read from a real Prometheus that scrapes counters of the names that nodes have."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from time import time

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import Metric

from localcloud import ports
from localcloud.servers.prometheus import PrometheusServer
from services.deployer.adapters.measurements import PrometheusMeasurements
from services.deployer.domain.judge import FleetSample
from services.deployer.domain.ports import Unreadable
from shared.domain.names import FleetId, GroupName
from shared.prometheus import PrometheusClient

LABELS = ["workspace", "group", "fleet", "node", "pipeline", "stage"]
OLD, NEW = FleetId("delays-r1"), FleetId("delays-r2")
DEADLINE_S = 60.0


class WholeChanges(CollectorRegistry):
    """A registry whose readers see what is changed under `changing` as a whole, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.changing = threading.Lock()

    def collect(self) -> Iterable[Metric]:
        with self.changing:
            return list(super().collect())


class Nodes:
    """Counters of two fleets, behind one port."""

    def __init__(self, group: str) -> None:
        self.registry = WholeChanges()
        self.group = group
        self.out = Counter("headrace_messages_out", "out", LABELS, registry=self.registry)
        self.failed = Counter("headrace_messages_failed", "failed", [*LABELS, "kind"], registry=self.registry)
        self.seconds = Histogram("headrace_transform_seconds", "seconds", LABELS, registry=self.registry)
        self.info = Gauge("headrace_node_info", "info", LABELS, registry=self.registry)

    def labels(self, fleet: FleetId, node: str) -> list[str]:
        return ["default", self.group, fleet, node, "departures", "transform"]


@pytest.fixture
def nodes(prometheus: PrometheusServer, unique_name: str) -> Iterator[Nodes]:
    made = Nodes(unique_name)
    port = ports.choose()
    server, thread = start_http_server(port, "127.0.0.1", made.registry)
    prometheus.scrape([{"job_name": unique_name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}])
    yield made
    prometheus.scrape([])
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
async def client(prometheus: PrometheusServer) -> AsyncIterator[PrometheusClient]:
    made = PrometheusClient(prometheus.url, prometheus.username, prometheus.password)
    yield made
    await made.close()


async def until_scraped(client: PrometheusClient, query: str, value: float) -> float:
    """When the newest sample says so."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            answer = await client.instant(query)
            if not hasattr(answer, "why") and any(s.value == value for s in answer.samples):
                return time()
            await asyncio.sleep(0.1)


async def test_growth_of_each_fleet_with_failures_that_came_before_the_first_scrape(
    nodes: Nodes, client: PrometheusClient
) -> None:
    group = nodes.group
    with nodes.registry.changing:
        for node in ("i-1", "i-2"):
            nodes.info.labels(*nodes.labels(OLD, node)).set(1)
            nodes.out.labels(*nodes.labels(OLD, node)).inc(10_000)  # long before the window
    since = await until_scraped(client, f'sum(headrace_messages_out_total{{group="{group}"}})', 20_000)
    with nodes.registry.changing:
        nodes.info.labels(*nodes.labels(NEW, "i-3")).set(1)
        nodes.out.labels(*nodes.labels(NEW, "i-3")).inc(900)
        nodes.failed.labels(*nodes.labels(NEW, "i-3"), "non_recoverable").inc(100)
        nodes.out.labels(*nodes.labels(OLD, "i-1")).inc(3000)
        for _ in range(10):
            nodes.seconds.labels(*nodes.labels(NEW, "i-3")).observe(0.5)
    until = await until_scraped(client, f'sum(headrace_messages_failed_total{{group="{group}"}})', 100)
    read = await PrometheusMeasurements(client, "default").read(GroupName(group), (OLD, NEW), since, until)
    assert not isinstance(read, Unreadable)
    assert read[NEW] == FleetSample(NEW, 900.0, 100.0, 0.5, 1)
    assert read[OLD] == FleetSample(OLD, 3000.0, 0.0, None, 2)


async def test_a_fleet_nobody_knows_has_done_nothing(client: PrometheusClient) -> None:
    read = await PrometheusMeasurements(client, "default").read(GroupName("none"), (NEW,), time() - 10, time())
    assert read == {NEW: FleetSample(NEW)}


async def test_a_prometheus_that_does_not_answer_is_unreadable_not_zero() -> None:
    client = PrometheusClient(f"http://127.0.0.1:{ports.choose()}")
    read = await PrometheusMeasurements(client, "default").read(GroupName("none"), (NEW,), time() - 10, time())
    assert isinstance(read, Unreadable)
    await client.close()
