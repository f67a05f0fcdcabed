"""Invariants of the admission ledger: what is held, by whom, with which token, and for how long."""

from typing import Any

from services.observer.domain.activities import Activity
from shared.domain.activity import ActivityOutcome
from tests.sim.invariants.admission_table import against_held, bad_verdict, excludes, meet, needed
from tests.sim.invariants.base import Commit, End, Invariant, LedgerState, Write
from tests.sim.kernel.record import Record
from tests.sim.kernel.rpc import Call

SWEEPS_S = 120.0  # by then one of two replicas has swept, however they took turns
DEPLOYMENTS_SHARE = 0.05


def overridden(commit: Commit) -> bool:
    """Whether the request itself, not what became of it, names a person's reason to pass the verdicts."""
    return commit.call is not None and bool(getattr(commit.call.request, "override_reason", ""))


class OneHolder(Invariant):
    """Two activities that exclude each other are never both live on one scope."""

    sentence = "Of two live activities that meet, the later one did not have to wait for the earlier one."

    def __init__(self, record: Record) -> None:
        super().__init__(record)
        self._overridden: set[str] = set()

    def committed(self, commit: Commit) -> None:
        if overridden(commit):
            self._overridden.update(a.id for a in commit.granted)
        live = commit.after.live(commit.now)
        for index, later in enumerate(live):
            for earlier in live[:index]:
                allowed = later.id in self._overridden
                if excludes(later.kind.value, earlier.kind.value, overridden=allowed) and meet(
                    later.scope, earlier.scope, commit.after.topology
                ):
                    self.broken(f"{later.kind} {later.id} on {later.scope} beside {earlier.kind} {earlier.id}")


class TokenGrows(Invariant):
    """Fencing tokens only grow."""

    sentence = "Each grant's token is greater than every token before it."
    newest = 0

    def committed(self, commit: Commit) -> None:
        for a in sorted(commit.granted, key=lambda a: a.token):
            if a.token <= self.newest:
                self.broken(f"{a.id} got token {a.token} after {self.newest}")
            self.newest = a.token
        for before, after in commit.changed:
            if before.token != after.token or before.scope != after.scope or before.kind != after.kind:
                self.broken(f"{after.id} changed its token, scope or kind")


class AdmissionMatrix(Invariant):
    """The tables, read a second time."""

    sentence = "Every grant agrees with the tables of the architecture, read by a second implementation."

    def committed(self, commit: Commit) -> None:
        for new in commit.granted:
            for held in commit.before.live(commit.now):
                after = commit.after.activities.get(held.id)
                ended = after is None or after.outcome is not None
                topology = commit.before.topology
                if meet(new.scope, held.scope, topology):
                    self.record.reach(f"grant {new.kind.value} beside {held.kind.value}")
                why = against_held(new, held, topology, commit.now, ended=ended, overridden=overridden(commit))
                if why:
                    self.broken(f"{new.kind} {new.id} on {new.scope}: {why}")


class UnknownHolds(Invariant):
    """Unknown is not healthy."""

    sentence = "Nothing that needs a verdict is granted on one that is missing, stale, unknown or bad."

    def committed(self, commit: Commit) -> None:
        for new in commit.granted:
            read = commit.call.seen.get("verdicts", {}) if commit.call else {}
            why = bad_verdict(new, commit.before.topology, read, commit.now, overridden=overridden(commit))
            if why:
                self.broken(f"{new.kind} {new.id} on {new.scope}: {why}")


class RedisLossCloses(Invariant):
    """Losing the verdict store closes admission and never opens it."""

    sentence = "While the verdict store does not answer, nothing that needs a verdict is granted."

    def committed(self, commit: Commit) -> None:
        if commit.call is None or not commit.call.seen.get("verdicts failed"):
            return
        for new in commit.granted:
            if needed(new, commit.before.topology, overridden=overridden(commit))[0]:
                self.broken(f"{new.kind} {new.id} on {new.scope} was granted without any verdict")


class SignalFresh(Invariant):
    """Growth on an old signal would be guessing."""

    sentence = "SCALE_OUT is granted on a fresh signal only, and never without one."
    age_s_max = 60.0

    def committed(self, commit: Commit) -> None:
        for new in commit.granted:
            if new.kind.value != "SCALE_OUT" or commit.call is None:
                continue
            asked = commit.call.request
            if not asked.HasField("signal_age_s") or not 0 <= asked.signal_age_s <= self.age_s_max:
                self.broken(f"{new.id} on a signal of {asked.signal_age_s:.1f} s")


class BacklogHolds(Invariant):
    """Nothing is taken away while work waits."""

    sentence = "SCALE_IN is granted only when the backlog of each of its groups is known and small."

    def committed(self, commit: Commit) -> None:
        for new in commit.granted:
            if new.kind.value != "SCALE_IN" or commit.call is None:
                continue
            read = {str(s): v for s, v in commit.call.seen.get("verdicts", {}).items()}
            verdict = read.get(str(new.scope))
            signals = verdict.signals if verdict else {}
            backlog = signals.get("backlog")
            if backlog is None or backlog > max(100.0, 2.0 * signals.get("arrival_rate", 0.0)):
                self.broken(f"{new.id} on {new.scope} with a backlog of {backlog}")


class Quarantine(Invariant):
    """A lease that lapsed leaves a call behind."""

    sentence = "A grant that excludes a lapsed lease comes no sooner than the longest call after the lapse."
    call_s = 30.0

    def committed(self, commit: Commit) -> None:
        for new in commit.granted:
            for old in commit.before.activities.values():
                lapsed = old.outcome in {None, ActivityOutcome.EXPIRED} and old.expires_at <= commit.now
                recent = commit.now < old.expires_at + self.call_s - 1e-6
                if lapsed and recent and excludes(new.kind.value, old.kind.value) and old.kind.value != "FREEZE":
                    if meet(new.scope, old.scope, commit.before.topology):
                        ago_s = commit.now - old.expires_at
                        self.broken(f"{new.kind} {new.id} {ago_s:.1f} s after the lease of {old.kind} {old.id} lapsed")
                    self.record.reach("grant elsewhere beside a lapsed lease")


class ConcurrencyCap(Invariant):
    """A bad change must not reach everybody at once."""

    sentence = "At most 5 % of groups, and at least one, are being deployed to at once."

    def committed(self, commit: Commit) -> None:
        if not commit.granted:
            return
        most = max(1, int(len(commit.after.topology.groups) * DEPLOYMENTS_SHARE))
        running = [a for a in commit.after.live(commit.now) if a.kind.value == "DEPLOY"]
        if len(running) > most:
            self.broken(f"{len(running)} deployments run and {most} may: {[str(a.scope) for a in running]}")


class LeaseLapses(Invariant):
    """No lock without a lease."""

    sentence = "A lease ends by itself: nothing extends it by more than its time to live, nothing revives it."

    def committed(self, commit: Commit) -> None:
        for a in commit.granted:
            self._bounded(a, commit.now)
        for before, after in commit.changed:
            if after.outcome is None:
                self._bounded(after, commit.now)
            if after.expires_at > before.expires_at and before.expires_at <= commit.now:
                self.broken(f"{after.id} was renewed {commit.now - before.expires_at:.1f} s after it had lapsed")
            if after.outcome is ActivityOutcome.EXPIRED and before.outcome is None and before.expires_at > commit.now:
                self.broken(f"{after.id} was ended as lapsed {before.expires_at - commit.now:.1f} s before its end")
            if before.outcome is not None and (after.outcome, after.ended_at) != (before.outcome, before.ended_at):
                self.broken(f"{after.id} had ended as {before.outcome} and now reads {after.outcome}")

    def _bounded(self, a: Activity, now: float) -> None:
        if a.expires_at > now + a.ttl_s + 1e-6:
            self.broken(f"{a.id} holds for {a.expires_at - now:.1f} s with a time to live of {a.ttl_s:.1f} s")

    def ended(self, end: End) -> None:
        if end.healed_for_s < SWEEPS_S:
            return
        for a in end.ledger.activities.values():
            if a.outcome is None and a.expires_at < end.now - SWEEPS_S:
                self.broken(f"{a.id} lapsed {end.now - a.expires_at:.0f} s ago and was never ended")


class SameAnswer(Invariant):
    """One request, one grant."""

    sentence = "A request id is granted once; whoever repeats it hears of the same activity and token."

    def __init__(self, record: Any) -> None:
        super().__init__(record)
        self._granted: dict[str, str] = {}
        self._heard: dict[str, tuple[str, int]] = {}

    def committed(self, commit: Commit) -> None:
        for a in commit.granted:
            if a.request in self._granted:
                self.broken(f"request {a.request} was granted as {self._granted[a.request]} and again as {a.id}")
            self._granted[a.request] = a.id

    def heard(self, intention: str, request_id: str, answer: Any) -> None:
        first = self._heard.get(request_id)
        if answer.lease is None:
            if first:
                self.broken(f"request {request_id} was granted as {first[0]} and is now {answer.outcome}")
            return
        mine = (answer.lease.activity_id, answer.lease.token)
        if first:
            self.record.reach("begin repeated after a grant")
        if mine != (first or mine):
            self.broken(f"request {request_id} was granted as {first} and is now {mine}")
        self._heard[request_id] = mine


class LeaseBelief(Invariant):
    """A holder counts down from before it asked."""

    sentence = "Nobody is told of more lease than it has, and whoever believes that it may write holds one."

    def answered(self, call: Call, response: Any) -> None:
        method = call.method.rpartition("/")[2]
        if method not in {"Begin", "Heartbeat"} or "ledger" not in call.seen:
            return
        state, now = call.seen["ledger"]
        holder = response.lease if method == "Begin" else call.request
        a = state.activities.get(holder.activity_id)
        left_s = a.expires_at - now if a is not None and a.live(now) else 0.0
        if response.lease_ttl_s > left_s + 0.01:
            self.broken(f"{holder.activity_id} was told of {response.lease_ttl_s:.1f} s and has {left_s:.1f} s left")

    def writes(self, write: Write, ledger: LedgerState, now: float) -> None:
        a = ledger.activities.get(write.activity)
        if a is None or a.token != write.token:
            self.broken(f"{write.holder} writes with token {write.token}, which nobody was given")
        elif now >= a.expires_at:
            self.broken(f"{write.holder} writes {now - a.expires_at:.1f} s after its lease {a.id} lapsed")


class NoStaleWrite(Invariant):
    """A call in flight does not hit what somebody else has begun."""

    sentence = "No call of a holder lands after an activity that excludes it was granted."

    def landed(self, write: Write, ledger: LedgerState, now: float) -> None:
        for a in ledger.live(now):
            newer = a.token > write.token and excludes(a.kind.value, write.kind)
            if newer and meet(a.scope, write.scope, ledger.topology):
                self.broken(f"a write of {write.activity} ({write.kind}) lands while {a.kind} {a.id} is live")


class EndedByItsOwn(Invariant):
    """Only who shows the token ends an activity."""

    sentence = "An activity ends by its own token, by the sweep, by its lapse, by a rollback, or by a person's lift."

    def committed(self, commit: Commit) -> None:
        call = commit.call
        for before, after in commit.changed:
            if before.outcome is not None or after.outcome is None or call is None:
                continue
            method = call.method.rpartition("/")[2]
            if method == "End" and (call.request.activity_id, call.request.token) != (after.id, after.token):
                self.broken(f"End of {call.request.activity_id} with token {call.request.token} ended {after.id}")
            if method == "Heartbeat" and after.outcome is not ActivityOutcome.EXPIRED:
                self.broken(f"a heartbeat ended {after.id} as {after.outcome}")
            if method == "Begin" and after.outcome is not ActivityOutcome.TAKEN_OVER:
                self.broken(f"a Begin ended {after.id} as {after.outcome}")
            if method == "Begin" and call.request.takes_over not in {"", after.id}:
                self.broken(f"a rollback that takes over {call.request.takes_over} ended {after.id}")
            if method == "End" and after.outcome.value != call.request.outcome:
                self.broken(f"End said {call.request.outcome} and {after.id} reads {after.outcome}")


class FreezeHolds(Invariant):
    """A frozen scope stands still at the next step."""

    sentence = "Before a step, nobody who must wait for a freeze is told to go on while one is live."

    def answered(self, call: Call, response: Any) -> None:
        if not call.method.endswith("/Heartbeat") or not call.request.before_step or "ledger" not in call.seen:
            return
        state, now = call.seen["ledger"]
        mine = state.activities.get(call.request.activity_id)
        if mine is None or response.ask != response.ASK_GO_ON or not excludes(mine.kind.value, "FREEZE"):
            return
        for a in state.live(now):
            if a.kind.value == "FREEZE" and meet(a.scope, mine.scope, state.topology):
                self.broken(f"{mine.id} was told to go on while {a.scope} is frozen by {a.id}")


class StopMeansStop(Invariant):
    """Whoever lost its lease hears it."""

    sentence = "A heartbeat of an activity that has ended or lapsed, or with a wrong token, is answered with stop."

    def answered(self, call: Call, response: Any) -> None:
        if not call.method.endswith("/Heartbeat") or "before" not in call.seen:
            return
        state, now = call.seen["before"]
        mine = state.activities.get(call.request.activity_id)
        if mine is None or (mine.live(now) and mine.token == call.request.token):
            return
        self.record.reach("heartbeat of a lost lease")
        if response.ask != response.ASK_STOP:
            self.broken(f"{mine.id} is gone ({mine.outcome or 'lapsed'}) and hears {response.ask}")


class QueueFair(Invariant):
    """The newest waiting deployment supersedes the others."""

    sentence = "A deployment is not granted any more once a newer one of the same scope has taken its place."

    def committed(self, commit: Commit) -> None:
        for new in commit.granted:
            if new.kind.value != "DEPLOY":
                continue
            mine = commit.before.waiting.get(new.request)
            if mine is not None and mine.superseded_by:
                self.broken(f"{new.request} was granted though {mine.superseded_by} has superseded it")


class AskEnds(Invariant):
    """Nobody stands still for somebody who has gone away."""

    sentence = "A holder that only was asked to park is kept parked no longer than the asking goes on."
    fresh_s = 30.0

    def answered(self, call: Call, response: Any) -> None:
        if not call.method.endswith("/Heartbeat") or response.ask != response.ASK_PARK or "before" not in call.seen:
            return
        state, now = call.seen["before"]
        mine = state.activities.get(call.request.activity_id)
        if mine is None or {r.code for r in response.reasons} != {"AskedToPark"}:
            return
        asked_s = mine.ask.renewed_at if mine.ask else -1.0
        if mine.ask is None or now - asked_s > self.fresh_s:
            self.broken(f"{mine.id} is kept parked by a request that was last made {now - asked_s:.0f} s ago")
