"""Ratings: recorded once, with what has changed since the revision before; read newest first."""

from services.autoscaler.domain.ports import Store
from services.autoscaler.domain.ratings import KEPT_MAX, Rating, before, change
from shared.contracts.rating import RatingModel
from shared.domain.names import GroupName, RevisionNumber


class Rates:
    """Over the store."""

    def __init__(self, store: Store) -> None:
        """The port."""
        self._store = store

    async def record(self, given: RatingModel) -> RatingModel:
        """Keep it, with the change said; recorded again, the answer is the one of the first time."""
        group = GroupName(given.group)
        known = await self._store.ratings(group, KEPT_MAX)
        rating = rating_of(given)
        told = given.model_copy(update={"change": change(rating, before(rating, known))})
        await self._store.add_rating(rating_of(told))
        kept = await self._store.ratings(group, KEPT_MAX)
        return next((RatingModel.model_validate_json(r.document) for r in kept if r.id == given.id), told)

    async def list(self, group: GroupName, limit: int) -> tuple[RatingModel, ...]:
        """Newest first; none is an answer."""
        found = await self._store.ratings(group, max(1, min(limit or KEPT_MAX, KEPT_MAX)))
        return tuple(RatingModel.model_validate_json(r.document) for r in found)


def rating_of(given: RatingModel) -> Rating:
    """What decisions read of it, beside the whole."""
    return Rating(
        id=given.id,
        group=GroupName(given.group),
        revision=RevisionNumber(given.revision),
        node_type=given.node_type,
        rated_at_s=given.rated_at,
        rate=given.found.rate,
        low=given.found.low,
        high=given.found.high,
        bound=given.found.note,
        document=given.model_dump_json(),
    )
