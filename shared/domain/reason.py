"""One record for every "why": shown alike by API, CLI, UI and audit log."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Compared:
    """A number that was compared: `value op limit`, e.g. lag_p95_s 7.2 <= 5."""

    name: str
    value: float
    op: str
    limit: float
    unit: str = ""

    def __str__(self) -> str:
        """`lag_p95_s 7.2 s (needs <= 5 s)`."""
        return f"{self.name} {self.value:g}{self.unit and ' ' + self.unit} (needs {self.op} {self.limit:g})"


@dataclass(frozen=True, slots=True)
class Remedy:
    """Something a person can do about it."""

    text: str
    cli: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is so; `code` is CamelCase and stable, `text` a sentence for people."""

    code: str
    scope: str
    text: str
    compared: tuple[Compared, ...] = ()
    since: datetime | None = None
    retry_after_s: float | None = None
    remedy: tuple[Remedy, ...] = ()
