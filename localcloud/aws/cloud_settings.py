"""How an embedded AWS is to be, as its command line says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.aws.boot_time import BootTime
from localcloud.aws.iam.access import OFF


@dataclass(slots=True, frozen=True)
class CloudSettings:
    """How the cloud is to be."""

    endpoint: str
    region: str = "us-east-1"
    machines: str = "virtual"
    boot: BootTime = field(default_factory=BootTime)
    read_delay_s: float = 0.0
    throttled: bool = False  # by the buckets that AWS has published
    state: Path | None = None
    node_command: tuple[str, ...] = ()
    node_path: Mapping[str, str] = field(default_factory=dict)  # PATH and the like, for machines
    seed: int | None = None
    iam: str = OFF
    root: tuple[str, str] | None = None  # access key and secret of the account itself
