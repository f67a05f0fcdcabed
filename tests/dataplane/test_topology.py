"""Many-to-many: events go along branches, come back from the global retrier, and keep order."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from confluent_kafka import Message
from pydantic import ValidationError

from dataplane.stages.events import Event, Failed, Outcome, Output, same
from dataplane.stages.global_retries import GlobalRetrier
from dataplane.stages.publishing import Publisher
from dataplane.stages.routing import Routing
from localcloud.servers.kafka import KafkaServer
from shared.contracts.objects import Pipeline, RetryPolicy
from shared.contracts.works import Route
from tests.dataplane.streams import (
    access_of,
    event,
    events,
    fields_of,
    fill,
    header,
    id_of,
    is_dead,
    make_topics,
    plan_of,
    reading,
    running,
    value_of,
    wait_until,
)


def route(**changes: object) -> Route:
    branches = [{"when": "delay > 60", "to": ["late", "all"]}, {"when": "delay > 15", "to": ["late"]}]
    return Route.model_validate({"branches": branches} | changes)


def taken(spec: Route, value: object) -> tuple[str, ...] | str:
    (outcome,) = Routing(spec, {n: n for n in ("late", "all", "rest")}).run([event(value)])
    if isinstance(outcome, Failed):
        return outcome.reason
    return outcome.outputs[0].topics or () if outcome.outputs else outcome.dropped


def test_an_event_takes_the_first_branch_or_all_that_hold_each_stage_once() -> None:
    assert taken(route(), {"delay": 90}) == ("late", "all")
    assert taken(route(), {"delay": 20}) == ("late",)
    assert taken(route(match="all"), {"delay": 90}) == ("late", "all")
    assert taken(route(default=["rest"]), {"delay": 1}) == ("rest",)
    assert taken(route(), {"delay": 1}) == "Unmatched"
    assert taken(route(unmatched="drop"), {"delay": "?"}) == "unmatched"
    assert taken(route(), b"\xff") == "Undecodable"


def pipeline_of(branches: list[dict[str, object]], edges: list[tuple[str, str]]) -> Pipeline:
    works: dict[str, dict[str, object]] = {
        "ingest": {"type": "ingest"},
        "route": {"type": "route", "branches": branches},
        "a": {"type": "normalize"},
        "b": {"type": "normalize"},
    }
    stages = [{"name": n, "group": n, "work": w} for n, w in works.items()]
    return Pipeline.model_validate(
        {"name": "p", "stages": stages, "edges": [{"source": s, "target": t} for s, t in edges]}
    )


EDGES = [("ingest", "route"), ("route", "a"), ("route", "b"), ("a", "b")]


@pytest.mark.parametrize(
    ("branches", "edges", "said"),
    [
        ([{"when": "x", "to": ["a"]}], EDGES, "route -> b is taken by no branch"),
        ([{"when": "x", "to": ["a", "b", "ingest"]}], EDGES, "goes to 'ingest', and no edge does"),
        ([{"when": "open('x')", "to": ["a", "b"]}], EDGES, "when: expression"),
        ([{"when": "x", "to": ["a", "b"]}], [*EDGES, ("b", "route")], "is a cycle"),
        ([{"when": "x", "to": ["a", "b"]}], [*EDGES, ("a", "b")], "a -> b is declared twice"),
    ],
)
def test_a_graph_that_cannot_be_is_refused(
    branches: list[dict[str, object]], edges: list[tuple[str, str]], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        pipeline_of(branches, edges)
    assert pipeline_of([{"when": "x", "to": ["a", "b"]}], EDGES).stages


@pytest.fixture
def name(kafka: KafkaServer, unique_name: str) -> str:
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("in", "out", "out2", "dead")))
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("retry1", "retry2")), partitions=1)
    return unique_name


def test_a_route_sends_each_event_where_it_belongs_and_nowhere_else(kafka: KafkaServer, name: str) -> None:
    spec = Route.model_validate(
        {"branches": [{"when": "n % 3 == 0", "to": ["a"]}, {"when": "n % 2 == 0", "to": ["a", "b"]}], "match": "all"}
        | {"unmatched": "drop"}
    )
    topics = {"a": f"{name}.out", "b": f"{name}.out2"}
    fill(kafka, f"{name}.in", events(120))
    with (
        running(plan_of(kafka, name, list(topics.values())), Routing(spec, topics)) as (_, measures, book),
        reading(kafka, f"{name}1", topics["a"]) as one,
        reading(kafka, f"{name}2", topics["b"]) as two,
    ):
        assert one.ids(80) == {f"e{n}" for n in range(120) if n % 3 == 0 or n % 2 == 0}
        assert two.ids(60) == {f"e{n}" for n in range(0, 120, 2)}
        wait_until(lambda: value_of(measures.lines(), "headrace_messages_dropped_total", reason="unmatched") == 40, "")
        assert len(one.messages) == 80
    dropped = sum(r.dropped.get("unmatched", 0) for r in book.changed(time.time(), held_back=False))
    assert dropped == 40


@dataclass
class Stubborn:
    """Fails an event until the script lets it go."""

    verdict: Callable[[Event, int], Failed | None]
    batch_max: int = 64
    tries: dict[str, int] = field(default_factory=dict)

    def run(self, batch: list[Event]) -> list[Outcome]:
        found: list[Outcome] = []
        for one in batch:
            self.tries[one.id] = self.tries.get(one.id, 0) + 1
            found.append(self.verdict(one, self.tries[one.id]) or same(one, one.value))
        return found

    def close(self) -> None:
        """Nothing is open."""


LATER = Failed(True, "Busy", "later")


@pytest.fixture
def retriers() -> Iterator[list[GlobalRetrier]]:
    made: list[GlobalRetrier] = []
    yield made
    for one in made:
        one.stop()


def test_the_global_retrier_brings_an_event_back_as_it_was_and_then_gives_up(
    kafka: KafkaServer, name: str, retriers: list[GlobalRetrier]
) -> None:
    retry = RetryPolicy(attempts=2, first_s=0.01, max_s=0.02, global_delays_s=(0.4, 0.8))
    plan = replace(
        plan_of(kafka, name, [f"{name}.out"], retry), topics_retry=(f"{name}.retry1", f"{name}.retry2"), ordered=True
    )

    def verdict(one: Event, _: int) -> Failed | None:
        return LATER if one.id == "e1" or (one.id == "e2" and one.tries < 2) else None

    sent_at = time.time() - 100
    fill(kafka, f"{name}.in", events(50), at=sent_at)
    waves: list[int] = []

    def both_are_back(got: list[Message]) -> bool:
        """While others go through: an event is given up only where they do."""
        if len(got) < 48 + 10 * len(waves):
            return False
        fill(kafka, f"{name}.in", events(10, prefix=f"w{len(waves)}-"))
        waves.append(1)
        return {"e1", "e2"} <= {id_of(m) for m in got}

    retriers.append(GlobalRetrier(plan))
    retriers[0].start()
    with (
        running(plan, Stubborn(verdict)) as (_, measures, book),
        reading(kafka, name, f"{name}.out", f"{name}.dead") as reader,
    ):
        by_id = {id_of(m): m for m in reader.until(both_are_back)}
        assert is_dead(by_id["e1"])
        assert (header(by_id["e1"], "reason"), header(by_id["e1"], "tries")) == ("Busy", "2")
        assert (float(header(by_id["e2"], "t")), fields_of(by_id["e2"])["n"]) == (sent_at, 2)
        lines = measures.lines()
        assert value_of(lines, "headrace_retries_total", tier="global") == 4
        dropped = [r.dropped for r in book.changed(time.time(), held_back=False) if r.dropped]
        assert sum(d.get("retrying", 0) for d in dropped) == 4
        wait_until(
            lambda: value_of(measures.lines(), "headrace_messages_in_total") == 50 + 10 * len(waves),
            "each is counted once",
        )


def test_a_retrier_that_ends_leaves_what_waits_to_the_next(
    kafka: KafkaServer, name: str, retriers: list[GlobalRetrier]
) -> None:
    retry = RetryPolicy(attempts=1, global_delays_s=(1.0,))
    plan = replace(plan_of(kafka, name, [f"{name}.out"], retry), topics_retry=(f"{name}.retry1",))
    fill(kafka, f"{name}.retry1", events(30))
    for _ in range(2):
        one = GlobalRetrier(plan)
        one.start()
        one.stop()
    retriers.append(GlobalRetrier(plan))
    retriers[0].start()
    with reading(kafka, name, f"{name}.in") as reader:
        assert reader.ids(30) == set(events(30))


def test_an_ordered_stage_hands_events_of_a_key_on_in_their_order(kafka: KafkaServer, name: str) -> None:
    def verdict(one: Event, tries: int) -> Failed | None:
        return LATER if int(one.id[1:]) % 7 == 3 and tries < 3 else None

    work = Stubborn(verdict, batch_max=20)
    plan = replace(plan_of(kafka, name, [f"{name}.out"], RetryPolicy(attempts=9, first_s=0.02)), ordered=True)
    keyed = KeyedFill(kafka, f"{name}.in")
    keyed.send(300, keys=5)
    with running(plan, work), reading(kafka, name, f"{name}.out") as reader:
        assert len(reader.ids(300)) == 300
    for key in range(5):
        got = [int(id_of(m)[1:]) for m in reader.messages if m.key() == f"k{key}".encode()]
        assert got == sorted(got)
        assert len(got) == 60


class KeyedFill:
    """Events whose keys repeat."""

    def __init__(self, kafka: KafkaServer, topic: str) -> None:
        self._publisher, self._topic = Publisher(access_of(kafka), "test"), topic

    def send(self, count: int, keys: int) -> None:
        for n in range(count):
            output = Output(f"e{n}", time.time(), f"k{n % keys}".encode(), b'{"n":%d}' % n, f"e{n}")
            assert self._publisher.put(self._topic, output) is None
        self._publisher.settle()
        self._publisher.close()
