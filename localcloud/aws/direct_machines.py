"""What happens to machines outside of Auto Scaling: RunInstances and its kin, consoles, and interruptions of spot machines.

moto answers these calls and keeps the books; here the machine behind a record is switched on once it has booted, and off with it. An
interruption is told by the metadata two minutes before (unless other seconds are asked for), then EC2 takes the machine.
"""

import base64
import heapq
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.ec2_compute import PENDING, Ec2Compute
from localcloud.aws.errors import AwsError, ValidationError
from localcloud.aws.machine_processes import ProcessMachines
from localcloud.aws.machines import FIRST_OCTETS, Addresses, Machines
from localcloud.aws.moto_services import MotoServices
from localcloud.aws.state_file import StateFile

NOTICE_S = 120.0
NOTICE_S_MAX = 7200.0
NOTICE_MARK = "interruption"
CONSOLE_BYTES_MAX = 64 * 1024  # what GetConsoleOutput returns at most
ENDED = frozenset({"terminated", "shutting-down", "stopped", "stopping"})


class DirectMachines:
    """`follow` is told of calls that moto has answered; `run_due` does what its time has come for."""

    def __init__(  # noqa: PLR0913  what a machine is made of
        self,
        services: MotoServices,
        compute: Ec2Compute,
        machines: Machines,
        addresses: Addresses,
        clock: Clock,
        boot_s: Callable[[], float],
        state: StateFile,
    ) -> None:
        """`boot_s` gives each machine's boot time; `state` keeps the interruptions that were announced."""
        self._services, self._compute, self._machines = services, compute, machines
        self._addresses, self._clock, self._boot_s = addresses, clock, boot_s
        self._boots: list[tuple[float, str]] = []
        self._state = state
        self._notices: dict[str, float] = state.marks(NOTICE_MARK)  # instance id -> when EC2 takes it
        self._lock = threading.Lock()

    def adopt(self, content: bytes) -> bytes:
        """Give addresses to what RunInstances has just made, in the books and in its answer; moto's lock is held."""
        for reservation in self._services.backend("ec2").reservations.values():
            for instance in reservation.instances:
                old = str(instance.private_ip)
                if instance.state in ENDED or old.startswith(FIRST_OCTETS):
                    continue
                address = self._addresses.take()
                instance.nics[0].private_ip_address = address
                instance._state.name, instance._state.code = PENDING  # noqa: SLF001  moto's machines run at once
                content = content.replace(f">{old}<".encode(), f">{address}<".encode())
                self._boot_later(instance.id)
        return content

    def start_again(self, instance_id: str) -> None:
        """StartInstances."""
        self._compute.start(instance_id)
        self._boot_later(instance_id)

    def restore(self, owned: Mapping[str, str]) -> dict[str, str]:
        """After a start of ours: the machines (id -> address) that run and that no group owns."""
        found = {}
        for reservation in self._services.backend("ec2").reservations.values():
            for instance in reservation.instances:
                if instance.id in owned or not str(instance.private_ip).startswith(FIRST_OCTETS):
                    continue
                if instance.state == PENDING[0]:
                    self._boot_later(instance.id)
                elif instance.state not in ENDED:
                    found[instance.id] = str(instance.private_ip)
        return found

    def interrupt(self, instance_id: str, how: Mapping[str, Any]) -> None:
        """Announce that EC2 takes the machine in `seconds`; ValidationError."""
        seconds = how.get("seconds", NOTICE_S)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= NOTICE_S_MAX:
            raise ValidationError(f"seconds must be 0 to {NOTICE_S_MAX:.0f}: {seconds}")
        with self._lock:
            self._notices[instance_id] = self._clock.now() + seconds
            self._state.put_mark(NOTICE_MARK, instance_id, self._notices[instance_id])

    def taken_at(self, instance_id: str) -> float | None:
        """When EC2 takes a machine; None when it has not said so."""
        return self._notices.get(instance_id)

    def run_due(self) -> list[str]:
        """Boot what has booted, take what is interrupted; the ids of the latter, whose groups must hear of it."""
        now = self._clock.now()
        with self._lock:
            booted = []
            while self._boots and self._boots[0][0] <= now:
                booted.append(heapq.heappop(self._boots)[1])
            taken = [one for one, when in self._notices.items() if when <= now]
            for instance_id in taken:
                del self._notices[instance_id]
        for instance_id in booted:
            instance = self._compute.instance(instance_id)
            if instance is not None and instance.state == PENDING[0]:
                self._compute.boot(instance_id)
        for instance_id in taken:
            self._compute.end(instance_id)
        if taken:
            self._state.drop_marks(NOTICE_MARK, taken)  # only now: killed before, it is taken at the next start
        return taken

    def next_due(self) -> float | None:
        """When `run_due` has something to do."""
        with self._lock:
            times = [when for when, _ in self._boots[:1]] + list(self._notices.values())
        return min(times, default=None)

    def console_answer(self, instance_id: str, request_id: str) -> str:
        """GetConsoleOutput: what the machine has said last, in EC2's XML; AwsError."""
        if self._compute.instance(instance_id) is None:
            raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
        said = b""
        if isinstance(self._machines, ProcessMachines):
            said = tail(self._machines.console(instance_id))
        now = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return (
            '<GetConsoleOutputResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
            f"<requestId>{request_id}</requestId><instanceId>{escape(instance_id)}</instanceId>"
            f"<timestamp>{now}</timestamp><output>{base64.b64encode(said).decode()}</output></GetConsoleOutputResponse>"
        )

    def _boot_later(self, instance_id: str) -> None:
        with self._lock:
            heapq.heappush(self._boots, (self._clock.now() + self._boot_s(), instance_id))


def tail(console: Path) -> bytes:
    """The last of a file; nothing when it is not there yet."""
    if not console.exists():
        return b""
    with console.open("rb") as said:
        said.seek(max(0, console.stat().st_size - CONSOLE_BYTES_MAX))
        return said.read(CONSOLE_BYTES_MAX)
