"""Which loopback ports the stack listens on: below the range that the system gives to outgoing connections.

A port of that range could be taken by any client's connection between our choice and our bind.
"""

import errno
import random
import socket
from collections.abc import Container

FIRST = 20_000
LAST = 29_999
TRIES_MAX = 200
LOOPBACK = "127.0.0.1"


def choose(taken: Container[int] = ()) -> int:
    """A port that nobody listens on and that is not in `taken`."""
    for _ in range(TRIES_MAX):
        port = random.randint(FIRST, LAST)  # noqa: S311  any port will do
        if port not in taken and is_free(port):
            return port
    raise OSError(errno.EADDRINUSE, f"no free port between {FIRST} and {LAST} in {TRIES_MAX} tries")


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a listener could bind the port now."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError:
            return False
    return True


def answers(port: int, host: str = LOOPBACK, timeout_s: float = 0.5) -> bool:
    """Whether somebody accepts connections on the port."""
    with socket.socket() as one:
        one.settimeout(timeout_s)
        return one.connect_ex((host, port)) == 0
