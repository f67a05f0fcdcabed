"""Batches that are with users' code at once: as many as there are workers for, found while it works; order is kept."""

from pathlib import Path
from threading import Event as Flag

import orjson
import pytest

from dataplane.stages.calls_at_once import ALONE_EVERY, CALLS_MAX, CallsAtOnce, SeveralAtOnce
from dataplane.stages.events import Done, Event, Failed, Outcome, same
from dataplane.stages.measures import Measures
from dataplane.stages.transforming import Transforming
from localcloud.servers.kafka import KafkaServer
from shared.contracts.objects import Transform
from tests.dataplane.streams import events, fill, make_topics, plan_of, running, wait_until
from tests.dataplane.transform_servers import served, wait_ready

SLEEPS = """
import time
from headrace_runtime import transform

@transform
def act(event):
    time.sleep(0.02)
    return event
"""
BATCH, WORKERS = 2, 4


def took_s(at_once: int, workers: int, each_s: float = 0.1) -> float:
    """Of calls that come together to so many workers: the mean."""
    return sum((place // workers + 1) * each_s for place in range(at_once)) / at_once


@pytest.mark.parametrize("workers", range(1, 13))
def test_as_many_as_there_are_workers_and_one_that_is_on_its_way(workers: int) -> None:
    calls = CallsAtOnce()
    seen = []
    for _ in range(3 * ALONE_EVERY - 10):
        calls.saw(took_s(calls.now, workers))
        seen.append(calls.now)
    assert set(seen[20:]) - {1} == {min(CALLS_MAX, workers + 1)}
    assert seen[20:].count(1) == 2  # measured anew, alone


def test_code_that_became_slower_is_measured_anew_and_not_taken_for_a_line() -> None:
    calls = CallsAtOnce()
    for each_s in (0.1, 0.4):
        for _ in range(8 * ALONE_EVERY - 10):
            calls.saw(took_s(calls.now, 4, each_s))
        assert calls.now == 5


def event(number: int) -> Event:
    return Event(f"e{number}", 1.0, None, orjson.dumps({"n": number}), f"e{number}", 0, number)


def numbers(outcomes: list[Outcome]) -> list[int]:
    return [int(orjson.loads(o.outputs[0].value)["n"]) for o in outcomes if isinstance(o, Done)]


@pytest.mark.slow
def test_idle_workers_get_batches_and_outcomes_come_in_the_order_of_events() -> None:
    with served(SLEEPS, "--workers", str(WORKERS)) as server:
        wait_ready(server)
        work = SeveralAtOnce(Transforming(Transform(function="", batch_max=BATCH), server.folder / "t.sock", Measures({}, {})))  # fmt: skip

        def round_of_many() -> bool:
            events = [event(n) for n in range(work.batch_max + 1)]  # one more than full: a smaller batch at the end
            outcomes = work.run(events)
            if not any(isinstance(o, Failed) for o in outcomes):  # a call may be turned away by a busy machine
                assert numbers(outcomes) == [*range(len(events))]
            return work.batch_max >= WORKERS * BATCH

        try:
            wait_until(round_of_many, "as many calls as workers")
        finally:
            work.close()


class Blocks:
    """`Work`: says when it has its first event, and goes on when it may."""

    batch_max = 30

    def __init__(self) -> None:
        self.began, self.may = Flag(), Flag()
        self.sizes: list[int] = []

    def run(self, events: list[Event]) -> list[Outcome]:
        self.sizes.append(len(events))
        self.began.set()
        assert self.may.wait(60)
        return [same(e, e.value) for e in events]

    def close(self) -> None:
        self.may.set()


@pytest.mark.slow
def test_ends_of_partitions_that_were_read_while_it_worked_take_no_place_in_a_batch(
    kafka: KafkaServer, unique_name: str
) -> None:
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("in", "out", "dead")))
    work = Blocks()
    with running(plan_of(kafka, unique_name, (f"{unique_name}.out",)), work):
        fill(kafka, f"{unique_name}.in", events(1, "first"))
        assert work.began.wait(60)
        for number in range(60):  # each is read ahead by itself, and with it that its partition ends
            fill(kafka, f"{unique_name}.in", events(1, f"e{number}-"))
        work.may.set()
        wait_until(lambda: sum(work.sizes) == 61, "all are done")
    assert work.sizes[:2] == [1, 30]


def test_where_nobody_answers_one_call_at_a_time_says_so(tmp_path: Path) -> None:
    work = SeveralAtOnce(Transforming(Transform(batch_max=BATCH, timeout_s=0.1), tmp_path / "none", Measures({}, {})))
    try:
        outcomes = work.run([event(n) for n in range(3 * BATCH)])
    finally:
        work.close()
    assert [o.recoverable for o in outcomes if isinstance(o, Failed)] == [True] * 6
    assert work.batch_max == BATCH
