"""Admission in operation: read verdicts, lock and read the ledger, decide, record; all writes in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from services.observer.domain.activities import Activity, Limits, ParkAsk, Request, Waiting
from services.observer.domain.admission import Blocked, Decision, Granted, Situation, Yielding, decide
from services.observer.domain.holding import Asked, ask_of
from services.observer.domain.matrix import QUIETABLE, VERDICT_RULES, Judged, situation
from services.observer.domain.ports import Ledger, LedgerTransaction, Verdicts
from services.observer.domain.quieting import BUDGET_S, BUDGET_WINDOW_S, QuietWindow
from services.observer.domain.refusals import stopped
from services.observer.domain.topology import Topology
from services.observer.domain.verdict import Verdict
from shared.domain.activity import ActivityKind, ActivityOutcome, HolderAsk
from shared.domain.clock import Ids
from shared.domain.errors import Conflict, InvalidInput, NotFound, StaleLease, Unavailable
from shared.domain.names import ActivityId, FencingToken, GroupName
from shared.domain.reason import Compared, Reason
from shared.domain.scope import Scope, ScopeKind, group_scope

LEASES_KEPT_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """A grant as it is answered: also to a repeated request, then with what is left of its lease."""

    activity: Activity
    lease_left_s: float
    windows: tuple[str, ...] = ()
    notes: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """The answer to a heartbeat."""

    asked: Asked
    lease_left_s: float


class Admission:
    """Begin, heartbeat, end and sweep."""

    def __init__(self, ledger: Ledger, verdicts: Verdicts, ids: Ids, limits: Limits) -> None:
        """`limits` are the named numbers of `domain.activities.Limits`."""
        self._ledger, self._verdicts, self._ids, self._limits = ledger, verdicts, ids, limits

    async def begin(self, request: Request, *, dry_run: bool = False) -> Admitted | Blocked | Yielding | Granted:
        """Decide; unless `dry_run`, record. A dry run that would be granted answers `Granted`."""
        _check(request)
        rule = VERDICT_RULES[situation(request.kind, creates=request.creates, security=request.security)]
        verdicts: Mapping[Scope, Verdict] = {}
        if rule.judged is not Judged.NONE:
            verdicts = await self._read_verdicts(request.scope)
        async with self._ledger.admission(request.scope, request=request.id, kind=request.kind) as tx:
            before = await tx.by_request(request.id)
            if before and not dry_run:
                return self._again(before, request, tx.now)
            seen = Situation(tx.topology, tx.unsettled, verdicts, tx.now, tx.waiting)
            if dry_run:
                return decide(request, seen, self._limits)
            seen = await self._take_place(request, seen, tx)
            return await self._record(request, decide(request, seen, self._limits), tx)

    async def heartbeat(self, activity: ActivityId, token: FencingToken, *, parked: bool, before_step: bool) -> Held:
        """Renew the lease and say what is asked; NotFound for an activity that never was."""
        scope = await self._ledger.scope_of(activity)
        if scope is None:
            raise NotFound(f"activity {activity!r} does not exist", field="activity_id", remedy="begin one")
        verdicts = await self._read_verdicts(scope) if before_step else {}
        async with self._ledger.admission(scope, activity=activity) as tx:
            mine = await tx.by_id(activity)
            if mine is None:
                raise NotFound(f"activity {activity!r} does not exist", field="activity_id", remedy="begin one")
            seen = Situation(tx.topology, tx.unsettled, verdicts, tx.now)
            asked = ask_of(mine, token, seen, self._limits, parked=parked, before_step=before_step)
            if asked.expired:
                await self._expire(mine, tx)
            if asked.ask is HolderAsk.STOP:
                return Held(asked, 0.0)
            standing = parked and asked.ask is HolderAsk.PARK
            ask = None if asked.ask is HolderAsk.GO_ON and not _fresh(mine.ask, tx.now, self._limits) else mine.ask
            await tx.save(replace(mine, expires_at=tx.now + mine.ttl_s, parked=standing, ask=ask))
            return Held(asked, mine.ttl_s)

    async def end(self, activity: ActivityId, token: FencingToken, outcome: ActivityOutcome, note: str) -> None:
        """Record how it ended; a repetition changes nothing. StaleLease with a token that is not its own."""
        scope = await self._ledger.scope_of(activity)
        if scope is None:
            raise NotFound(f"activity {activity!r} does not exist", field="activity_id", remedy="begin one")
        async with self._ledger.admission(scope, activity=activity) as tx:
            mine = await tx.by_id(activity)
            if mine is None or mine.token != token:
                raise StaleLease(
                    f"token {token} is not the token of activity {activity}", field="token", remedy="touch nothing more"
                )
            if mine.outcome is None:
                await self._finish(mine, outcome, note, tx)

    async def sweep(self) -> Sequence[Activity]:
        """End what has lapsed; gives what it ended."""
        return await self._ledger.sweep(LEASES_KEPT_S, self._limits.waiting_fresh_s)

    async def lift_freeze(self, scope: Scope, holder: str) -> Sequence[Activity]:
        """End the freezes of a scope; NotFound when it is not frozen."""
        async with self._ledger.admission(scope) as tx:
            frozen = [a for a in tx.unsettled if a.kind is ActivityKind.FREEZE and a.scope == scope and a.live(tx.now)]
            for freeze in frozen:
                await self._finish(freeze, ActivityOutcome.DONE, f"lifted by {holder}", tx)
        if not frozen:
            raise NotFound(f"{scope} is not frozen", field="scope", remedy="`headrace get activities` lists freezes")
        return frozen

    async def _read_verdicts(self, scope: Scope) -> Mapping[Scope, Verdict]:
        """The verdicts that may matter; none when they cannot be read, which closes whatever needs one."""
        topology = await self._ledger.topology()
        wanted = dict.fromkeys((*topology.judged_scopes(scope, with_system=True), *(_groups(topology, scope))))
        try:
            return await self._verdicts.read(tuple(wanted))
        except Unavailable:
            return {}

    def _again(self, before: Activity, request: Request, now: float) -> Admitted:
        if (before.kind, before.scope, before.holder) != (request.kind, request.scope, request.holder):
            raise Conflict(
                f"request_id {request.id!r} was used for {before.kind.value} of {before.scope} by {before.holder}",
                field="request_id",
                remedy="use one request id per intention",
            )
        if before.live(now):
            return Admitted(before, before.expires_at - now)
        outcome = before.outcome or ActivityOutcome.EXPIRED
        note = stopped(
            before, "AlreadyEnded", f"{before.id} was granted to this request and ended as {outcome.value}", now
        )
        return Admitted(before, 0.0, notes=(note,))

    async def _take_place(self, request: Request, seen: Situation, tx: LedgerTransaction) -> Situation:
        """A deployment takes its place among those that wait, before it is decided; it supersedes older ones."""
        if request.kind is not ActivityKind.DEPLOY:
            return seen
        mine = next((w for w in seen.waiting if w.request == request.id), None)
        if mine is None:
            mine = Waiting(request.id, request.scope, request.holder, int(tx.token), seen.now)
        mine = replace(mine, asked_at=seen.now)
        await tx.save_waiting(mine)
        others = [w for w in seen.waiting if w.request != request.id]
        kept: list[Waiting] = [mine]
        for other in others:
            yields = other.order < mine.order and not other.superseded_by and not mine.superseded_by
            after = replace(other, superseded_by=mine.request) if yields else other
            if yields:
                await tx.save_waiting(after)
            kept.append(after)
        return replace(seen, waiting=tuple(kept))

    async def _record(
        self, request: Request, decision: Decision, tx: LedgerTransaction
    ) -> Admitted | Blocked | Yielding:
        match decision:
            case Granted():
                return await self._grant(request, decision, tx)
            case Yielding(asks=asks):
                for a in tx.unsettled:
                    if a.id in asks:
                        began = a.ask.asked_at if a.ask and _fresh(a.ask, tx.now, self._limits) else tx.now
                        await tx.save(replace(a, ask=ParkAsk(request.id, began, tx.now)))
                return decision
            case Blocked():
                return decision
            case _:
                assert_never(decision)

    async def _grant(self, request: Request, decision: Granted, tx: LedgerTransaction) -> Admitted:
        for a in tx.unsettled:
            if a.id in decision.takes_over:
                await self._finish(a, ActivityOutcome.TAKEN_OVER, f"by {request.holder}", tx)
            elif a.ask and a.ask.request == request.id:
                await tx.save(replace(a, ask=None))
        activity = Activity(
            id=ActivityId(self._ids.new("act")),
            kind=request.kind,
            scope=request.scope,
            holder=request.holder,
            request=request.id,
            token=tx.token,
            ttl_s=request.ttl_s,
            began_at=tx.now,
            expires_at=tx.now + request.ttl_s,
            reason=request.reason,
            override_reason=request.override_reason,
            creates=request.creates,
            security=request.security,
        )
        await tx.add(activity)
        windows, notes = await self._open_window(request, activity, tx)
        return Admitted(activity, request.ttl_s, windows, (*decision.notes, *notes))

    async def _open_window(
        self, request: Request, activity: Activity, tx: LedgerTransaction
    ) -> tuple[tuple[str, ...], tuple[Reason, ...]]:
        """Quiet what the kind may quiet on its own scope; what it may not is said, and does not stop the grant."""
        if not request.quiets:
            return (), ()
        rule = QUIETABLE[request.kind]
        scope = request.scope
        notes: list[Reason] = []
        refused = sorted(set(request.quiets) - rule.classes)
        if refused:
            allowed = ", ".join(sorted(rule.classes)) or "none"
            notes.append(
                _note(
                    "QuietClassNotAllowed", scope, f"{request.kind.value} may quiet {allowed}, not {', '.join(refused)}"
                )
            )
        classes = frozenset(request.quiets) & rule.classes
        used = await tx.quiet_seconds(scope, tx.now - BUDGET_WINDOW_S)
        if classes and used >= BUDGET_S:
            compared = (Compared("quiet_s_in_6h", round(used, 1), "<", BUDGET_S, "s"),)
            notes.append(_note("QuietBudgetExhausted", scope, f"{scope} was quiet for {used:.0f} s in 6 h", compared))
            classes = frozenset()
        if not classes or scope.kind is ScopeKind.SYSTEM:
            return (), tuple(notes)
        window = QuietWindow(
            id=self._ids.new("quiet"),
            scope=scope,
            classes=classes,
            starts_at=tx.now,
            ends_at=tx.now + rule.seconds_max,
            tail_s=rule.tail_s,
            activity=activity.id,
            token=activity.token,
            holder=request.holder,
            reason=request.reason,
        )
        await tx.open_window(window, request.id)
        return (window.id,), tuple(notes)

    async def _finish(self, a: Activity, outcome: ActivityOutcome, note: str, tx: LedgerTransaction) -> None:
        ended = replace(a, outcome=outcome, ended_at=tx.now, note=note, parked=False, ask=None)
        await tx.finish(ended, windows_close_at=tx.now)

    async def _expire(self, a: Activity, tx: LedgerTransaction) -> None:
        ended = replace(a, outcome=ActivityOutcome.EXPIRED, ended_at=tx.now, parked=False, ask=None)
        await tx.finish(ended, windows_close_at=a.expires_at)


def _note(code: str, scope: Scope, text: str, compared: tuple[Compared, ...] = ()) -> Reason:
    return Reason(code=code, scope=str(scope), text=text, compared=compared)


def _fresh(ask: ParkAsk | None, now: float, limits: Limits) -> bool:
    return ask is not None and now - ask.renewed_at <= limits.park_ask_fresh_s


def _groups(topology: Topology, scope: Scope) -> tuple[Scope, ...]:
    if scope.kind is ScopeKind.SYSTEM:
        return ()
    return tuple(group_scope(GroupName(g)) for g in sorted(topology.groups_of(scope)))


def _check(request: Request) -> None:
    if not request.holder:
        raise InvalidInput("holder: it is empty", field="holder", remedy="name the workflow's id or the person")
    if request.scope.kind is ScopeKind.SYSTEM and request.kind is not ActivityKind.FREEZE:
        raise InvalidInput(
            f"scope: {request.kind.value} of the whole system", field="scope", remedy="name a group, stage or pipeline"
        )
