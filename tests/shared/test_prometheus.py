"""The query client against a real Prometheus: an answer, no answer and a partial answer are told apart."""

from collections.abc import AsyncIterator

import pytest

from localcloud import ports
from localcloud.servers.prometheus import PrometheusServer
from shared.prometheus import PrometheusClient, QueryFailed, Vector


@pytest.fixture
async def client(prometheus: PrometheusServer) -> AsyncIterator[PrometheusClient]:
    made = PrometheusClient(prometheus.url, prometheus.username, prometheus.password)
    yield made
    await made.close()


async def test_a_vector_has_labels_and_values(client: PrometheusClient) -> None:
    found = await client.instant('label_replace(vector(7), "group", "g", "", "")', at=1_700_000_000.0)
    assert isinstance(found, Vector)
    assert found.by("group") == {"g": 7.0}
    assert found.samples[0].at == 1_700_000_000.0


async def test_nothing_found_is_an_empty_answer(client: PrometheusClient) -> None:
    assert await client.instant("no_such_series") == Vector(())


async def test_nan_is_missing_not_a_number(client: PrometheusClient) -> None:
    assert await client.instant("vector(0) / vector(0)") == Vector(())


async def test_a_query_that_cannot_be_read_is_a_failure_not_an_empty_answer(client: PrometheusClient) -> None:
    failed = await client.instant("sum(")
    assert isinstance(failed, QueryFailed)
    assert "parse error" in failed.why


async def test_a_scalar_is_no_vector(client: PrometheusClient) -> None:
    assert isinstance(await client.instant("1 + 1"), QueryFailed)


async def test_a_server_that_is_gone_is_a_failure() -> None:
    client = PrometheusClient(f"http://127.0.0.1:{ports.choose()}")
    assert isinstance(await client.instant("up", deadline_s=0.5), QueryFailed)
    await client.close()


async def test_a_range_has_points(client: PrometheusClient) -> None:
    found = await client.range("vector(3)", 1_700_000_000, 1_700_000_030, 15)
    assert not isinstance(found, QueryFailed)
    assert list(found.values()) == [[(1_700_000_000.0, 3.0), (1_700_000_015.0, 3.0), (1_700_000_030.0, 3.0)]]
