"""Loss audits as nodes report them, and what comparing two points of a pipeline gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.observer.domain.loss import Comparison


@dataclass(frozen=True, slots=True)
class AuditPoint:
    """A place in a pipeline where ids are seen; `point` is `in` or `out`."""

    stage: str
    point: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """One node's cumulative sketch of one event-time minute at one point."""

    id: str
    node: str
    pipeline: str
    at: AuditPoint
    minute: int
    sketch: bytes
    count: int
    watermark: float
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditComparison:
    """`source` None: nobody reported at the source; `compared` None: nobody reported at the target."""

    source: float | None
    compared: Comparison | None
    nodes: tuple[str, ...] = ()  # who reported at the target
