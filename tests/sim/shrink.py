"""A red plan made small: take events away while the same invariant still breaks (ddmin), then make what is left milder.

Delta debugging after Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.sim.plan import Event, Plan
from tests.sim.run import Outcome, run

RUNS_MAX = 400
HALVED = ("for_s", "lost", "late", "twice", "failed", "unheard", "slow", "steps")


@dataclass
class Shrinker:
    """`runs` counts what it took; it gives up looking for smaller ones after `runs_max`."""

    breaks: str
    runs_max: int = RUNS_MAX
    runs: int = 0

    def still(self, plan: Plan) -> bool:
        """Whether the plan breaks the same invariant."""
        if self.runs >= self.runs_max:
            return False
        self.runs += 1
        return run(plan).broke == self.breaks

    def shrink(self, plan: Plan) -> Plan:
        """The smallest plan found that still breaks it."""
        outcome = run(plan)
        plan = self._shortened(plan, outcome)
        plan = plan.with_events(tuple(self._minimal(plan.events, lambda e: self.still(plan.with_events(tuple(e))))))
        plan = self._milder(plan)
        for tamer in (replace(plan, shuffle=0.0), replace(plan, shuffle=0.0, quantum_s=0.0)):
            if tamer != plan and self.still(tamer):
                plan = tamer
        return replace(plan, breaks=self.breaks)

    def _shortened(self, plan: Plan, outcome: Outcome) -> Plan:
        """What comes after the break has no part in it."""
        lines = [e for e in plan.events if float(e["at"]) <= _broke_at(outcome)]
        shorter = plan.with_events(tuple(lines))
        return shorter if len(lines) < len(plan.events) and self.still(shorter) else plan

    def _minimal(self, events: Sequence[Event], breaks: Callable[[Sequence[Event]], bool]) -> Sequence[Event]:
        """Without any chunk that may go, down to single events."""
        parts = 2
        while len(events) >= 2 and self.runs < self.runs_max:
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
            for key in HALVED:
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


def _broke_at(outcome: Outcome) -> float:
    return outcome.at_s if outcome.broke else outcome.plan.horizon_s
