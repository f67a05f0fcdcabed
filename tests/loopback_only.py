"""No test reaches beyond this machine: a connection to any address that is not loopback fails, and says which.

An audit hook sees every connection that Python opens, whoever opens it.
"""

import ipaddress
import sys


class NotLoopbackError(OSError):
    """A test tried to leave the machine."""


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and not is_loopback(str(address[0])):
            raise NotLoopbackError(
                f"a test tried to connect to {address[0]}:{address[1]}; only loopback is open in tests"
            )
    elif event == "socket.getaddrinfo":
        host = arguments[0]
        if (
            isinstance(host, (str, bytes))
            and host
            and not is_loopback(host if isinstance(host, str) else host.decode())
        ):
            raise NotLoopbackError(f"a test tried to look up {host!r}; only loopback is open in tests")


def is_loopback(host: str) -> bool:
    """Whether a host or address stays on this machine."""
    if host in {"localhost", "", "0.0.0.0", "::"}:  # the last two are listeners' addresses
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


sys.addaudithook(_audit)
