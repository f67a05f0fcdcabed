"""A red plan made small: take events away while the same invariant still breaks (ddmin), then make what is left milder.

Delta debugging after Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tests.sim.plan import Event, Plan
from tests.sim.run import run

RUNS_MAX = 400
BUDGET_S = 240.0
AFTER_S = 60.0  # a plan that ended early goes on so much longer than it did: shorter ones break a little later
HALVED = ("for_s", "lost", "late", "twice", "failed", "unheard", "slow", "steps")


@dataclass
class Shrinker:
    """`runs` counts what it took; it looks for smaller ones until `runs_max` or `budget_s` is used up, by `now`.

    `kept` is told of each smaller plan at once, so that whoever interrupts it loses nothing.
    """

    breaks: str
    runs_max: int = RUNS_MAX
    budget_s: float = BUDGET_S
    now: Callable[[], float] = time.monotonic
    kept: Callable[[Plan], None] = lambda _: None
    runs: int = 0
    _until_s: float = field(default=0.0, init=False)

    @property
    def spent(self) -> bool:
        """Whether nothing more may be tried."""
        return self.runs >= self.runs_max or self.now() >= self._until_s

    def still(self, plan: Plan) -> bool:
        """Whether the plan breaks the same invariant."""
        if self.spent:
            return False
        self.runs += 1
        broke = self.breaks_it(plan)
        if broke:
            self.kept(replace(plan, breaks=self.breaks))
        return broke

    def breaks_it(self, plan: Plan) -> bool:
        """One run."""
        return run(plan).broke == self.breaks

    def shrink(self, plan: Plan, broke_at_s: float) -> Plan:
        """The smallest plan found that still breaks it."""
        self._until_s = self.now() + self.budget_s
        plan = self._shortened(plan, broke_at_s)
        plan = plan.with_events(tuple(self._minimal(plan.events, lambda e: self.still(plan.with_events(tuple(e))))))
        plan = self._milder(plan)
        for tamer in (replace(plan, shuffle=0.0), replace(plan, shuffle=0.0, quantum_s=0.0)):
            if tamer != plan and self.still(tamer):
                plan = tamer
        return replace(plan, breaks=self.breaks)

    def _shortened(self, plan: Plan, broke_at_s: float) -> Plan:
        """What comes after the break has no part in it, and need not be lived through with each try."""
        events = tuple(e for e in plan.events if float(e["at"]) <= broke_at_s)
        shorter = replace(plan, events=events, horizon_s=min(plan.horizon_s, broke_at_s + AFTER_S))
        return shorter if shorter != plan and self.still(shorter) else plan

    def _minimal(self, events: Sequence[Event], breaks: Callable[[Sequence[Event]], bool]) -> Sequence[Event]:
        """Without any chunk that may go, down to single events."""
        parts = 2
        while len(events) >= 2 and not self.spent:
            size = max(1, len(events) // parts)
            for start in range(0, len(events), size):
                rest = [*events[:start], *events[start + size :]]
                if rest and breaks(rest):
                    events, parts = rest, max(2, parts - 1)
                    break
            else:
                if size == 1:
                    return events
                parts = min(len(events), parts * 2)
        return events

    def _milder(self, plan: Plan) -> Plan:
        """Halve each number once while it still breaks."""
        for index, event in enumerate(plan.events):
            for key in HALVED if not self.spent else ():
                value = event.get(key)
                if not isinstance(value, int | float) or isinstance(value, bool) or value <= 1e-3:
                    continue
                half = value // 2 if isinstance(value, int) else round(value / 2, 3)
                if half == value or (key == "steps" and half < 1):
                    continue
                events = list(plan.events)
                events[index] = {**events[index], key: half}
                if self.still(milder := plan.with_events(tuple(events))):
                    plan = milder
        return plan
