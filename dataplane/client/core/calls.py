"""One call to a group, from the first attempt to an answer or the end: what to do next, told as values.

The faces (threads, asyncio) only carry out: attempt, wait, or give up. A server is always told the whole time that the
call was given, so users' code is judged by that and never by what earlier attempts have left. The patience with it is the
caller's own: all that is left of the deadline, or, while another attempt could follow, a part of that or three times what
the server takes to answer. So a server that hangs costs a part of the time and not the call. A call may be attempted more
than once, so functions behind a group must bear repetition: the pipeline's at-least-once asks the same of them.
"""

from collections.abc import Collection
from dataclasses import dataclass

from dataplane.client.core.balancer import AllPaused, Balancer, Chance, Nobody, Picked
from dataplane.client.core.budget import RetryBudget
from dataplane.client.core.members import Endpoint

ATTEMPTS_MAX = 4
ATTEMPT_SHARE = 0.4  # of what is left: the patience while another attempt may follow
PATIENCE_FACTOR = 3.0  # times the latency that is known of the server
ATTEMPT_S_MIN = 0.05  # less is no attempt: the last one gets all that is left
BACK_OFF_FIRST_S, BACK_OFF_S_MAX = 0.02, 0.5  # before a member that failed this call is asked again
NOBODY_WAIT_S = 0.1  # a group may be between fleets, or the first routes on their way
PUSH_BACK_S = 0.25  # of a RESOURCE_EXHAUSTED that names no delay
# The server's state, not the request, is why these come back; another server may answer.
RETRIED = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED", "INTERNAL"})
FAILURES = RETRIED - {"RESOURCE_EXHAUSTED"} | {"UNKNOWN", "DATA_LOSS"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """How an attempt ended without an answer: gRPC's code, and the push-back that came with it.

    `push_back_s` None: none came; negative: the server asks that nobody tries again.
    """

    code: str
    text: str
    push_back_s: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """Call this endpoint with this timeout, and give it up (DEADLINE_EXCEEDED) when there is no answer by `patience_s`."""

    picked: Picked
    timeout_s: float
    patience_s: float

    @property
    def endpoint(self) -> Endpoint:
        """Where to."""
        return self.picked.endpoint


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be attempted before so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """There will be no answer; `retry_after_s` is what the group asked for, if it did."""

    refusal: Refusal
    attempts: int
    retry_after_s: float | None = None


class Call:
    """Asked `next` until it is answered or given up; each `Attempt` is followed by exactly one of the other methods."""

    def __init__(self, balancer: Balancer, budget: RetryBudget, deadline: float) -> None:
        """`deadline` is on the clock that `now` is on."""
        self._balancer = balancer
        self._budget = budget
        self._deadline = deadline
        self._tried: set[str] = set()
        self._attempts = 0
        self._last: Refusal | None = None
        self._not_before = 0.0
        self._given_s = 0.0  # from the first question to the deadline
        budget.earn()
        balancer.tally.calls += 1

    @property
    def tried(self) -> Collection[str]:
        """Addresses that were asked and gave no answer."""
        return self._tried

    def next(self, now: float, chance: Chance) -> Attempt | Wait | GivenUp:
        """What to do now."""
        left_s = self._deadline - now
        self._given_s = max(self._given_s, left_s)
        if left_s <= 0:
            return self._give_up(Refusal("DEADLINE_EXCEEDED", "the time given to the call is over"))
        if self._attempts and (end := self._why_not_again()) is not None:
            return end
        if now < self._not_before:
            return self._wait_until(self._not_before, now)
        picked = self._balancer.pick(now, chance, self._tried)
        match picked:
            case Nobody():
                self._last = self._last or Refusal("UNAVAILABLE", "the group has no server in traffic")
                return self._wait_until(now + NOBODY_WAIT_S, now)
            case AllPaused(until):
                self._last = self._last or Refusal("RESOURCE_EXHAUSTED", "every server of the group pushes back")
                return self._wait_until(until, now)
            case Picked():
                if self._attempts:
                    self._budget.spend()
                    self._balancer.tally.retries += 1
                self._attempts += 1
                return Attempt(picked, self._given_s, self._patience_s(left_s, picked.expected_s))

    def answered(self, attempt: Attempt, now: float) -> None:
        """An answer came."""
        self._balancer.answered(attempt.picked, now)

    def refused(self, attempt: Attempt, refusal: Refusal, now: float) -> None:
        """No answer came, or one that says why not."""
        self._last = refusal
        self._balancer.tally.refused[refusal.code] += 1
        address = attempt.endpoint.address
        if refusal.code == "RESOURCE_EXHAUSTED":
            wait_s = PUSH_BACK_S if refusal.push_back_s is None else max(0.0, refusal.push_back_s)
            self._balancer.pushed_back(attempt.picked, wait_s, now)
        elif refusal.code in FAILURES:
            self._balancer.failed(attempt.picked, now)
            if address in self._tried:
                self._not_before = now + min(BACK_OFF_S_MAX, BACK_OFF_FIRST_S * 2.0**self._attempts)
        else:
            self._balancer.answered(attempt.picked, now)
        self._tried.add(address)

    def abandoned(self, attempt: Attempt) -> None:
        """The caller went away."""
        self._balancer.abandoned(attempt.picked)

    def _why_not_again(self) -> GivenUp | None:
        last = self._last
        if last is None or last.code not in RETRIED or (last.push_back_s is not None and last.push_back_s < 0):
            return self._give_up(last)
        if self._attempts >= ATTEMPTS_MAX or not self._budget.has_one():
            return self._give_up(last)
        return None

    def _wait_until(self, until: float, now: float) -> Wait | GivenUp:
        if until >= self._deadline:
            return self._give_up(self._last, until - now)
        return Wait(until - now)

    def _patience_s(self, left_s: float, expected_s: float) -> float:
        part_s = max(ATTEMPT_SHARE * left_s, PATIENCE_FACTOR * expected_s)
        may_follow = self._attempts < ATTEMPTS_MAX and self._budget.has_one()
        return part_s if may_follow and ATTEMPT_S_MIN <= part_s < left_s else left_s

    def _give_up(self, why: Refusal | None, retry_after_s: float | None = None) -> GivenUp:
        found = self._last or why or Refusal("UNKNOWN", "the call ended without a reason")
        if retry_after_s is None and found.push_back_s is not None and found.push_back_s >= 0:
            retry_after_s = found.push_back_s
        self._balancer.tally.given_up[found.code] += 1
        return GivenUp(found, self._attempts, retry_after_s)
