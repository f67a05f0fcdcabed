"""What an instance runs on. Virtual machines are numbers here; real processes are in `machine_processes`."""

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

FIRST = int(ipaddress.IPv4Address("127.1.0.1"))
FIRST_OCTETS = "127.1."
LAST = int(ipaddress.IPv4Address("127.1.255.254"))
PORTS = (7400, 7401)  # what a machine binds on its own address


class Power(StrEnum):
    """How a machine is."""

    OFF = "off"  # not started yet
    ON = "on"
    HUNG = "hung"  # stopped in mid-air: EC2's status checks do not see that
    CRASHED = "crashed"  # ended by itself
    STOPPED = "stopped"  # shut down in order
    ENDING = "ending"
    GONE = "gone"


@dataclass(slots=True, frozen=True)
class Ailment:
    """What is wrong with a machine, each until a time of the true clock (0: nothing)."""

    clock_offset_s: float = 0.0
    clock_until: float = 0.0
    disk_delay_s: float = 0.0
    disk_until: float = 0.0


@dataclass(slots=True, frozen=True)
class MachineView:
    """A machine, for whoever lists them."""

    id: str
    address: str
    power: Power
    pid: int | None


class Machines(Protocol):
    """Starts and ends machines; no call blocks. News come by the callback that the maker was given."""

    def boot(self, instance_id: str, address: str) -> None:
        """Switch it on."""
        ...

    def power(self, instance_id: str) -> Power:
        """How it is now."""
        ...

    def end(self, instance_id: str) -> None:
        """End it for good; GONE once that is done."""
        ...

    def crash(self, instance_id: str) -> None:
        """Kill it."""
        ...

    def stop(self, instance_id: str) -> None:
        """Shut it down in order."""
        ...

    def hang(self, instance_id: str) -> None:
        """Freeze it."""
        ...

    def wake(self, instance_id: str) -> None:
        """Let a frozen one go on."""
        ...

    def afflict(self, instance_id: str, ailment: Ailment) -> None:
        """This, and nothing else, is wrong with it from now on; AwsError when that can not be."""
        ...

    def listing(self) -> list[MachineView]:
        """All that are not gone."""
        ...

    def close(self) -> None:
        """End all, and wait for it."""
        ...


class VirtualMachines:
    """Machines without a process."""

    def __init__(self, on_change: Callable[[str], None]) -> None:
        """`on_change` is called with the id of a machine that changed by itself."""
        self._on_change = on_change
        self._powers: dict[str, tuple[Power, str]] = {}

    def boot(self, instance_id: str, address: str) -> None:
        """It is on at once."""
        self._powers[instance_id] = (Power.ON, address)

    def power(self, instance_id: str) -> Power:
        """As it was set last."""
        return self._powers.get(instance_id, (Power.OFF, ""))[0]

    def end(self, instance_id: str) -> None:
        """It is gone at once."""
        _, address = self._powers.get(instance_id, (Power.OFF, ""))
        self._powers[instance_id] = (Power.GONE, address)

    def crash(self, instance_id: str) -> None:
        """Its status checks fail from now on."""
        self._set(instance_id, Power.CRASHED)

    def stop(self, instance_id: str) -> None:
        """It is shut down."""
        self._set(instance_id, Power.STOPPED)

    def hang(self, instance_id: str) -> None:
        """Nobody sees that."""
        self._set(instance_id, Power.HUNG)

    def wake(self, instance_id: str) -> None:
        """On again."""
        self._set(instance_id, Power.ON)

    def afflict(self, instance_id: str, ailment: Ailment) -> None:
        """Nothing runs in it that could notice; the fault is told with the machine."""

    def listing(self) -> list[MachineView]:
        """All that are not gone."""
        return [
            MachineView(key, address, power, None)
            for key, (power, address) in list(self._powers.items())
            if power is not Power.GONE
        ]

    def forget(self, instance_ids: Iterable[str]) -> None:
        """These will not be asked for again."""
        for instance_id in instance_ids:
            self._powers.pop(instance_id, None)

    def close(self) -> None:
        """Nothing to end."""

    def _set(self, instance_id: str, power: Power) -> None:
        if instance_id in self._powers:
            self._powers[instance_id] = (power, self._powers[instance_id][1])
            self._on_change(instance_id)


class Addresses:
    """Hands out addresses of 127.1.0.0/16 in turn, so that a freed one is not used again soon."""

    def __init__(self, start: int, usable: Callable[[str], bool] = lambda _address: True) -> None:
        """`start`: how far into the range to begin; `usable` says whether a machine could bind its ports there."""
        self._next = FIRST + start % (LAST - FIRST + 1)
        self._usable = usable
        self.used: set[str] = set()

    def take(self) -> str:
        """An address that is not used; OSError when there is none."""
        for _ in range(LAST - FIRST + 1):
            address = str(ipaddress.IPv4Address(self._next))
            self._next = FIRST if self._next == LAST else self._next + 1
            if address not in self.used and self._usable(address):
                self.used.add(address)
                return address
        raise OSError("no free address is left in 127.1.0.0/16")

    def give_back(self, address: str) -> None:
        """The address is free."""
        self.used.discard(address)
