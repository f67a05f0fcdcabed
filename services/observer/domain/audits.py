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
class AuditSpan:
    """What a pipeline's loss is looked for between: where events enter, and where they leave."""

    pipeline: str
    source: tuple[AuditPoint, ...]
    target: tuple[AuditPoint, ...]


@dataclass(frozen=True, slots=True)
class AuditProgress:
    """How far reports about a span have come: the minutes that have any, in order, and the watermark of the target.

    The watermark is the least of the latest ones of nodes; None when no node reported there.
    """

    minutes: tuple[int, ...]
    watermark: float | None


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
