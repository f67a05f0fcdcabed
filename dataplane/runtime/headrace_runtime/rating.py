"""Finds the highest rate at which a promise holds, from steps of load that are noisy near it.

Up to the first step that breaks the promise the rate grows geometrically. From then on every step is evidence about
where the knee lies: a belief over rates (on a logarithmic grid) is weighed by each answer, which is right with
probability TRUST, and the next step is at its median: probabilistic bisection (Horstein 1963; Waeber, Frazier and
Henderson 2013). So one lucky or unlucky step does not decide, and the belief's quantiles are the interval that is
reported with the rate. Pure: what to do next follows from the steps so far.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

GROWTH = 1.6  # from step to step, until one fails
TRUST = 0.85  # that a step's answer is on the right side
GRID = 400
SHARE = 0.9  # of the belief, inside the interval
WIDTH = 0.10  # of the rate: the interval is narrow enough
QUANTILE = 0.95  # of the latencies, that is promised
KEPT_UP = 0.95  # of the offered rate, answered: below it a queue grows
STEPS_MAX = 24
RATE_MAX = 10_000_000.0


@dataclass(frozen=True, slots=True)
class Step:
    """What was seen at one rate: messages/s, seconds, a share."""

    wanted: float
    offered: float  # what the driver really sent
    answered: float
    latency_s: float  # the promised quantile
    errors: float  # share of the messages that failed or were turned away


@dataclass(frozen=True, slots=True)
class Promise:
    """What must hold."""

    latency_s: float
    errors_max: float


@dataclass(frozen=True, slots=True)
class Probe:
    """Drive this rate next."""

    rate: float


@dataclass(frozen=True, slots=True)
class Rating:
    """Messages/s that hold the promise, with the interval; `note` says when it is a bound only."""

    rate: float
    low: float
    high: float
    steps: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """What came of the counted messages of a step: `latencies` have one for each call, or for each message."""

    messages: int
    answered: int
    failed: int  # answered, with an error
    latencies: Sequence[float]
    sent_s: float  # how long sending took
    took_s: float  # how long answering took


def step_of(wanted: float, counts: Counts, promise: Promise, give_up_s: float) -> Step:
    """What was seen; a call that got no answer counts as one that took `give_up_s`.

    >>> step_of(100, Counts(100, 100, 1, [0.1] * 100, 1.0, 1.1), Promise(0.2, 0.01), 1.0)
    Step(wanted=100, offered=100, answered=90.9090909090909, latency_s=0.1, errors=0.01)
    """
    ordered = sorted(counts.latencies) or [give_up_s]
    sent_s, took_s = max(counts.sent_s, 1e-9), max(counts.took_s, 1e-9)
    return Step(
        wanted=wanted,
        offered=min(wanted, counts.messages / sent_s),
        answered=min(wanted, counts.answered / min(took_s, sent_s + promise.latency_s)),
        latency_s=ordered[min(len(ordered) - 1, int(QUANTILE * len(ordered)))],
        errors=min(1.0, (counts.messages - counts.answered + counts.failed) / counts.messages),
    )


def holds(step: Step, promise: Promise) -> bool:
    """Whether the promise held.

    >>> promise = Promise(latency_s=0.2, errors_max=0.01)
    >>> holds(Step(100, 100, 99, 0.1, 0.0), promise), holds(Step(100, 100, 80, 0.1, 0.0), promise)
    (True, False)
    """
    kept_up = step.answered >= KEPT_UP * step.offered
    return kept_up and step.latency_s <= promise.latency_s and step.errors <= promise.errors_max


def decide(steps: Sequence[Step], promise: Promise, first: float) -> Probe | Rating:
    """What comes after these steps; `first` is the first rate.

    >>> decide([], Promise(0.2, 0.01), first=100.0)
    Probe(rate=100.0)
    """
    if not steps:
        return Probe(first)
    last = steps[-1]
    if last.offered < KEPT_UP * last.wanted:
        return Rating(
            last.offered, last.offered, RATE_MAX, len(steps), "a lower bound: the load could not be driven higher"
        )
    held = [holds(s, promise) for s in steps]
    if len(steps) >= STEPS_MAX and all(held):
        return Rating(last.wanted, last.wanted, RATE_MAX, len(steps), "a lower bound: every step held")
    if len(steps) >= STEPS_MAX and not any(held):
        return Rating(0.0, 0.0, last.wanted, len(steps), "the promise holds at no rate that was tried")
    if all(held):
        return Probe(min(RATE_MAX, max(s.wanted for s in steps) * GROWTH))
    if not any(held):
        return Probe(min(s.wanted for s in steps) / GROWTH)
    belief = Belief.of(steps, held)
    low, middle, high = (belief.quantile(q) for q in ((1 - SHARE) / 2, 0.5, (1 + SHARE) / 2))
    if high - low <= WIDTH * middle or len(steps) >= STEPS_MAX:
        return Rating(middle, low, high, len(steps), "" if high - low <= 2 * WIDTH * middle else "the steps disagree")
    return Probe(middle)


@dataclass(frozen=True, slots=True)
class Belief:
    """How likely the knee lies at each rate of the grid."""

    rates: tuple[float, ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, steps: Sequence[Step], held: Sequence[bool]) -> "Belief":
        """From an even belief over all rates near those that were tried."""
        low = math.log(min(s.wanted for s in steps) / GROWTH)
        high = math.log(max(s.wanted for s in steps) * GROWTH)
        rates = tuple(math.exp(low + (high - low) * (i + 0.5) / GRID) for i in range(GRID))
        weights = [1.0] * GRID
        for step, ok in zip(steps, held, strict=True):
            weights = [
                w * (TRUST if (rate >= step.wanted) == ok else 1 - TRUST)
                for rate, w in zip(rates, weights, strict=True)
            ]
            total = sum(weights)
            weights = [w / total for w in weights]
        return cls(rates, tuple(weights))

    def quantile(self, share: float) -> float:
        """The rate below which so much of the belief lies."""
        below = 0.0
        for rate, weight in zip(self.rates, self.weights, strict=True):
            below += weight
            if below >= share:
                return rate
        return self.rates[-1]


def change(before: Rating, now: Rating) -> str:
    """How a rating differs from an earlier one, in words.

    >>> change(Rating(100, 95, 105, 9), Rating(150, 140, 160, 9))
    '50 % more: 100 -> 150 messages/s'
    >>> change(Rating(100, 95, 105, 9), Rating(103, 98, 108, 9))
    'no change that the intervals show: 100 [95, 105] -> 103 [98, 108] messages/s'
    """
    if before.low <= now.high and now.low <= before.high:
        spans = (
            f"{before.rate:.0f} [{before.low:.0f}, {before.high:.0f}] -> {now.rate:.0f} [{now.low:.0f}, {now.high:.0f}]"
        )
        return f"no change that the intervals show: {spans} messages/s"
    more = now.rate > before.rate
    percent = abs(now.rate - before.rate) / before.rate * 100 if before.rate else math.inf
    return f"{percent:.0f} % {'more' if more else 'less'}: {before.rate:.0f} -> {now.rate:.0f} messages/s"
