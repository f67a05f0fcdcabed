"""Revisions: what a group runs, immutable and numbered; two of the same content are the same version.

A version that was judged bad, or that a person called bad, stays bad under any number: it is deployed again only by
somebody who says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.names import FleetId, GroupName, RevisionNumber, fleet_id

FIRST = RevisionNumber(1)


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something immutable in the bundle store."""

    url: str
    sha256: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Revision:
    """One deployable version of a group."""

    group: GroupName
    number: RevisionNumber
    environment: Artifact | None = None
    code: Artifact | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def fleet(self) -> FleetId:
        """The fleet that runs it."""
        return fleet_id(self.group, self.number)

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """What a node fetches for it."""
        return tuple(a for a in (self.environment, self.code) if a is not None)

    def same_content(self, other: "Revision") -> bool:
        """Whether nodes would run the same, whatever the number."""
        return (
            _digest(self.environment) == _digest(other.environment)
            and _digest(self.code) == _digest(other.code)
            and dict(self.variables) == dict(other.variables)
        )


@dataclass(frozen=True, slots=True)
class RevisionRecord:
    """A revision and what became of it; `made_at` is seconds since the epoch."""

    revision: Revision
    made_at: float
    bad: bool = False
    bad_reason: str = ""


def next_number(known: Sequence[RevisionRecord]) -> RevisionNumber:
    """One more than the highest; numbers are never used twice.

    >>> next_number([])
    1
    """
    return RevisionNumber(max((r.revision.number for r in known), default=FIRST - 1) + 1)


def marked_bad(wanted: Revision, known: Sequence[RevisionRecord]) -> RevisionRecord | None:
    """The newest bad revision of the same content."""
    bad = [r for r in known if r.bad and r.revision.same_content(wanted)]
    return max(bad, key=lambda r: r.revision.number, default=None)


def _digest(artifact: Artifact | None) -> str:
    return artifact.sha256 if artifact is not None else ""
