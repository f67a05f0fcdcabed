"""Ratings: recorded once, compared with the revision before, and what sizing starts from until a node was saturated."""

import doctest
from dataclasses import replace

import pytest

from localcloud.certificates import DevelopmentAuthority
from services.autoscaler.domain import ratings
from services.autoscaler.domain.capacity import node_rate
from services.autoscaler.domain.ratings import KEPT_MAX
from services.autoscaler.operations.rate import rating_of
from shared.contracts.rating import RatingCall, RatingFound, RatingModel, RatingPromise, RatingStep
from shared.domain.errors import InvalidInput
from shared.domain.names import GroupName
from tests.autoscaler.groups import GROUP, snapshot, watched
from tests.autoscaler.test_faces import served
from tests.autoscaler.world import World, world

NODE_TYPE = "m6a.large"


def rated(revision: int, rate: float, at_s: float = 0.0, **changes: object) -> RatingModel:
    step = RatingStep(wanted=rate, offered=rate, answered=rate, latency_p95_s=0.1, errors=0.0, held=True)
    base = RatingModel(
        id=f"op-{revision}-{at_s:g}",
        group=GROUP,
        revision=revision,
        node_type=NODE_TYPE,
        rated_at=at_s,
        found=RatingFound(rate=rate, low=rate * 0.95, high=rate * 1.05),
        promise=RatingPromise(latency_p95_s=1.0, errors_max=0.001),
        call=RatingCall(batch=50, step_s=10, first=100),
        steps=(step,),
    )
    return base.model_copy(update=changes)


def typed() -> World:
    return world(snapshot(4, node_type=NODE_TYPE))


async def decided_with(w: World) -> dict[str, float]:
    await w.service.tick.tick()
    record = (await w.store.load())[GROUP]
    assert record.latest is not None
    return dict(record.latest.intermediates)


def test_the_words_of_a_change() -> None:
    assert doctest.testmod(ratings).failed == 0


def test_a_rating_counts_until_a_node_was_measured_and_before_what_is_declared() -> None:
    seen = snapshot(4, rated=250.0)
    assert node_rate(watched(seen), seen) == (250.0, "rated")
    assert node_rate(watched(seen, node_rate=80.0), seen) == (80.0, "measured")
    unheld = replace(seen, rated=0.0)
    assert node_rate(watched(unheld), unheld) == (100.0, "declared")


async def test_the_loop_sizes_a_group_by_its_newest_rating_of_that_type_of_node() -> None:
    w = typed()
    assert "node_rate_declared" in await decided_with(w)
    for model in (
        rated(1, 40.0, at_s=1),
        rated(2, 75.0, at_s=2),
        rated(3, 900.0, at_s=3, node_type="m6a.4xlarge"),
        rated(2, 900.0, at_s=4, group="another", id="of-another"),
    ):
        await w.service.rates.record(model)
    w.clock.now_s += 15
    numbers = await decided_with(w)
    assert (numbers["node_rate_rated"], "node_rate_declared" in numbers) == (75.0, False)
    what_if = await w.service.questions.recommend(GROUP, 600, 0, None)
    assert what_if.intermediates["nodes_exact"] == pytest.approx(600 / (75 * 0.8))


@pytest.mark.parametrize(
    "kind", [{"stream": True, "partitions": 6}, {"stream": False, "partitions": 0}], ids=["stage", "edge"]
)
async def test_a_group_of_every_kind_is_sized_by_its_rating(kind: dict[str, int]) -> None:
    w = world(snapshot(2, {"node_rate": None}, node_type=NODE_TYPE, **kind))  # 300 messages/s come in
    assert not {n for n in await decided_with(w) if n.startswith("node_rate")}
    call = RatingCall(batch=1, step_s=10, first=100)
    await w.service.rates.record(rated(1, 75.0, at_s=1, call=call))
    w.clock.now_s += 15
    numbers = await decided_with(w)
    assert numbers["node_rate_rated"] == 75.0
    assert numbers["nodes_exact"] == pytest.approx(300 / (75 * 0.8))


async def test_a_rating_is_recorded_once_and_says_what_changed_since_the_revision_before() -> None:
    rates = typed().service.rates
    first = await rates.record(rated(1, 100.0, at_s=1))
    assert first.change == ""
    slower = await rates.record(rated(2, 60.0, at_s=2))
    assert slower.change == "40 % less than revision 1: 100 [95, 105] -> 60 [57, 63] messages/s"
    again = await rates.record(rated(2, 61.0, at_s=3))  # the same revision: still compared with the one before
    assert again.change.startswith("39 % less than revision 1")
    assert await rates.record(rated(2, 60.0, at_s=2)) == slower
    assert [r.id for r in await rates.list(GroupName(GROUP), 2)] == ["op-2-3", "op-2-2"]


async def test_a_group_keeps_so_many_ratings_and_no_more() -> None:
    w = typed()
    for n in range(KEPT_MAX + 3):
        await w.store.add_rating(rating_of(rated(1, 100.0, at_s=n)))
    kept = await w.service.rates.list(GroupName(GROUP), 0)
    assert (len(kept), kept[0].rated_at, kept[-1].rated_at) == (KEPT_MAX, KEPT_MAX + 2, 3)


async def test_ratings_are_read_by_name_over_the_wire(tmp_path_factory: pytest.TempPathFactory) -> None:
    w = typed()
    told = await w.service.rates.record(rated(1, 100.0, at_s=1))
    async with served(w, DevelopmentAuthority(tmp_path_factory.mktemp("tls"), "test"), "admin_api") as client:
        assert await client.ratings(GROUP) == [told]
        assert await client.ratings("another") == []
        with pytest.raises(InvalidInput, match="is not a name"):
            await client.ratings("Not A Name")
