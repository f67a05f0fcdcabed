"""What must always hold: each invariant is a class with a sentence, told of what happens through the hooks it has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from services.observer.domain.activities import Activity, Waiting
from services.observer.domain.quieting import QuietWindow
from services.observer.domain.topology import Topology
from services.observer.domain.verdict import Verdict
from shared.domain.scope import Scope
from tests.sim.kernel.record import Record
from tests.sim.kernel.rpc import Call


class Violated(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, at_s: float, what: str) -> None:
        super().__init__(f"{invariant} at {at_s:.3f} s: {what}")
        self.invariant, self.at_s, self.what = invariant, at_s, what


@dataclass(frozen=True, slots=True)
class LedgerState:
    """The admission ledger at one instant."""

    activities: Mapping[Any, Activity]
    waiting: Mapping[Any, Waiting]
    windows: Mapping[Any, QuietWindow]
    topology: Topology

    def live(self, now: float) -> list[Activity]:
        """What is held, oldest first."""
        return sorted((a for a in self.activities.values() if a.live(now)), key=lambda a: a.token)


@dataclass(frozen=True)  # no slots: what is new and what differs is worked out once, for all that ask
class Commit:
    """One committed change of the ledger; `call` is the RPC that made it, if one did."""

    now: float  # the store's time
    before: LedgerState
    after: LedgerState
    call: Call | None

    @cached_property
    def granted(self) -> list[Activity]:
        """New activities."""
        return [a for i, a in self.after.activities.items() if i not in self.before.activities]

    @cached_property
    def changed(self) -> list[tuple[Activity, Activity]]:
        """(before, after) of activities that are different now."""
        known = self.before.activities
        return [(known[i], a) for i, a in self.after.activities.items() if i in known and known[i] is not a]


@dataclass(frozen=True, slots=True)
class Write:
    """A holder's call that changes the cloud, which checks no token."""

    holder: str
    activity: str
    token: int
    kind: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class End:
    """How things stand when the run is over."""

    now: float
    ledger: LedgerState
    unfinished: Sequence[str]  # intentions that came to no end
    healed_for_s: float


class Invariant:
    """Hooks are looked up once: those that a class does not override cost nothing."""

    sentence: ClassVar[str] = ""

    def __init__(self, record: Record) -> None:
        self.record = record

    @property
    def name(self) -> str:
        """As reports and plan files spell it."""
        return type(self).__name__

    def broken(self, what: str) -> None:
        """Say that it does not hold."""
        raise Violated(self.name, self.record.now(), what)

    def committed(self, commit: Commit) -> None:
        """The ledger changed."""

    def answered(self, call: Call, response: Any) -> None:
        """A server is about to answer."""

    def heard(self, intention: str, request_id: str, answer: Any) -> None:
        """A client got the answer to its Begin."""

    def writes(self, write: Write, ledger: LedgerState, now: float) -> None:
        """A holder is about to touch the cloud."""

    def landed(self, write: Write, ledger: LedgerState, now: float) -> None:
        """The cloud did what was asked."""

    def judged(self, writer: str, before: Mapping[Scope, Verdict], after: Mapping[Scope, Verdict]) -> None:
        """Current verdicts were written by one life of a process."""

    def ended(self, end: End) -> None:
        """The run is over."""

    def resized(self, resize: Any, ledger: LedgerState, now: float) -> None:
        """A size takes effect in the cloud."""

    def settled(self, end: Any) -> None:
        """The run is over, and these are the sizes."""

    def served(self, served: Any) -> None:
        """A group answered, or did not, for some seconds."""

    def removing(self, removal: Any) -> None:
        """A fleet is about to go."""

    def ramped(self, ramping: Any, ledger: LedgerState, now: float) -> None:
        """A pipeline takes another share of its traffic."""

    def rested(self, rest: Any) -> None:
        """The run is over, and so is everything that was asked for."""


HOOKS = (
    "committed", "answered", "heard", "writes", "landed", "judged", "ended", "resized", "settled", "served", "removing",
    "ramped", "rested",
)  # fmt: skip


class Watch:
    """Tells every invariant what it wants to know; the first that breaks ends the run."""

    def __init__(self, invariants: Sequence[Invariant], fail: Callable[[BaseException], None]) -> None:
        self.invariants, self._fail = invariants, fail
        self._told: dict[str, list[Callable[..., None]]] = {
            hook: [getattr(i, hook) for i in invariants if getattr(type(i), hook) is not getattr(Invariant, hook)]
            for hook in HOOKS
        }

    def tell(self, hook: str, *what: Any) -> None:
        """What happened."""
        try:
            for invariant in self._told[hook]:
                invariant(*what)
        except Violated as v:
            self._fail(v)
