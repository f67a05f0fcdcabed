"""What a client of a transform group is made with."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """`routes` is the Provisioner's `host:port`; `tls_dir` holds our identity; `folder` the last copy of the routes."""

    group: str
    routes: str
    tls_dir: Path  # ca.pem, cert.pem, key.pem
    folder: Path
    zone: str = ""  # ours; empty: all zones are alike
