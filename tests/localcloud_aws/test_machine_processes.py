"""The thread that starts, watches and ends processes, without a front around it."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from localcloud.aws.machine_processes import CONSOLE_BYTES_MAX, ProcessMachines, can_bind
from localcloud.aws.machines import Addresses, Power
from localcloud.aws.state_file import StateFile
from tests.localcloud_aws.front import until

SLEEPER = ("/bin/sleep", "300")
SAID_BYTES = 16 * CONSOLE_BYTES_MAX


class Rig:
    """Machines in a folder; `another` is what a front finds that starts after a crash of this one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.changed: list[str] = []
        self.made: list[ProcessMachines] = []

    def machines(self, *command: str) -> ProcessMachines:
        state = StateFile(None)
        one = ProcessMachines(
            command or SLEEPER, lambda _id, _address: {"PATH": "/bin"}, self.directory, state, self.changed.append
        )
        self.made.append(one)
        return one

    def forget(self, machines: ProcessMachines) -> None:
        """As a crash would: nobody watches, nothing is ended."""
        machines._closed = True
        machines._thread.join()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    one = Rig(tmp_path / "machines")
    yield one
    for machines in one.made:
        machines.close()


def pid_of(machines: ProcessMachines, instance_id: str) -> int:
    def pid() -> int | None:
        return next((v.pid for v in machines.listing() if v.id == instance_id), None)

    found: int = until(pid, "the process")
    return found


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_machine_that_no_record_names_is_adopted_by_its_folder(rig: Rig) -> None:
    first = rig.machines()
    first.start({})
    first.boot("i-1", "127.1.9.1")
    pid = pid_of(first, "i-1")
    rig.forget(first)
    second = rig.machines()
    second.start({"i-1": "127.1.9.1"})
    assert pid_of(second, "i-1") == pid
    second.end("i-1")
    until(lambda: second.power("i-1") is Power.GONE, "its end")


def test_a_machine_that_no_group_has_is_ended(rig: Rig) -> None:
    first = rig.machines()
    first.start({})
    first.boot("i-1", "127.1.9.1")
    pid = pid_of(first, "i-1")
    rig.forget(first)
    rig.machines().start({})
    until(lambda: not alive(pid), "the orphan's end")


def test_a_machine_that_was_never_started_is_started(rig: Rig) -> None:
    machines = rig.machines()
    machines.start({"i-1": "127.1.9.1"})
    assert alive(pid_of(machines, "i-1"))


def test_crash_stop_and_what_cannot_be_started_are_told(rig: Rig) -> None:
    machines = rig.machines()
    machines.start({})
    for instance_id in ("i-crash", "i-stop"):
        machines.boot(instance_id, "127.1.9.1")
        pid_of(machines, instance_id)
    machines.crash("i-crash")
    machines.stop("i-stop")
    until(lambda: machines.power("i-crash") is Power.CRASHED, "the crash")
    until(lambda: machines.power("i-stop") is Power.STOPPED, "the stop")
    assert {"i-crash", "i-stop"} <= set(rig.changed)
    broken = rig.machines("/no/such/program")
    broken.start({})
    broken.boot("i-none", "127.1.9.1")
    until(lambda: broken.power("i-none") is Power.CRASHED, "the failed start")


def test_the_console_is_kept_short(rig: Rig) -> None:
    machines = rig.machines("/bin/sh", "-c", f"/usr/bin/yes | head -c {SAID_BYTES}; sleep 300")
    machines.start({})
    machines.boot("i-1", "127.1.9.1")
    old = rig.directory / "i-1" / "console.old.log"
    until(old.exists, "the console to be moved aside")
    machines.end("i-1")
    until(lambda: machines.power("i-1") is Power.GONE, "its end")
    assert old.stat().st_size == CONSOLE_BYTES_MAX


def test_addresses_are_not_used_again_at_once_and_only_where_ports_are_free() -> None:
    addresses = Addresses(0, lambda address: address != "127.1.0.2")
    assert [addresses.take(), addresses.take()] == ["127.1.0.1", "127.1.0.3"]
    addresses.give_back("127.1.0.1")
    assert addresses.take() == "127.1.0.4"
    last = Addresses((1 << 16) - 4)
    assert last.take() == "127.1.255.253"
    assert can_bind("127.1.200.200")


@pytest.mark.parametrize("at_once", [True, False], ids=["while it is being stopped", "once it has stopped"])
def test_a_stopped_machine_starts_again(rig: Rig, at_once: bool) -> None:
    machines = rig.machines()
    machines.start({})
    machines.boot("i-1", "127.1.9.1")
    first = pid_of(machines, "i-1")
    machines.stop("i-1")
    if not at_once:
        until(lambda: machines.power("i-1") is Power.STOPPED, "its stop")
    machines.boot("i-1", "127.1.9.1")
    until(lambda: machines.power("i-1") is Power.ON and pid_of(machines, "i-1") != first, "its new start")
    assert not alive(first)
