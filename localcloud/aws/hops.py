"""How far an asker of the metadata service is from the machine: a container is one hop further than the machine itself.

EC2 sends the answer to a token request with the template's hop limit as its time to live, so that it does not get behind a bridge or a
proxy. Here machines are processes on loopback without bridges; what stands for "behind one more hop" is another user of this
computer than the machine's own: users' code, which a node runs as a user of its own. The kernel's table of connections says whose one is.
"""

import socket
import struct
from collections.abc import Iterable
from pathlib import Path

TABLE = Path("/proc/net/tcp")
LOCAL, REMOTE, UID = 1, 2, 7  # columns


def owner(rows: Iterable[str], client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """The user whose end of a connection is `client`; None when there is no such connection.

    >>> owner(["0: 0100007F:A1B2 0100007F:1388 01 0:0 00:0 0 1001 0 7"], ("127.0.0.1", 0xA1B2), ("127.0.0.1", 5000))
    1001
    """
    wanted = [in_table(*client), in_table(*server)]
    for row in rows:
        cells = row.split()
        if len(cells) > UID and cells[LOCAL : REMOTE + 1] == wanted:
            return int(cells[UID])
    return None


def in_table(address: str, port: int) -> str:
    """An address as the kernel's table has it.

    >>> in_table("127.0.0.1", 5000)
    '0100007F:1388'
    """
    (number,) = struct.unpack("=I", socket.inet_aton(address))
    return f"{number:08X}:{port:04X}"


def distance(machine_uid: int | None, client: tuple[str, int], server: tuple[str, int]) -> int:
    """Hops from the machine to the asker: 1 is the machine itself; a machine without a process is asked by itself only."""
    if machine_uid is None:
        return 1
    asker = owner(TABLE.read_text().splitlines(), client, server)
    return 1 if asker in {None, machine_uid} else 2
