"""What Prometheus reads of balancing clients: their own numbers, by group, added up over clients of one group."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from headrace_runtime.v1 import transform_pb2 as pb
from prometheus_client import CollectorRegistry, generate_latest

from dataplane.client.core.balancer import Balancer
from dataplane.client.core.budget import RetryBudget
from dataplane.client.core.calls import Attempt, Call, GivenUp, Refusal
from dataplane.client.core.members import Endpoint, Table
from dataplane.client.core.tally import Tally
from dataplane.client.metrics import ClientMetrics
from dataplane.client.settings import ClientSettings
from dataplane.client.statuses import CallError
from dataplane.client.threads import GroupClient
from localcloud.certificates import DevelopmentAuthority


def balancer(*addresses: str) -> Balancer:
    made = Balancer()
    made.update(Table(1, {"r1": 1}, tuple(Endpoint(a, "r1", "") for a in addresses)))
    return made


def run(made: Balancer, budget: RetryBudget, now: float, *codes: str) -> Any:
    """One call whose attempts end so; empty: with an answer."""
    call, chance = Call(made, budget, now + 10.0), random.Random(3).randrange
    for code in codes:
        step = call.next(now, chance)
        assert isinstance(step, Attempt)
        if not code:
            call.answered(step, now)
            return None
        call.refused(step, Refusal(code, ""), now)
    return call.next(now, chance)


def test_calls_retries_refusals_and_ends_are_counted_once_each() -> None:
    made, budget = balancer("a", "b", "c"), RetryBudget()
    run(made, budget, 1.0, "")
    run(made, budget, 2.0, "UNAVAILABLE", "")
    run(made, budget, 3.0, "RESOURCE_EXHAUSTED", "")
    assert isinstance(run(made, budget, 4.0, "INVALID_ARGUMENT"), GivenUp)
    assert made.tally == Tally(
        calls=4,
        retries=2,
        refused=Counter(UNAVAILABLE=1, RESOURCE_EXHAUSTED=1, INVALID_ARGUMENT=1),
        given_up=Counter(INVALID_ARGUMENT=1),
    )
    assert made.outstanding == 0
    open_ = Call(made, budget, 20.0).next(5.0, random.Random(3).randrange)
    assert (isinstance(open_, Attempt), made.outstanding) == (True, 1)


def test_an_ejection_is_counted_and_a_copy_does_not_change() -> None:
    made, budget = balancer("a", "b"), RetryBudget()
    before = made.tally.copy()
    for second in range(12):  # one of two fails all the while: three in a row put it out
        call = Call(made, budget, 100.0)
        step = call.next(float(second), random.Random(second).randrange)
        assert isinstance(step, Attempt)
        if step.endpoint.address == "a":
            call.refused(step, Refusal("UNAVAILABLE", ""), float(second) + 0.01)
        else:
            call.answered(step, float(second) + 0.01)
    assert made.tally.ejections >= 1
    assert before == Tally()


def test_two_clients_of_a_group_are_one_row_and_the_names_are_taken_once() -> None:
    registry = CollectorRegistry()
    metrics = ClientMetrics(registry)
    first, second = Tally(calls=3, retries=1), Tally(calls=4, ejections=2)
    first.given_up["UNAVAILABLE"] = 1
    second.given_up["UNAVAILABLE"] = 2
    metrics.watch("scores", lambda: (first, 1))
    metrics.watch("scores", lambda: (second, 2))
    metrics.watch("risk", lambda: (Tally(calls=9), 0))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"headrace_client_{name}", {"called": "scores", **labels})

    assert value("requests_total") == 7
    assert (value("retries_total"), value("ejections_total"), value("outstanding")) == (1, 2, 3)
    assert value("errors_total", code="UNAVAILABLE") == 3
    assert registry.get_sample_value("headrace_client_requests_total", {"called": "risk"}) == 9
    assert generate_latest(registry).decode().count("# TYPE headrace_client_requests_total counter") == 1
    with pytest.raises(ValueError, match="Duplicated"):
        ClientMetrics(registry)


def test_a_client_that_finds_nobody_says_so_in_its_numbers(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    tls = DevelopmentAuthority(tmp_path / "tls", "test").service("caller")
    client = GroupClient(ClientSettings("scores", "127.0.0.1:1", tls, tmp_path), ClientMetrics(registry))
    try:
        with pytest.raises(CallError):
            client.call(pb.TransformBatchRequest(events=[b"{}"]), 0.2)
    finally:
        client.close()
    labels = {"called": "scores", "code": "UNAVAILABLE"}
    assert registry.get_sample_value("headrace_client_errors_total", labels) == 1
    assert registry.get_sample_value("headrace_client_outstanding", {"called": "scores"}) == 0
