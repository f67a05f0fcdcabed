"""When each event of a step was done, from what a consumer group had committed at some instants. Pure.

Events are put onto partitions in turn, so event n of a step is number n // partitions of partition n % partitions, and
due `n / rate` seconds after the beginning.

>>> ledger = Ledger((7, 0), total=4, rate=2.0)
>>> ledger.note((8, 1), 0.9)
>>> ledger.done, ledger.waits_s(sent=4, now=1.5)
(2, 0.5)
>>> ledger.note((9, 1), 1.8)
>>> [round(s, 1) for s in ledger.counts(sent=4, sent_s=2.0, failed=0, warm=0, give_up_s=9.0).latencies]
[0.9, 0.4, 0.8, 9.0]
"""

from collections.abc import Sequence

import numpy as np
from headrace_runtime.rating import Counts


class Ledger:
    """Of one step; times are seconds since its beginning."""

    def __init__(self, base: Sequence[int], total: int, rate: float) -> None:
        """`base` has the offset of the first event, by partition."""
        self._base = tuple(base)
        self._done = [0] * len(self._base)
        self._done_at = np.full(total, np.inf)
        self._rate = rate
        self.done = 0

    def note(self, committed: Sequence[int], now: float) -> None:
        """What the group would read next, by partition."""
        partitions = len(self._base)
        for partition, (base, offset) in enumerate(zip(self._base, committed, strict=True)):
            before, after = self._done[partition], offset - base
            if after > before:
                first, last = before * partitions + partition, (after - 1) * partitions + partition
                self._done_at[first : last + 1 : partitions] = now
                self._done[partition] = after
        self.done = sum(self._done)

    def waits_s(self, sent: int, now: float) -> float:
        """How long the first event that is not done has been waiting."""
        open_ = np.flatnonzero(np.isinf(self._done_at[:sent]))
        return now - float(open_[0]) / self._rate if len(open_) else 0.0

    def counts(self, sent: int, sent_s: float, failed: int, warm: float, give_up_s: float) -> Counts:
        """Of all but the share `warm` that came first; `failed` of all of them became dead letters."""
        counted_from = int(sent * warm)
        done_at = self._done_at[counted_from:sent]
        done = np.isfinite(done_at)
        due = np.arange(counted_from, sent) / self._rate
        took = np.where(done, done_at - due, give_up_s)
        messages, answered = sent - counted_from, int(done.sum())
        # From the first to the last that was done: a commit's delay is no want of throughput.
        took_s = float(done_at[done].max() - done_at[done].min()) if answered else 0.0
        share = messages / sent
        return Counts(
            messages,
            answered,
            min(answered, round(failed * share)),
            took.tolist(),
            sent_s * share,
            max(took_s, 1 / self._rate),
        )
