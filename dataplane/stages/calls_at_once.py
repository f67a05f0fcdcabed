"""How many batches of a transform stage are with users' code at once, found while it works.

One at a time leaves all but one of the workers idle; too many wait in line there, and spend their deadlines. How many there
should be follows from how long they take (Vegas: Brakmo and Peterson 1995, for calls instead of packets): of `n` calls at
once that take `t` where one alone takes `t1`, `n (1 - t1/t)` stand in line. Now and then one alone is measured anew,
because users' code, and what else its machines do, change. Outcomes keep the order of their events.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dataplane.stages.events import Event, Failed, Outcome, Work

CALLS_MAX = 8  # what a transform server of two workers lets in
IN_LINE_MIN, IN_LINE_MAX = 0.5, 1.2  # below it one more is tried, above it one less
ALONE_EVERY = 100  # rounds that say something
NEW_SHARE = 0.5  # of the last measurement alone in what is believed
CALL_FAILED = "Call"  # how the reasons of calls that failed as a whole begin


@dataclass(slots=True)
class CallsAtOnce:
    """What is tried next; only rounds of as many calls, and in these the full batches, say something.

    >>> calls = CallsAtOnce()
    >>> calls.saw(0.2); calls.now
    2
    >>> calls.saw(0.2); calls.now  # two took no longer than one: nobody stood in line
    3
    >>> calls.saw(0.6); calls.now  # three took three times as long: one worker does them all
    2
    >>> calls.failed(); calls.now
    1
    """

    now: int = 1
    _alone_s: float = 0.0
    _rounds: int = 0
    _back_to: int = 2

    def saw(self, took_s: float) -> None:
        """The calls of a round took so long, in the mean."""
        self._rounds += 1
        if self.now == 1:
            known = self._alone_s
            self._alone_s = took_s if known == 0.0 else known + NEW_SHARE * (took_s - known)
            self.now = self._back_to
            return
        in_line = self.now * (1.0 - min(1.0, self._alone_s / took_s)) if took_s > 0.0 else 0.0
        if in_line < IN_LINE_MIN:
            self.now = min(CALLS_MAX, self.now + 1)
        elif in_line > IN_LINE_MAX:
            self.now = max(2, self.now - 1)
        if self._rounds >= ALONE_EVERY:
            self._rounds, self._back_to, self.now = 0, self.now, 1

    def failed(self) -> None:
        """A call failed as a whole: there is no room, or nobody."""
        self.now = max(1, self.now // 2)
        self._back_to = 2


class SeveralAtOnce:
    """`Work` of several batches of another work, which many threads may use, at the same time."""

    def __init__(self, work: Work) -> None:
        """Begins with one."""
        self._work = work
        self._calls = CallsAtOnce()
        self._pool = ThreadPoolExecutor(CALLS_MAX, thread_name_prefix="calls")

    @property
    def batch_max(self) -> int:
        """Of all calls together."""
        return self._work.batch_max * self._calls.now

    def run(self, events: list[Event]) -> list[Outcome]:
        """An outcome for each, in order."""
        size, at_once = self._work.batch_max, self._calls.now
        cut = [events[at : at + size] for at in range(0, len(events), size)]
        done = [self._timed(cut[0])] if len(cut) == 1 else list(self._pool.map(self._timed, cut))
        outcomes = [outcome for found, _ in done for outcome in found]
        if any(_is_failed_call(found) for found, _ in done):
            self._calls.failed()
        elif len(cut) >= at_once:
            full = [took_s for found, took_s in done if len(found) == size]  # the last one may be small
            if full:
                self._calls.saw(sum(full) / len(full))
        return outcomes

    def close(self) -> None:
        """Let go of the work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._work.close()

    def _timed(self, events: list[Event]) -> tuple[list[Outcome], float]:
        began = time.monotonic()
        return self._work.run(events), time.monotonic() - began


def _is_failed_call(outcomes: Sequence[Outcome]) -> bool:
    return any(isinstance(o, Failed) and o.recoverable and o.reason.startswith(CALL_FAILED) for o in outcomes)
