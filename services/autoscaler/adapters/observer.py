"""Verdicts and living activities, from the Observer. What it does not say is UNKNOWN."""

from collections.abc import Mapping

import structlog

from shared.clients.observer import ObserverClient
from shared.domain.errors import HeadraceError
from shared.domain.health import VerdictState
from shared.domain.names import ActivityId, GroupName
from shared.domain.scope import group_scope

PREFIX = "group/"
ENDED = "ended"
LOG = structlog.get_logger()


class ObserverHealth:
    """Implements `ports.Health`."""

    def __init__(self, observer: ObserverClient) -> None:
        """The client."""
        self._observer = observer

    async def verdicts(self) -> Mapping[GroupName, VerdictState]:
        """See `ports.Health`."""
        try:
            found = await self._observer.verdicts(PREFIX)
        except HeadraceError as e:
            LOG.warning("no verdicts: every group reads as UNKNOWN", why=str(e))
            return {}
        return {GroupName(v.scope.removeprefix(PREFIX)): VerdictState.read(v.effective) for v in found}

    async def living(self, group: GroupName) -> Mapping[ActivityId, float] | None:
        """See `ports.Health`."""
        try:
            found = await self._observer.activities(str(group_scope(group)))
        except HeadraceError as e:
            LOG.warning("no activities: leases are not known to live", group=group, why=str(e))
            return None
        return {ActivityId(a.id): a.expires_at for a in found if a.state != ENDED}
