"""What the invariants of workflows look at: one play of one workflow, when everything in it has ended."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.sim.temporal.playing import Play
from tests.workflows.world import World


@dataclass(frozen=True)
class Played:
    """`outcome` is the workflow's own; `excused` names activities that were failed for good on purpose."""

    kind: str
    outcome: str
    text: str
    world: World
    play: Play
    problems: Sequence[str]
    excused: frozenset[str] = frozenset()

    @property
    def with_traffic(self) -> list[str]:
        """Fleets that serve."""
        return sorted(name for name, fleet in self.world.fleets.items() if fleet.weight > 0)

    @property
    def undo_failed(self) -> bool:
        """It said so itself: an undo, or the rollback, was failed for good."""
        return "could not be undone" in self.text or "rollback:" in self.text
