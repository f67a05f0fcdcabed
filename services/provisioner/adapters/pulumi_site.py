"""Where Pulumi keeps its state, and how the engine is told."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PulumiSite:
    """Where Pulumi lives; `backend` is an absolute URL; `passphrase` protects a stack's secrets (there are none)."""

    root: Path
    backend: str
    passphrase: str
    directory: Path
    plugins: Path | None = None

    @property
    def folder(self) -> Path | None:
        """Of a backend that is a folder of files; None of any other."""
        return Path(self.backend.removeprefix("file://")) if self.backend.startswith("file://") else None

    @property
    def url(self) -> str:
        """As the engine is given it: no sidecars, which it writes in place: killed then, it could not read its state again.

        The state itself is copied to `.bak` and then replaced by a rename: killed at any moment, there is a whole one.
        """
        return f"{self.backend}?metadata=skip" if self.folder else self.backend
