"""Instances as processes of this computer: started, watched, adopted after a crash of ours, and ended.

One thread does all of that. Each machine leads a session of its own and is given an environment of its own, with
nothing of ours in it; the folder named there (HEADRACE_NODE_STATE_DIR) is also how a machine is found again: whatever
process of the system carries one of our folders in its environment is ours. So a crash between starting a process and
writing down its pid loses nothing, and no machine runs twice.
"""

import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from localcloud.aws import ailments
from localcloud.aws.machines import PORTS, Ailment, MachineView, Power
from localcloud.aws.sessions import FOLDER_VARIABLE, recorded, running_by_folder, send
from localcloud.aws.state_file import MachineRecord, StateFile
from localcloud.process import kill_session

log = logging.getLogger(__name__)
WATCH_EVERY_S = 0.1
END_S_MAX = 5.0  # from SIGTERM to SIGKILL
KILL_S_MAX = 5.0
CONSOLE_BYTES_MAX = 4 * 1024 * 1024


@dataclass(slots=True)
class Machine:
    """One machine; `process` is there once it runs."""

    id: str
    address: str
    power: Power = Power.OFF
    process: psutil.Process | None = None
    child: "subprocess.Popen[bytes] | None" = None  # None when it was adopted
    kill_at: float = 0.0
    after: Power = Power.GONE  # what it is once it has ended as asked


def can_bind(address: str) -> bool:
    """Whether a machine could bind its ports on the address."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


class ProcessMachines:
    """Implements `Machines`."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Callable[[str, str], Mapping[str, str]],
        directory: Path,
        state: StateFile,
        on_change: Callable[[str], None],
    ) -> None:
        """`environment` gives a machine's, from its id and address; `directory` holds one folder for each."""
        self._command, self._environment = tuple(command), environment
        self.directory, self._state, self._on_change = directory, state, on_change
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)  # a machine runs users' code as another user, who must reach its folder
        self._machines: dict[str, Machine] = {}
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._closed = self._built = False
        self._shim: Path | None = None  # what machines can be made ill with; built when the first one boots
        self._thread = threading.Thread(target=self._watch, name="machines", daemon=True)

    def start(self, expected: Mapping[str, str]) -> None:
        """Adopt what runs of the expected machines (id -> address), end what else is ours, then begin to watch."""
        records = self._state.machines()
        found = running_by_folder(self.directory)
        for instance_id, address in expected.items():
            machine = Machine(instance_id, address)
            process = found.pop(instance_id, None) or recorded(records.get(instance_id))
            if process is not None:
                machine.process, machine.power = process, Power.ON
                self._state.put_machine(MachineRecord(instance_id, process.pid, process.create_time()))
            elif instance_id in records:
                machine.power = Power.CRASHED
            self._machines[instance_id] = machine
        for instance_id, process in found.items():
            log.warning("ending process %d of machine %s, which no group has", process.pid, instance_id)
            kill_session(process.pid)
        self._state.drop_machines(set(records) - set(expected))
        self._thread.start()

    def boot(self, instance_id: str, address: str) -> None:
        """Have it started; a stopped one again, one that is being stopped as soon as it has."""
        with self._lock:
            machine = self._machines.setdefault(instance_id, Machine(instance_id, address))
            if machine.power is Power.STOPPED:
                machine.power = Power.OFF
            elif machine.power is Power.ENDING and machine.after is Power.STOPPED:
                machine.after = Power.OFF
        self._awake.set()

    def power(self, instance_id: str) -> Power:
        """How it is now; GONE when it is not known."""
        machine = self._machines.get(instance_id)
        return machine.power if machine else Power.GONE

    def end(self, instance_id: str) -> None:
        """Have it ended for good."""
        self._shut_down(instance_id, Power.GONE)

    def stop(self, instance_id: str) -> None:
        """Have it shut down in order."""
        self._shut_down(instance_id, Power.STOPPED)

    def crash(self, instance_id: str) -> None:
        """Kill it, with all that it has started."""
        if process := self._process(instance_id):
            kill_session(process.pid)
            self._awake.set()

    def hang(self, instance_id: str) -> None:
        """Freeze it, with all that it has started."""
        self._signal(instance_id, signal.SIGSTOP, Power.HUNG)

    def wake(self, instance_id: str) -> None:
        """Let it go on."""
        self._signal(instance_id, signal.SIGCONT, Power.ON)

    def afflict(self, instance_id: str, ailment: Ailment) -> None:
        """Its processes notice at once."""
        folder = self.directory / instance_id
        if not (folder / ailments.FILE).exists():
            raise ailments.impossible()
        ailments.write(folder, ailment)

    def uid(self, instance_id: str) -> int | None:
        """The user whose processes are the machine's own; None when it has none."""
        try:
            return process.uids().real if (process := self._process(instance_id)) else None
        except psutil.NoSuchProcess:
            return None

    def listing(self) -> list[MachineView]:
        """All that are not gone."""
        return [
            MachineView(m.id, m.address, m.power, m.process.pid if m.process else None)
            for m in list(self._machines.values())
            if m.power is not Power.GONE
        ]

    def console(self, instance_id: str) -> Path:
        """The file with what the machine has said."""
        return self.directory / instance_id / "console.log"

    def close(self) -> None:
        """End all and wait for it; they are started again when the state file is opened the next time."""
        self._closed = True
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join()
        running = [m for m in self._machines.values() if m.process is not None]
        for machine in running:
            send(machine.process, signal.SIGCONT)
            send(machine.process, signal.SIGTERM)
        deadline = time.monotonic() + END_S_MAX
        while any(is_running(m) for m in running) and time.monotonic() < deadline:
            time.sleep(WATCH_EVERY_S)
        for machine in running:
            if machine.process is not None:
                kill_session(machine.process.pid)
        self._state.drop_machines(m.id for m in running)

    # ------------------------------------------------------------------------------------------------------- the thread

    def _watch(self) -> None:
        while not self._closed:
            for machine in list(self._machines.values()):
                try:
                    changed = self._look_after(machine)
                except OSError:
                    log.exception("machine %s could not be started", machine.id)
                    machine.power, changed = Power.CRASHED, True
                if changed:
                    self._on_change(machine.id)
            self._awake.wait(WATCH_EVERY_S)
            self._awake.clear()

    def _look_after(self, machine: Machine) -> bool:
        """Whether it changed."""
        match machine.power:
            case Power.OFF:
                self._spawn(machine)
                return True
            case Power.ON | Power.HUNG if not is_running(machine):
                return self._note_crash(machine)
            case Power.ENDING:
                return self._see_to_the_end(machine)
            case _:
                self._limit_console(machine.id)
                return False

    def _spawn(self, machine: Machine) -> None:
        folder = self.directory / machine.id
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        if not self._built:
            self._shim, self._built = ailments.build(self.directory), True
        environment = {
            **self._environment(machine.id, machine.address),
            **ailments.environment(folder, self._shim),
            FOLDER_VARIABLE: str(folder),
        }
        with self._lock:
            if machine.power is not Power.OFF:  # ended before it was started
                return
            with self.console(machine.id).open("ab") as console:
                machine.child = subprocess.Popen(
                    self._command,
                    env=environment,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    start_new_session=True,
                )
            machine.process = psutil.Process(machine.child.pid)
            machine.power = Power.ON
        self._state.put_machine(MachineRecord(machine.id, machine.process.pid, machine.process.create_time()))

    def _note_crash(self, machine: Machine) -> bool:
        """It has ended; by itself, unless somebody has asked for it in this very moment."""
        with self._lock:
            if machine.power is Power.ENDING:
                return False
            machine.power = Power.CRASHED
        if machine.process:
            kill_session(machine.process.pid)  # what it has started may have outlived it
            machine.process = machine.child = None  # the pid may be another's soon
        return True

    def _see_to_the_end(self, machine: Machine) -> bool:
        if machine.process is not None:
            if is_running(machine) and time.monotonic() < machine.kill_at:
                return False
            kill_session(machine.process.pid)
            if is_running(machine) and time.monotonic() < machine.kill_at + KILL_S_MAX:
                return False
        machine.power, machine.process = machine.after, None
        if machine.after is Power.GONE:
            self._machines.pop(machine.id, None)
            self._state.drop_machines([machine.id])
        return True

    def _limit_console(self, instance_id: str) -> None:
        """Move what is too long aside; the machine appends, so its next words go to the beginning of the file."""
        console = self.console(instance_id)
        if console.exists() and (size := console.stat().st_size) > CONSOLE_BYTES_MAX:
            with console.open("rb") as said:
                said.seek(size - CONSOLE_BYTES_MAX)
                console.with_suffix(".old.log").write_bytes(said.read(CONSOLE_BYTES_MAX))
            os.truncate(console, 0)

    # ------------------------------------------------------------------------------------------------------------ parts

    def _process(self, instance_id: str) -> psutil.Process | None:
        machine = self._machines.get(instance_id)
        return machine.process if machine else None

    def _shut_down(self, instance_id: str, after: Power) -> None:
        with self._lock:
            machine = self._machines.get(instance_id)
            if machine is None:
                return
            machine.after = after
            if machine.power is not Power.ENDING:
                machine.power, machine.kill_at = Power.ENDING, time.monotonic() + END_S_MAX
        send(machine.process, signal.SIGCONT)
        send(machine.process, signal.SIGTERM)
        self._awake.set()

    def _signal(self, instance_id: str, what: signal.Signals, power: Power) -> None:
        with self._lock:
            machine = self._machines.get(instance_id)
            if machine is None or machine.process is None or machine.power not in {Power.ON, Power.HUNG}:
                return
            machine.power = power
            try:
                os.killpg(machine.process.pid, what)
            except ProcessLookupError:
                log.info("machine %s had ended when it should get %s", instance_id, what.name)


def is_running(machine: Machine) -> bool:
    """Whether its process lives; reaps it if it was our child."""
    if machine.child is not None:
        return machine.child.poll() is None
    process = machine.process
    try:
        return process is not None and process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
