"""Every operation of the admin API over one set of ports; REST is its face."""

from dataclasses import dataclass

from services.admin_api.operations.access import Access
from services.admin_api.operations.context import Context
from services.admin_api.operations.deploying import Deploying
from services.admin_api.operations.explaining import Explaining
from services.admin_api.operations.guarding import Guarding
from services.admin_api.operations.long_work import LongWork
from services.admin_api.operations.planning import Planning
from services.admin_api.operations.publishing import Publishing
from services.admin_api.operations.rating import Rating
from services.admin_api.operations.reading import Reading
from services.admin_api.operations.redriving import Redriving
from services.admin_api.operations.watching import Watching


@dataclass(frozen=True, slots=True)
class AdminApi:
    """The operations."""

    context: Context
    access: Access
    reading: Reading
    planning: Planning
    deploying: Deploying
    long_work: LongWork
    explaining: Explaining
    guarding: Guarding
    redriving: Redriving
    rating: Rating
    publishing: Publishing
    watching: Watching

    @classmethod
    def over(cls, context: Context) -> "AdminApi":
        """All of them."""
        long_work, reading = LongWork(context), Reading(context)
        return cls(
            context=context,
            access=Access(context),
            reading=reading,
            planning=Planning(context, long_work, reading),
            deploying=Deploying(context, long_work),
            long_work=long_work,
            explaining=Explaining(context),
            guarding=Guarding(context, long_work),
            redriving=Redriving(context, long_work),
            rating=Rating(context, long_work),
            publishing=Publishing(context),
            watching=Watching(context),
        )
