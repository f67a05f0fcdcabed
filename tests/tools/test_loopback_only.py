import socket

import pytest

from tests.loopback_only import NotLoopbackError, is_loopback


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_only_loopback_is_allowed(host: str, allowed: bool) -> None:
    assert is_loopback(host) is allowed


def test_leaving_the_machine_fails_with_the_address() -> None:
    with socket.socket() as one, pytest.raises(NotLoopbackError, match=r"192\.0\.2\.1:80"):
        one.connect(("192.0.2.1", 80))


def test_looking_up_a_name_fails() -> None:
    with pytest.raises(NotLoopbackError, match=r"example\.org"):
        socket.getaddrinfo("example.org", 80)


def test_loopback_works() -> None:
    with socket.socket() as listener, socket.socket() as one:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        one.connect(listener.getsockname())
        assert one.getpeername() == listener.getsockname()
