"""A machine joins: it shows its fleet's token and its instance id, and gets an hour's certificate for its own key.

Four things must be true: the token is the fleet's (compared in constant time), the instance is a launched member of
that fleet's Auto Scaling Group as AWS says now, the group knows the fleet, and the instance did not join with another
key before. A stolen token alone joins nothing; asking again with the same key renews. Every refusal says the same to
the caller.
"""

import hashlib
import hmac
from dataclasses import dataclass

import structlog

from services.provisioner.domain.group import Fleet
from services.provisioner.domain.ports import Authority, Machines
from services.provisioner.domain.stores import GroupStore, NodeStore
from services.provisioner.operations.routing import Routing
from services.provisioner.operations.translation import assignment, routes_model
from shared.contracts.node import Assignment, KafkaAccess, Routes
from shared.domain.clock import Clock
from shared.domain.errors import Denied
from shared.domain.names import FleetId, GroupName

LOG = structlog.get_logger()
NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What a machine shows."""

    token: str
    machine: str
    group: str
    fleet: str
    csr_pem: str


@dataclass(frozen=True, slots=True)
class Joined:
    """What it gets."""

    certificate_pem: str
    assignment: Assignment
    routes: Routes


class Joining:
    """Lets machines in."""

    def __init__(  # noqa: PLR0913  who knows the fleet, the machine, the key and the work
        self,
        stack: str,
        groups: GroupStore,
        nodes: NodeStore,
        machines: Machines,
        authority: Authority,
        routing: Routing,
        kafka: KafkaAccess,
        clock: Clock,
    ) -> None:
        """One for the whole service."""
        self._stack = stack
        self._groups = groups
        self._nodes = nodes
        self._machines = machines
        self._authority = authority
        self._routing = routing
        self._kafka = kafka
        self._clock = clock

    async def join(self, request: JoinRequest) -> Joined:
        """Denied with one and the same text for whatever is not true; the log tells which."""
        group = await self._groups.get(GroupName(request.group))
        fleet = group.fleet(FleetId(request.fleet)) if group else None
        shown = hashlib.sha256(request.token.encode()).hexdigest()
        expected = fleet.token_digest if fleet and fleet.token_digest else NO_DIGEST
        if not hmac.compare_digest(shown, expected) or group is None or fleet is None:
            raise _denied(request, "token or fleet")
        if await self._machines.fleet_of(request.machine) != fleet.id:
            raise _denied(request, "not a launched member of the fleet")
        key = self._authority.key_digest(request.csr_pem)
        now = self._clock.now()
        owner = await self._nodes.claim(request.machine, group.name, fleet.id, key, now)
        if not hmac.compare_digest(owner, key):
            raise _denied(request, "joined before with another key")
        identity = (
            f"spiffe://{self._stack}/workspace/{group.intent.workspace}/group/{group.name}/node/{request.machine}"
        )
        certificate = self._authority.sign(request.csr_pem, identity, await self._address(fleet, request.machine), now)
        published = await self._routing.published(group.name)
        LOG.info("node joined", machine=request.machine, fleet=fleet.id)
        return Joined(
            certificate_pem=certificate,
            assignment=assignment(published.group, fleet, published.pipeline, self._kafka),
            routes=routes_model(published.routes),
        )

    async def fleet_of(self, group: str, machine: str) -> Fleet | None:
        """The fleet that a joined machine of a group works in."""
        inventory = self._routing.inventory
        known = inventory.fleet_of(machine) if inventory else None
        fleet = known or await self._machines.fleet_of(machine)
        whole = await self._groups.get(GroupName(group))
        return whole.fleet(fleet) if whole and fleet else None

    async def _address(self, fleet: Fleet, machine: str) -> str:
        inventory = self._routing.inventory
        live = inventory.fleet(fleet.id) if inventory else None
        return next((m.address for m in live.machines if m.id == machine), "") if live else ""


def _denied(request: JoinRequest, why: str) -> Denied:
    LOG.warning("join denied", machine=request.machine, fleet=request.fleet, why=why)
    return Denied(
        f"machine {request.machine[:64]!r} may not join fleet {request.fleet[:80]!r}",
        remedy="it must be a launched member of the fleet, show the fleet's token, and keep its first key",
    )
