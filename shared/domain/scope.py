"""What a verdict or an activity is about: `system`, `pipeline/<name>`, `stage/<pipeline>/<stage>`, `group/<name>`."""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.errors import InvalidInput
from shared.domain.names import GroupName, PipelineName, StageName, checked_name


class ScopeKind(StrEnum):
    """The four kinds, widest first."""

    SYSTEM = "system"
    PIPELINE = "pipeline"
    STAGE = "stage"
    GROUP = "group"


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """A scope; `str()` is its wire form.

    >>> str(Scope.parse("stage/departures/normalize"))
    'stage/departures/normalize'
    """

    kind: ScopeKind
    names: tuple[str, ...] = ()

    def __hash__(self) -> int:
        """Scopes are the keys of nearly everything: by the names alone, because an enum's hash is slow."""
        return hash(self.names)

    def __str__(self) -> str:
        """`kind/name[/name]`."""
        return "/".join((self.kind, *self.names))

    @property
    def name(self) -> str:
        """The last name, or `system`."""
        return self.names[-1] if self.names else self.kind.value

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Read the wire form; InvalidInput names what is wrong."""
        kind, *names = text.split("/")
        wanted = {"system": 0, "pipeline": 1, "stage": 2, "group": 1}.get(kind)
        if wanted is None or len(names) != wanted:
            raise InvalidInput(
                f"scope: {text!r} is not a scope",
                field="scope",
                remedy="use system, pipeline/<name>, stage/<pipeline>/<stage> or group/<name>",
            )
        return cls(ScopeKind(kind), tuple(checked_name(n, "scope") for n in names))


SYSTEM = Scope(ScopeKind.SYSTEM)


def group_scope(name: GroupName) -> Scope:
    """`group/<name>`."""
    return Scope(ScopeKind.GROUP, (name,))


def pipeline_scope(name: PipelineName) -> Scope:
    """`pipeline/<name>`."""
    return Scope(ScopeKind.PIPELINE, (name,))


def stage_scope(pipeline: PipelineName, stage: StageName) -> Scope:
    """`stage/<pipeline>/<stage>`."""
    return Scope(ScopeKind.STAGE, (pipeline, stage))
