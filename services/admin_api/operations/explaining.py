"""Why something is so, and what happened: the Observer's verdicts and admission, and everybody's records, by time."""

import asyncio
from collections.abc import Iterable, Sequence

from services.admin_api.domain.roles import Actor, Verb
from services.admin_api.operations.admission import dry_request
from services.admin_api.operations.context import Context
from services.admin_api.operations.peers import Asked
from services.admin_api.operations.reports import Explanation, Timeline, TimelineEntry
from shared.contracts.admission import ActivityModel, BeginAnswer, VerdictModel
from shared.contracts.deployment import DeploymentModel
from shared.contracts.provisioning import DriftFinding
from shared.contracts.rating import RatingModel
from shared.contracts.scaling import DecisionModel
from shared.domain.activity import ActivityKind
from shared.domain.errors import InvalidInput
from shared.domain.scope import Scope, ScopeKind

DECISIONS_READ = 100  # most of them hold, and are not shown
DEPLOYMENTS_SHOWN = 5
RATINGS_SHOWN = 2
LATELY_SHOWN = 20
ENTRIES_MAX = 500
RECORDED_KINDS = ("verdict", "operation", "environment", "server-group", "pipeline")


def kind_of_wish(do: str) -> ActivityKind:
    """`deploy`, `scale-out`, `DRIFT_REPAIR`...

    >>> kind_of_wish("scale-out")
    <ActivityKind.SCALE_OUT: 'SCALE_OUT'>
    """
    try:
        return ActivityKind(do.upper().replace("-", "_"))
    except ValueError:
        wishes = ", ".join(k.lower().replace("_", "-") for k in ActivityKind)
        raise InvalidInput(
            f"do: {do!r} is nothing that can be done", field="do", remedy=f"use one of {wishes}"
        ) from None


class Explaining:
    """Explanations and the timeline."""

    def __init__(self, context: Context) -> None:
        """Over the ports of `context`."""
        self._context = context

    async def explain(self, actor: Actor, scope: str, do: str = "") -> Explanation:
        """Everything that bears on `scope`; with `do`, whether it would be admitted now and why not."""
        self._context.require(actor, Verb.READ)
        wanted = Scope.parse(scope)
        kind = kind_of_wish(do) if do else None
        asked, peers = Asked(), self._context.peers
        group = wanted.name if wanted.kind is ScopeKind.GROUP else ""
        (verdicts, activities, alarms, answer), (lately, drift, decisions, deployments, ratings) = await asyncio.gather(
            asyncio.gather(
                asked.of("observer", peers.observer.verdicts()),
                asked.of("observer", peers.observer.activities()),
                asked.of("observer", peers.observer.alarms(scope)),
                self._would(asked, actor, scope, kind),
            ),
            asyncio.gather(
                asked.of("observer", peers.observer.activities(scope, include_ended=True, limit=LATELY_SHOWN)),
                self._drift(asked, group),
                self._decisions(asked, group, DECISIONS_READ),
                self._deployments(asked, group, DEPLOYMENTS_SHOWN),
                self._ratings(asked, group),
            ),
        )
        outcome = "" if kind is None else answer.outcome if answer else "unknown"
        reasons = answer.reasons if answer else tuple(asked.unanswered) if kind else ()
        return Explanation(
            scope=scope,
            do=kind.value if kind else "",
            outcome=outcome,
            reasons=reasons,
            retry_after_s=(answer.retry_after_s or None) if answer else None,
            verdicts=tuple(v for v in verdicts or () if self._bears(wanted, v.scope)),
            activities=tuple(a for a in activities or () if self._bears(wanted, a.scope)),
            lately=tuple(a for a in lately or () if a.state == "ended"),
            decisions=telling(decisions),
            deployments=tuple(deployments),
            ratings=tuple(ratings),
            drift=tuple(drift),
            alarms=tuple(alarms or ()),
            unanswered=tuple(asked.unanswered),
        )

    async def _ratings(self, asked: Asked, group: str) -> list[RatingModel]:
        """A group's newest; nothing for other scopes."""
        if not group:
            return []
        return await asked.of("autoscaler", self._context.peers.autoscaler.ratings(group, RATINGS_SHOWN)) or []

    async def _drift(self, asked: Asked, group: str) -> list[DriftFinding]:
        """A group's findings, repaired ones too; nothing for other scopes."""
        if not group:
            return []
        found = await asked.of("provisioner", self._context.peers.provisioner.drift(group, include_repaired=True))
        return (found or [])[:LATELY_SHOWN]

    async def timeline(self, actor: Actor, scope: str = "", since: float = 0.0, limit: int = 100) -> Timeline:
        """What happened, newest first; `since` is seconds since the epoch."""
        self._context.require(actor, Verb.READ)
        wanted = Scope.parse(scope) if scope else None
        limit = max(1, min(limit, ENTRIES_MAX))
        group = wanted.name if wanted and wanted.kind is ScopeKind.GROUP else ""
        asked, peers = Asked(), self._context.peers
        activities, deployments, decisions, drift = await asyncio.gather(
            asked.of("observer", peers.observer.activities(include_ended=True, limit=limit)),
            self._deployments(asked, group, limit),
            self._decisions(asked, group, limit),
            asked.of("provisioner", peers.provisioner.drift(group, include_repaired=True)),
        )
        recorded = await self._recorded(limit)
        entries = [
            *_of_activities(activities or ()),
            *_of_deployments(deployments),
            *_of_decisions(decisions),
            *_of_drift(drift or ()),
            *recorded,
        ]
        fitting = [e for e in entries if e.at >= since and (wanted is None or self._bears(wanted, e.scope))]
        fitting.sort(key=lambda e: (-e.at, e.kind, e.id))
        return Timeline(items=tuple(fitting[:limit]), unanswered=tuple(asked.unanswered))

    async def _would(self, asked: Asked, actor: Actor, scope: str, kind: ActivityKind | None) -> BeginAnswer | None:
        if kind is None:
            return None
        dry = dry_request(self._context, actor, kind, scope)
        known = {"reason": "explain", "signal_age_s": 0.0 if kind is ActivityKind.SCALE_OUT else None}
        request = dry.model_copy(update=known)
        return await asked.of("observer", self._context.peers.observer.begin(request))

    async def _decisions(self, asked: Asked, group: str, limit: int) -> list[DecisionModel]:
        if not group:
            return []
        return await asked.of("autoscaler", self._context.peers.autoscaler.decisions(group, limit)) or []

    async def _deployments(self, asked: Asked, group: str, limit: int) -> list[DeploymentModel]:
        return await asked.of("deployer", self._context.peers.deployer.deployments(group, limit)) or []

    async def _recorded(self, limit: int) -> list[TimelineEntry]:
        async with self._context.store.unit() as unit:
            events = await unit.events.newest(RECORDED_KINDS, limit)
        found = []
        for event in events:
            body = event.body or {}
            if event.kind == "verdict":
                verdict = VerdictModel.model_validate(body)
                text = f"{verdict.state}" + "".join(f"; {r.text}" for r in verdict.reasons)
                found.append(_entry(event.at.timestamp(), "verdict", event.name, text, ""))
            elif event.kind == "operation":
                text = " ".join(str(body.get(k, "")) for k in ("kind", "state", "outcome", "text")).strip()
                found.append(_entry(event.at.timestamp(), "operation", str(body.get("subject", "")), text, event.name))
            else:
                scope = f"{'group' if event.kind == 'server-group' else event.kind}/{event.name}"
                text = f"declared, generation {event.generation}" if not body.get("deleted") else "deleted"
                found.append(_entry(event.at.timestamp(), "object", scope, text, ""))
        return found

    @staticmethod
    def _bears(wanted: Scope, scope: str) -> bool:
        """The scope itself, what contains it by name, and the system."""
        if wanted.kind is ScopeKind.SYSTEM:
            return True
        if scope in {str(wanted), "system"}:
            return True
        return wanted.kind is ScopeKind.PIPELINE and scope.startswith(f"stage/{wanted.name}/")


def telling(decisions: Sequence[DecisionModel]) -> tuple[DecisionModel, ...]:
    """The newest, which says why the group has the size it has, and before it those that changed a size."""
    changed = [d for d in decisions[1:] if d.action != "hold"]
    return (*decisions[:1], *changed[: LATELY_SHOWN - 1])


def _entry(at: float, kind: str, scope: str, text: str, identity: str) -> TimelineEntry:
    return TimelineEntry(at=at, kind=kind, scope=scope, text=text, id=identity)


def _of_activities(activities: Iterable[ActivityModel]) -> list[TimelineEntry]:
    found = []
    for a in activities:
        why = f": {a.reason}" if a.reason else ""
        override = f" (override: {a.override_reason})" if a.override_reason else ""
        found.append(_entry(a.began_at, "activity", a.scope, f"{a.kind} began, by {a.holder}{why}{override}", a.id))
        if a.ended_at:
            found.append(_entry(a.ended_at, "activity", a.scope, f"{a.kind} ended: {a.outcome or a.state}", a.id))
    return found


def _of_deployments(deployments: Sequence[DeploymentModel]) -> list[TimelineEntry]:
    found = []
    for d in deployments:
        scope = f"group/{d.group}"
        text = f"deployment of revision {d.revision} ({d.strategy}) by {d.requested_by or 'nobody named'}"
        found.append(_entry(d.started_at, "deployment", scope, text, d.id))
        if d.ended_at:
            ended = TimelineEntry(
                at=d.ended_at, kind="deployment", scope=scope, text=d.phase, id=d.id, reasons=d.reasons
            )
            found.append(ended)
    return found


def _of_decisions(decisions: Sequence[DecisionModel]) -> list[TimelineEntry]:
    return [
        TimelineEntry(
            at=d.at,
            kind="decision",
            scope=f"group/{d.group}",
            text=f"{d.action}: {d.current} -> {d.wanted} nodes" + (f", {d.outcome}" if d.outcome else ""),
            id=d.id,
            reasons=d.reasons,
        )
        for d in decisions
    ]


def _of_drift(findings: Sequence[DriftFinding]) -> list[TimelineEntry]:
    return [
        _entry(
            f.found_at,
            "drift",
            f"group/{f.group}",
            f"{f.drift_class} drift: {f.resource} {f.field} is {f.live}, declared {f.declared}; {f.state}",
            f.id,
        )
        for f in findings
    ]
