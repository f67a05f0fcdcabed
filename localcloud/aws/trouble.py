"""Faults begin and end here: what is injected reaches machines and delayed reads too, and comes back with a restart."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from localcloud.aws import fault_kinds as kinds
from localcloud.aws.errors import AwsError
from localcloud.aws.fault_kinds import Fault
from localcloud.aws.faults import Faults
from localcloud.aws.machines import Machines


class LateReads(Protocol):
    """Whatever answers reads from the past."""

    def follow(self) -> None:
        """Reads may have begun to be late, or ceased."""


class Trouble:
    """`lock` is the model's."""

    def __init__(self, faults: Faults, machines: Machines, late: Sequence[LateReads], lock: "threading.RLock") -> None:
        """Takes up the faults that outlived a restart."""
        self._faults, self._machines, self._late, self._lock = faults, machines, late, lock
        self._follow_late_reads()

    def inject(self, wanted: Mapping[str, Any]) -> Fault:
        """Begin a fault; AwsError when it makes no sense or the machine can not have it."""
        machine = wanted.get("machine")
        if wanted.get("kind") in kinds.OF_MACHINES and machine:
            self._check(str(machine))
        with self._lock:
            self._follow_late_reads()  # an earlier fault may have ended unseen
            fault = self._faults.inject(wanted)
            self._follow_late_reads()
        if fault.machine:
            try:
                self._machines.afflict(fault.machine, self._faults.ailment(fault.machine))
            except AwsError:
                self._faults.clear(fault.id)
                raise
        return fault

    def clear(self, fault_id: str | None = None) -> None:
        """End one, or all."""
        for fault in self._faults.clear(fault_id):
            if fault.machine:
                self._machines.afflict(fault.machine, self._faults.ailment(fault.machine))

    def _follow_late_reads(self) -> None:
        for reads in self._late:
            reads.follow()

    def _check(self, machine: str) -> None:
        if all(view.id != machine for view in self._machines.listing()):
            raise AwsError("NotFound", f"There is no machine {machine}: GET /_localcloud/machines lists them.", 404)
