"""AWS as a table that a test writes: for operations, whose ports are few verbs. Adapters are tested against the real front."""

from collections.abc import Mapping
from dataclasses import replace

from services.provisioner.domain.declared import DeclaredFields
from services.provisioner.domain.group import FleetState, Inventory, Machine
from services.provisioner.domain.ports import LiveFields
from shared.domain.errors import Unavailable
from shared.domain.names import FleetId, GroupName, Workspace
from tests.provisioner.examples import NOW


def members(group: str, revision: int, *addresses: str, pending: int = 0) -> FleetState:
    fleet = FleetId(f"{group}-r{revision}")
    ready = [Machine(f"i-{a}", fleet, a, in_service=True, pending=False) for a in addresses]
    coming = [Machine(f"i-p{i}", fleet, f"p{i}", in_service=False, pending=True) for i in range(pending)]
    machines = (*ready, *coming)
    return FleetState(f"default-{fleet}", fleet, GroupName(group), 0, 10, len(machines), machines)


class TableMachines:
    """`Machines`: what the test wrote last."""

    def __init__(self, *fleets: FleetState) -> None:
        self.fleets: tuple[FleetState, ...] = fleets
        self.away = False
        self.live: dict[GroupName, LiveFields] = {}
        self.failure = ""

    async def inventory(self) -> Inventory:
        if self.away:
            raise Unavailable("aws: away")
        return Inventory(NOW, self.fleets)

    async def fleet(self, asg: str) -> FleetState | None:
        return next((f for f in self.fleets if f.asg == asg), None)

    async def fleet_of(self, machine: str) -> FleetId | None:
        return Inventory(NOW, self.fleets).fleet_of(machine)

    async def last_failure(self, asg: str) -> str:
        return self.failure

    async def shapes(self, declared: Mapping[GroupName, DeclaredFields]) -> Mapping[GroupName, LiveFields]:
        return {g: self.live.get(g, fields) for g, fields in declared.items()}

    def grow(self, asg: str, address: str) -> None:
        self.fleets = tuple(
            replace(
                f, machines=(*f.machines, Machine(f"i-{address}", f.fleet, address, in_service=True, pending=False))
            )
            if f.asg == asg
            else f
            for f in self.fleets
        )


class DictMirror:
    """`RouteMirror` in a dict; may be lost or away."""

    def __init__(self) -> None:
        self.documents: dict[GroupName, str] = {}
        self.away = False

    async def restore(self, workspace: Workspace, documents: Mapping[GroupName, str]) -> tuple[GroupName, ...]:
        if self.away:
            raise Unavailable("redis: away")
        written = tuple(n for n in sorted(documents) if self.documents.get(n) != documents[n])
        self.documents.update(documents)
        return written
