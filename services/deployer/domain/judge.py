"""The judge: is the new fleet worse than the old one, over the same minutes, by more than chance and enough to matter?

Failures are counts, so they are compared by an exact test: were both fleets alike, then of all failures the new fleet's
part would be binomial with its part of the messages. A Fail needs three things at once: more than the SLO allows, worse
than the old fleet beyond chance, and worse by a minimum effect. Slowness is a ratio of mean seconds a message with a
minimum effect. Both bad is somebody else's fault: Inconclusive. Too little to see is NoData, and a failed query is
Error: neither rolls back, neither is a pass.
"""

from dataclasses import dataclass
from typing import Literal

from scipy.special import betainc

from shared.domain.names import FleetId, GroupName
from shared.domain.reason import Compared, Reason

Outcome = Literal["pass", "fail", "inconclusive", "no_data", "error"]
Advice = Literal["go_on", "hold", "roll_back"]


@dataclass(frozen=True, slots=True)
class FleetSample:
    """What one fleet did in the window; `processed` succeeded, `failed` did not."""

    fleet: FleetId
    processed: float = 0.0
    failed: float = 0.0
    seconds_per_message: float | None = None
    nodes: int = 0

    @property
    def messages(self) -> float:
        """Tried."""
        return self.processed + self.failed

    @property
    def error_ratio(self) -> float:
        """Failed of tried."""
        return self.failed / self.messages if self.messages > 0 else 0.0


@dataclass(frozen=True, slots=True)
class JudgePolicy:
    """Named numbers."""

    messages_min: float = 200.0  # fewer of the new fleet: NoData
    chance_max: float = 0.001  # of a difference as large, were both alike
    error_effect_min: float = 0.005  # new less old error ratio
    slow_ratio_max: float = 2.0  # new over old seconds a message
    slow_effect_s_min: float = 0.0005
    idle_after_s: float = 10.0  # without any message: nothing to judge
    little_after_s: float = 300.0  # with few messages and no failure: as much as will be known


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome, what a deployment does next, and the numbers that led to it."""

    outcome: Outcome
    advice: Advice
    reasons: tuple[Reason, ...]
    new: FleetSample | None = None
    old: FleetSample | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Who is judged, over how long, under which SLO."""

    group: GroupName
    window_s: float
    error_ratio_max: float


def judge(question: Question, new: FleetSample, old: FleetSample, policy: JudgePolicy | None = None) -> Judged:
    """Judge the new fleet against the old one."""
    policy = policy or JudgePolicy()
    scope = f"group/{question.group}"
    if new.messages < policy.messages_min:
        return _too_little(question, scope, new, old, policy)
    bound = question.error_ratio_max
    new_bad, old_bad = _breaks(new, bound, policy), _breaks(old, bound, policy)
    worse = _worse(new, old, policy)
    errors = _errors(scope, new, old, bound)
    if new_bad and worse:
        return Judged("fail", "roll_back", (errors, *_slow(scope, new, old, policy)), new, old)
    slow = _slow(scope, new, old, policy)
    if slow:
        return Judged("fail", "roll_back", slow, new, old)
    if new_bad and old_bad:
        text = (
            f"both fleets fail more than the SLO allows (new {new.error_ratio:.2%}, old {old.error_ratio:.2%}): "
            "the cause is not the new version alone"
        )
        return Judged("inconclusive", "hold", (Reason("BothBad", scope, text, errors.compared),), new, old)
    if new_bad:
        text = (
            f"{new.fleet} fails {new.error_ratio:.2%}, more than the SLO allows, and {old.fleet} did too little "
            f"({old.messages:.0f} messages) to say that it is worse"
        )
        return Judged("inconclusive", "hold", (Reason("NothingToCompare", scope, text, errors.compared),), new, old)
    return Judged("pass", "go_on", (_passed(scope, new, old),), new, old)


def unreadable(group: GroupName, why: str) -> Judged:
    """The measurements could not be read: never a pass, never a rollback."""
    text = f"measurements of {group} could not be read: {why}"
    return Judged("error", "hold", (Reason("MeasurementsUnreadable", f"group/{group}", text),))


def chance_of(new: FleetSample, old: FleetSample) -> float:
    """The chance that of all failures so many or more fall to the new fleet, were both fleets alike (exact, one-sided).

    >>> alike = chance_of(FleetSample(FleetId("a"), 990, 10), FleetSample(FleetId("b"), 990, 10))
    >>> alike > 0.4, chance_of(FleetSample(FleetId("a"), 900, 100), FleetSample(FleetId("b"), 1000, 0)) < 1e-20
    (True, True)
    """
    failures = round(new.failed) + round(old.failed)
    messages = new.messages + old.messages
    if not failures or messages <= 0:
        return 1.0
    return at_least(round(new.failed), failures, new.messages / messages)


def at_least(count: int, of: int, chance: float) -> float:
    """The chance of `count` or more successes in `of` trials: the binomial tail, by the incomplete beta function.

    >>> round(at_least(2, 3, 0.5), 6), at_least(0, 3, 0.5)
    (0.5, 1.0)
    """
    return float(betainc(count, of - count + 1, chance)) if count > 0 else 1.0


def _worse(new: FleetSample, old: FleetSample, policy: JudgePolicy) -> bool:
    return (
        old.messages >= policy.messages_min
        and new.error_ratio - old.error_ratio >= policy.error_effect_min
        and chance_of(new, old) < policy.chance_max
    )


def _breaks(sample: FleetSample, bound: float, policy: JudgePolicy) -> bool:
    """Above the SLO's bound by more than chance."""
    if sample.messages < policy.messages_min or sample.error_ratio <= bound:
        return False
    return at_least(round(sample.failed), round(sample.messages), bound) < policy.chance_max


def _slow(scope: str, new: FleetSample, old: FleetSample, policy: JudgePolicy) -> tuple[Reason, ...]:
    a, b = new.seconds_per_message, old.seconds_per_message
    if a is None or b is None or b <= 0 or min(new.processed, old.processed) < policy.messages_min:
        return ()
    if a / b <= policy.slow_ratio_max or a - b < policy.slow_effect_s_min:
        return ()
    text = f"{new.fleet} takes {a * 1000:.2f} ms a message, {old.fleet} {b * 1000:.2f} ms: {a / b:.1f} times as long"
    compared = (
        Compared("seconds_ratio", a / b, "<=", policy.slow_ratio_max),
        Compared("seconds_per_message", a, "<=", b * policy.slow_ratio_max, "s"),
    )
    return (Reason("Slower", scope, text, compared),)


def _errors(scope: str, new: FleetSample, old: FleetSample, bound: float) -> Reason:
    chance = chance_of(new, old)
    text = (
        f"{new.fleet} fails {new.failed:.0f} of {new.messages:.0f} messages ({new.error_ratio:.2%}), {old.fleet} "
        f"{old.failed:.0f} of {old.messages:.0f} ({old.error_ratio:.2%}); by chance alone: {chance:.1g}"
    )
    compared = (
        Compared("error_ratio", new.error_ratio, "<=", bound),
        Compared("error_ratio_old", old.error_ratio, "<=", bound),
        Compared("chance", chance, ">=", JudgePolicy().chance_max),
    )
    return Reason("MoreFailures", scope, text, compared)


def _passed(scope: str, new: FleetSample, old: FleetSample) -> Reason:
    text = (
        f"{new.fleet} fails {new.error_ratio:.2%} of {new.messages:.0f} messages, {old.fleet} {old.error_ratio:.2%} of "
        f"{old.messages:.0f}"
    )
    if new.seconds_per_message is not None and old.seconds_per_message is not None:
        text += f"; {new.seconds_per_message * 1000:.2f} ms a message against {old.seconds_per_message * 1000:.2f} ms"
    return Reason("NoWorse", scope, text)


def _too_little(question: Question, scope: str, new: FleetSample, old: FleetSample, policy: JudgePolicy) -> Judged:
    """NoData, in three kinds: nobody has messages, few come at all, or only the new fleet has none."""
    compared = (Compared("messages", new.messages, ">=", policy.messages_min),)
    seen = f"{new.fleet} had {new.messages:.0f} messages in {question.window_s:.0f} s, {old.fleet} {old.messages:.0f}"
    if new.messages + old.messages == 0:
        done = question.window_s >= policy.idle_after_s
        reason = Reason("GroupIdle", scope, f"{seen}: the group has no traffic, so there is nothing to judge", compared)
        return Judged("no_data", "go_on" if done else "hold", (reason,), new, old)
    if old.messages >= policy.messages_min:
        reason = Reason("NewFleetSilent", scope, f"{seen}: too little to judge while the old fleet works", compared)
        return Judged("no_data", "hold", (reason,), new, old)
    done = question.window_s >= policy.little_after_s and new.failed == 0 and new.messages > 0
    reason = Reason("LittleTraffic", scope, f"{seen}: too little to judge", compared)
    return Judged("no_data", "go_on" if done else "hold", (reason,), new, old)
