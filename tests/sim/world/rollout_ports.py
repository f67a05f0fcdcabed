"""Ports of the services of rollouts that are more than a memory adapter with a fate."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.admin_api.adapters.memory import MemoryStore as AdminStore
from services.admin_api.domain.ports import Unit
from services.autoscaler.adapters.inventory import snapshot_of
from services.autoscaler.domain.group import GroupSnapshot
from services.provisioner.adapters.memory import MemoryFences, MemoryGroups
from shared.clients.provisioner import ProvisionerClient
from shared.domain.names import GroupName
from tests.sim.world import cloud as clouds
from tests.sim.world.fate import Fate


class JoinedFleets:
    """The Autoscaler's `Inventory`, joined as the shipped one does."""

    def __init__(self, provisioner: ProvisionerClient, cloud: clouds.Cloud, fate: Fate) -> None:
        self._provisioner, self._cloud, self._fate = provisioner, cloud, fate

    async def groups(self) -> tuple[GroupSnapshot, ...]:
        """See the port."""
        models, _ = await self._provisioner.inventory()
        await self._fate.before()
        states = self._cloud.seen()
        return tuple(snapshot_of(m, states) for m in models if m.phase != "DELETING")

    async def group(self, name: GroupName) -> GroupSnapshot:
        """See the port."""
        model = await self._provisioner.group(name)
        await self._fate.before()
        return snapshot_of(model, self._cloud.seen())


class WatchedGroups(MemoryGroups):
    """The Provisioner's store of groups; `removed_s` says when a group was last forgotten, in seconds since the epoch."""

    def __init__(self, fences: MemoryFences, true_s: Callable[[], float]) -> None:
        super().__init__(fences)
        self._true_s = true_s
        self.removed_s: dict[str, float] = {}

    async def remove(self, name: GroupName) -> None:
        """See the port."""
        self.removed_s[name] = self._true_s()
        await super().remove(name)


class SimAdminStore:
    """The admin API's connection to its store: a unit happens at one instant, or not, or nobody hears."""

    def __init__(self, inner: AdminStore, fate: Fate) -> None:
        self._inner, self._fate = inner, fate

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """See the port."""
        unheard = await self._fate.before()
        async with self._inner.unit() as unit:
            yield unit
        await self._fate.back(unheard=unheard)


class NumberedCredentials:
    """`Credentials`: nobody guesses here."""

    def new_token(self) -> str:
        """See the port."""
        return "token"
