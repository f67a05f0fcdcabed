"""The Observer's word about a lease: a heartbeat that renews it."""

from shared.clients.observer import ObserverClient
from shared.contracts.admission import HeartbeatInput
from shared.domain.activity import HolderAsk
from shared.domain.errors import StaleLease


class ObserverLeases:
    """`Leases`."""

    def __init__(self, client: ObserverClient) -> None:
        """Over a channel that the composition root opened."""
        self._client = client

    async def renew(self, activity: str, token: int) -> float:
        """Seconds that the lease has now."""
        answer = await self._client.heartbeat(HeartbeatInput(activity_id=activity, token=token))
        if answer.ask == HolderAsk.STOP:
            text = "; ".join(r.text for r in answer.reasons) or "the Observer says stop"
            raise StaleLease(f"activity {activity}: {text}", remedy="touch nothing more")
        return answer.lease_ttl_s
