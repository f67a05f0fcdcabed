"""The user that users' code runs as: one of its own for each node of a machine, without an entry anywhere.

A number of the range that systemd keeps for such users. An abstract socket of that name is the claim on it: the kernel
lets one process hold it, and frees it however that process ends.
"""

import os
import signal
import socket
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from shared.domain.errors import Unavailable

FIRST, LAST = 61184, 65519  # systemd's range for dynamic users; packer's firewall rule names it too
TRIES_MAX = 64
GONE_S_MAX, GONE_EVERY_S = 5.0, 0.02
ROUNDS_MAX = 50  # of killing: each leaves fewer, as what is stopped cannot fork


class Account:
    """As root a claimed number; otherwise the agent's own, and nothing is claimed."""

    def __init__(self, node: str) -> None:
        """The number follows from the node's name, so that a node started again finds what it left running."""
        self.uid: int | None = None
        self._claim: socket.socket | None = None
        if os.geteuid() != 0:
            return
        start = int.from_bytes(sha256(node.encode()).digest()[:8], "big")
        for n in range(TRIES_MAX):
            uid = FIRST + (start + n) % (LAST - FIRST + 1)
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                claim.bind(f"\0headrace-users-{uid}")
            except OSError:
                claim.close()
                continue
            self.uid, self._claim = uid, claim
            return
        raise Unavailable(f"users of this machine: {TRIES_MAX} numbers from {FIRST} on are taken")

    def end_all(self) -> int:
        """Kill every process of this user, also those that left their session; how many there were.

        Returns when they are gone from the table too, or after some seconds: the dead whom nobody has waited for yet
        count towards the user's limit, and a server that is started beside them gets no threads.
        """
        if self.uid is None:
            return 0
        ended: set[int] = set()
        for _ in range(ROUNDS_MAX):
            found = self.processes()
            for sig in (signal.SIGSTOP, signal.SIGKILL):  # first none of them can start another
                for pid in found:
                    try:
                        os.kill(pid, sig)
                    except ProcessLookupError:
                        continue  # it has ended
            ended.update(found)
            if not found:
                break
        end = time.monotonic() + GONE_S_MAX
        while ended and any(self._processes(dead=True)) and time.monotonic() < end:
            time.sleep(GONE_EVERY_S)
        return len(ended)

    def processes(self) -> list[int]:
        """Every process of this user, wherever it hangs in the tree; none when it is the agent's own user."""
        return [] if self.uid is None else [*self._processes()]

    def release(self) -> None:
        """Give the number back."""
        if self._claim:
            self._claim.close()
            self._claim = None

    def _processes(self, *, dead: bool = False) -> Iterator[int]:
        for place in Path("/proc").iterdir():
            if not place.name.isdecimal():
                continue
            try:
                status = (place / "status").read_text()
            except OSError:
                continue  # it has ended
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            if int(fields["Uid"].split()[0]) == self.uid and (dead or not fields["State"].startswith(("Z", "X"))):
                yield int(place.name)
