"""Invariants of sizes: by whose leave they are set, how small, and whether they keep up with the load."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.autoscaler.domain.group import Reservation
from services.autoscaler.domain.records import Intent
from tests.sim.invariants.base import Invariant, LedgerState

NODES_MIN, NODES_MAX = 2, 12
NODE_RATE = 50.0
SETTLED_S = 1_200.0
GROWTH_S = 300.0  # by then the largest fleet is in service, whatever was wrong before
WORKED_OFF_S = 120.0  # what the largest fleet works off within, leaves the time to shrink again
SURPLUS = 2.0  # at the end of a quiet time a group has at most so many times what it needs, and two more


@dataclass(frozen=True, slots=True)
class Resize:
    """SetDesiredCapacity as it takes effect; `ill` is what is wrong with the group or its sources.

    `arrival` is the least of the last 45 s: a decision is made from what was measured before, and holds for 30 s.
    `peak` is the most of the last four minutes that lasted for longer than nobody may look.
    """

    group: str
    asg: str
    before: int
    wanted: int
    arrival: float
    backlog: float
    intents: Sequence[Intent]  # written down and without a result
    ill: tuple[str, ...]
    least: int = NODES_MIN
    most: int = NODES_MAX
    reservations: Sequence[Reservation] = ()  # of its group
    arrival_now: float = 0.0
    peak: float = 0.0
    elsewhere: int = 0  # nodes in service in its group's other fleets that take traffic


@dataclass(frozen=True, slots=True)
class SizesAtEnd:
    """(desired, in service, arrival, backlog) of each group when the run is over; and what waited at the healing."""

    healed_for_s: float
    groups: Mapping[str, tuple[int, int, float, float]]
    waited: Mapping[str, float]
    pipelines: Sequence[frozenset[str]]  # groups of one pipeline shrink only while all of it is well

    def waited_beside(self, group: str) -> float:
        """The largest backlog at the healing of the group and of those that share a pipeline with it."""
        beside = {group}.union(*(p for p in self.pipelines if group in p))
        return max(self.waited[g] for g in beside)


class WithinBounds(Invariant):
    """A size is what the group allows."""

    sentence = "Desired capacity is never set below the group's least nor above its most."

    def resized(self, resize: Resize, ledger: LedgerState, now: float) -> None:
        if not resize.least <= resize.wanted <= resize.most:
            self.broken(f"{resize.asg} was set to {resize.wanted}, the group allows {resize.least} to {resize.most}")


class IntentFirst(Invariant):
    """Whatever changes the world is written down before."""

    sentence = "Every size that is set stands in an intent row with its token, written before the call."

    def resized(self, resize: Resize, ledger: LedgerState, now: float) -> None:
        if not any(i.asg == resize.asg and i.wanted == resize.wanted for i in resize.intents):
            self.broken(f"{resize.asg} was set to {resize.wanted} and no open intent says so")


class SizedUnderLease(Invariant):
    """Nobody sizes a group without leave."""

    sentence = "A size takes effect, also one that changes nothing, while a lease lives whose token its intent shows."

    def resized(self, resize: Resize, ledger: LedgerState, now: float) -> None:
        for i in resize.intents:
            a = ledger.activities.get(i.activity)
            held = a is not None and a.token == i.token and a.live(now)
            if held and i.asg == resize.asg and i.wanted == resize.wanted:
                return
        self.broken(f"{resize.asg} was set to {resize.wanted} under no living lease")


class ShrinksUnderScaleIn(Invariant):
    """Growth needs no leave that shrinking has not."""

    sentence = "A fleet gets smaller only while a SCALE_IN of its group is live, or a rollout that reserved the rest."

    def resized(self, resize: Resize, ledger: LedgerState, now: float) -> None:
        if resize.wanted >= resize.before:
            return
        self.record.reach("resize in")
        kinds = {"SCALE_IN", "DEPLOY", "ROLLBACK"} if resize.reservations else {"SCALE_IN"}
        if not any(a.kind.value in kinds and a.scope.name == resize.group for a in ledger.live(now)):
            self.broken(f"{resize.asg} shrinks from {resize.before} to {resize.wanted} without a SCALE_IN")


class CapacityFloor(Invariant):
    """No step leaves less capacity than is needed."""

    sentence = "No fleet is set so small that its group has less than its load has needed for a while."

    def resized(self, resize: Resize, ledger: LedgerState, now: float) -> None:
        needed = resize.arrival / NODE_RATE
        left = resize.wanted + resize.elsewhere
        if resize.wanted < resize.before and left < needed * 0.8:
            self.broken(
                f"{resize.asg} was set to {resize.wanted} nodes, {left} in all, and the load needs {needed:.1f}"
            )


class WindowHolds(Invariant):
    """What was needed a moment ago may be needed again in a moment."""

    sentence = "Outside of a rollout no fleet is set below what its group has long needed within the last four minutes."

    def resized(self, resize: Resize, ledger: LedgerState, now: float) -> None:
        if resize.wanted >= resize.before or resize.reservations:
            return
        needed, left = resize.peak / NODE_RATE, resize.wanted + resize.elsewhere
        if left < min(resize.most, needed) * 0.8:
            self.broken(f"{resize.asg} was set to {resize.wanted} and {needed:.1f} were needed a moment ago")


class KeepsUp(Invariant):
    """In the end the size fits the load; a backlog takes the time that the largest fleet needs for it."""

    sentence = (
        "After long enough quiet, what waited is worked off, and no group of a pipeline that is well is far too large."
    )

    def settled(self, end: SizesAtEnd) -> None:
        if end.healed_for_s < SETTLED_S:
            return
        for group, (desired, in_service, arrival, backlog) in end.groups.items():
            needed = arrival / NODE_RATE
            spare = NODES_MAX * NODE_RATE - arrival
            left = end.waited[group] - spare * (end.healed_for_s - GROWTH_S)
            if backlog > max(100.0, 10 * arrival, left):
                self.broken(
                    f"{group}: {backlog:.0f} events wait, {in_service} of {desired} nodes serve {arrival:.0f}/s"
                )
            if end.waited_beside(group) > spare * WORKED_OFF_S:
                self.record.reach("a backlog that takes the largest fleet long")
            elif desired > max(NODES_MIN, needed * SURPLUS + 2):
                self.broken(f"{group}: {desired} nodes for a load that needs {needed:.1f}")
