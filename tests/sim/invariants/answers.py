"""Invariants of answers, verdicts, quiet windows and of things coming to an end."""

import re
from collections.abc import Mapping
from typing import Any

from services.observer.domain.verdict import Verdict
from shared.domain.scope import Scope
from tests.sim.invariants.base import Commit, End, Invariant
from tests.sim.kernel.rpc import Call

CODE = re.compile(r"[A-Z][A-Za-z]+")
WAITING_MAX = 200
WINDOW_S_MAX = 4 * 3600.0 + 300.0
PROGRESS_S = 900.0


class Explained(Invariant):
    """Every refusal explains itself."""

    sentence = "Every refusal has a code, a scope, a sentence, and says when to ask again or that asking is in vain."
    in_vain = frozenset({"Superseded", "AlreadyEnded"})

    def answered(self, call: Call, response: Any) -> None:
        method = call.method.rpartition("/")[2]
        if method == "Begin":
            refused = response.outcome != response.OUTCOME_GRANTED
            self.record.reach(f"begin {'refused' if refused else 'granted'} {call.request.kind}")
        elif method == "Heartbeat":
            refused = response.ask != response.ASK_GO_ON
        else:
            return
        for r in response.reasons:
            self.record.reach(f"code {r.code}")
        if not refused:
            return
        if not response.reasons:
            self.broken(f"{method} of {call.caller} was refused without a reason")
        for r in response.reasons:
            if not CODE.fullmatch(r.code) or not r.scope or len(r.text) < 10:
                self.broken(f"{method}: reason {r.code!r} of {r.scope!r} says {r.text!r}")
            if method == "Begin" and not r.HasField("retry_after_s") and r.code not in self.in_vain:
                self.broken(f"{method}: {r.code} does not say when to ask again")


class OneWriter(Invariant):
    """A deposed leader overwrites nothing."""

    sentence = "The (epoch, seq) of a scope's current verdict only grows, and no epoch has two writers."

    def __init__(self, record: Any) -> None:
        super().__init__(record)
        self._writers: dict[int, str] = {}

    def judged(self, writer: str, before: Mapping[Scope, Verdict], after: Mapping[Scope, Verdict]) -> None:
        for scope, verdict in after.items():
            old = before.get(scope)
            if verdict is not old:
                first = self._writers.setdefault(verdict.epoch, writer)
                if first != writer:
                    self.broken(f"{writer} writes {scope} in epoch {verdict.epoch}, which is {first}'s")
            if old is not None and old is not verdict and (verdict.epoch, verdict.seq) <= (old.epoch, old.seq):
                self.broken(f"{scope}: {(verdict.epoch, verdict.seq)} replaced {(old.epoch, old.seq)}")


class QuietEnds(Invariant):
    """No quiet window outlives its holder."""

    sentence = "A window closes with the activity that opened it, and has an end of its own in any case."

    def committed(self, commit: Commit) -> None:
        for window in commit.after.windows.values():
            if window.ends_at - window.starts_at > WINDOW_S_MAX:
                self.broken(f"{window.id} quiets {window.scope} for {window.ends_at - window.starts_at:.0f} s")
            holder = commit.after.activities.get(window.activity) if window.activity else None
            if holder is None or holder.ended_at is None:
                continue
            if window.closed_at is None or window.closed_at > holder.ended_at:
                self.broken(f"{window.id} is open after {holder.id} ended as {holder.outcome}")


class BoundedQueues(Invariant):
    """Everything has a limit."""

    sentence = "The number of waiting requests stays below its named limit."

    def committed(self, commit: Commit) -> None:
        if len(commit.after.waiting) > WAITING_MAX:
            self.broken(f"{len(commit.after.waiting)} requests wait")


class Progress(Invariant):
    """After the last fault everything comes to an end."""

    sentence = "Some time after the world has healed, every intention has been carried out, refused or given up."

    def ended(self, end: End) -> None:
        if end.healed_for_s >= PROGRESS_S and end.unfinished:
            self.broken("; ".join(end.unfinished))
