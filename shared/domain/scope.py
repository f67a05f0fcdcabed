"""What a verdict or an activity is about: `system`, `pipeline/<name>`, `stage/<pipeline>/<stage>`, `group/<name>`."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

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
        return _parsed(text)


# The same scopes are asked for again and again, and make the keys of nearly everything: an equal one that is the same
# one is found in a dictionary without being compared.
SCOPES_KEPT = 4096


@lru_cache(SCOPES_KEPT)
def _parsed(text: str) -> Scope:
    kind, *names = text.split("/")
    wanted = {"system": 0, "pipeline": 1, "stage": 2, "group": 1}.get(kind)
    if wanted is None or len(names) != wanted:
        raise InvalidInput(
            f"scope: {text!r} is not a scope",
            field="scope",
            remedy="use system, pipeline/<name>, stage/<pipeline>/<stage> or group/<name>",
        )
    checked = [checked_name(n, "scope") for n in names]
    match kind:
        case "group":
            return _group(*checked)
        case "pipeline":
            return _pipeline(*checked)
        case "stage":
            return _stage(*checked)
        case _:
            return SYSTEM


@lru_cache(SCOPES_KEPT)
def _group(name: str) -> Scope:
    return Scope(ScopeKind.GROUP, (name,))


@lru_cache(SCOPES_KEPT)
def _pipeline(name: str) -> Scope:
    return Scope(ScopeKind.PIPELINE, (name,))


@lru_cache(SCOPES_KEPT)
def _stage(pipeline: str, stage: str) -> Scope:
    return Scope(ScopeKind.STAGE, (pipeline, stage))


SYSTEM = Scope(ScopeKind.SYSTEM)


def group_scope(name: GroupName) -> Scope:
    """`group/<name>`."""
    return _group(name)


def pipeline_scope(name: PipelineName) -> Scope:
    """`pipeline/<name>`."""
    return _pipeline(name)


def stage_scope(pipeline: PipelineName, stage: StageName) -> Scope:
    """`stage/<pipeline>/<stage>`."""
    return _stage(pipeline, stage)
