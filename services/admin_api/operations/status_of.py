"""From intent and what the services report to the status that people see. Pure.

What a service did not answer is UNKNOWN, with the reason as a condition; it is never shown as well. What is observed
(`observed_generation`) is the generation that is carried out: when intent differs from it only in what a deployment
brings (code, environment, variables), it is compared with the running revision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.admin_api.domain.comparing import compared
from services.admin_api.domain.planning import DEPLOYED_FIELDS
from services.admin_api.domain.records import ObjectKind, StoredObject
from services.admin_api.operations.views import Condition, Pending, ReasonView, StatusView
from shared.contracts.admission import VerdictModel
from shared.contracts.provisioning import EnvironmentModel, GroupModel, PipelineModel, Revision

UNKNOWN = "UNKNOWN"
GOOD = frozenset({"HEALTHY", "IDLE"})
PENDING_MAX = 20
UNREADY = frozenset({"PENDING", "CREATING", "BUILDING", "ERROR", "FAILED"})


@dataclass(frozen=True, slots=True)
class Seen:
    """What the services report; a None means that the service did not answer."""

    groups: Mapping[str, GroupModel] | None = None
    pipelines: Mapping[str, PipelineModel] | None = None
    environments: Mapping[str, EnvironmentModel] | None = None
    verdicts: Mapping[str, VerdictModel] | None = None
    unanswered: tuple[ReasonView, ...] = ()


def status_of(stored: StoredObject, seen: Seen) -> tuple[StatusView, int]:
    """Status and observed generation."""
    match stored.key.kind:
        case ObjectKind.ENVIRONMENT:
            return _environment(stored, seen)
        case ObjectKind.SERVER_GROUP:
            return _group(stored, seen)
        case ObjectKind.PIPELINE:
            return _pipeline(stored, seen)


def unfinished(stored: StoredObject, seen: Seen) -> str:
    """Why intent that was applied is to be carried out once more; empty when it is there, or nobody can tell.

    What only a deployment brings is left to deployments: one that was rolled back is not begun again by an apply.
    """
    status, _ = status_of(stored, seen)
    if stored.deleted or status.phase == UNKNOWN:
        return ""
    if status.phase in UNREADY:
        return f"it was applied, and did not become ready: {status.detail or status.phase}"
    if status.fleets and not any(fleet.weight > 0 for fleet in status.fleets):
        return "it was applied, and no traffic goes to it: its creation did not come to its end"
    fields = [p.field for p in status.pending if p.field.split(".")[0] not in DEPLOYED_FIELDS]
    return f"it was applied, and is not yet as declared: {', '.join(fields)}" if fields else ""


def _environment(stored: StoredObject, seen: Seen) -> tuple[StatusView, int]:
    if seen.environments is None:
        return _unseen(stored, seen), 0
    made = seen.environments.get(stored.key.name)
    if made is None:
        return _absent(stored), 0
    pending = _pending(stored, made.spec.model_dump(mode="json"), ())
    phase = _phase(stored, made.phase)
    status = StatusView(
        phase=phase,
        detail=made.detail,
        verdict="",
        conditions=(_ready(phase, made.detail), _converged(pending)),
        pending=pending,
        digest=made.digest,
    )
    return status, stored.generation if not pending else stored.generation - 1


def _group(stored: StoredObject, seen: Seen) -> tuple[StatusView, int]:
    if seen.groups is None:
        return _unseen(stored, seen), 0
    made = seen.groups.get(stored.key.name)
    if made is None:
        return _absent(stored), 0
    pending = (*_pending(stored, made.spec.model_dump(mode="json"), DEPLOYED_FIELDS), *_undeployed(stored, made))
    phase = _phase(stored, made.phase)
    verdict, health = _health(f"group/{stored.key.name}", seen)
    status = StatusView(
        phase=phase,
        detail=made.detail,
        verdict=verdict,
        conditions=(_ready(phase, made.detail), health, _converged(pending)),
        pending=pending,
        fleets=made.fleets,
        pipeline=made.pipeline,
        stage=made.stage,
    )
    return status, stored.generation if not pending else min(made.generation, stored.generation)


def _pipeline(stored: StoredObject, seen: Seen) -> tuple[StatusView, int]:
    if seen.pipelines is None:
        return _unseen(stored, seen), 0
    made = seen.pipelines.get(stored.key.name)
    if made is None:
        return _absent(stored), 0
    pending = _pending(stored, made.spec.model_dump(mode="json"), ())
    phase = _phase(stored, made.phase)
    verdict, health = _health(f"pipeline/{stored.key.name}", seen)
    status = StatusView(
        phase=phase,
        detail=made.detail,
        verdict=verdict,
        conditions=(_ready(phase, made.detail), health, _converged(pending)),
        pending=pending,
        ramp_percent=made.ramp_percent,
    )
    return status, min(made.generation, stored.generation)


def _unseen(stored: StoredObject, seen: Seen) -> StatusView:
    reason = next((r for r in seen.unanswered if r.scope == "service/provisioner"), None)
    condition = Condition(
        type="Ready",
        status="Unknown",
        reason=reason.code if reason else "ProvisionerUnavailable",
        message=reason.text if reason else "the Provisioner did not answer",
    )
    verdict, health = _health(_scope(stored), seen)
    return StatusView(phase=UNKNOWN, detail=condition.message, verdict=verdict, conditions=(condition, health))


def _absent(stored: StoredObject) -> StatusView:
    text = "it is gone" if stored.deleted else "it is declared; nothing of it exists yet"
    condition = Condition(
        type="Ready", status="False", reason="Deleted" if stored.deleted else "NotCreated", message=text
    )
    return StatusView(phase="DELETED" if stored.deleted else "PENDING", detail=text, conditions=(condition,))


def _phase(stored: StoredObject, phase: str) -> str:
    return "DELETING" if stored.deleted else phase


def _scope(stored: StoredObject) -> str:
    return f"{'group' if stored.key.kind is ObjectKind.SERVER_GROUP else stored.key.kind}/{stored.key.name}"


def _ready(phase: str, detail: str) -> Condition:
    ready = phase in {"READY", "RAMPING", "UPDATING"}
    return Condition(type="Ready", status="True" if ready else "False", reason=phase.capitalize(), message=detail)


def _health(scope: str, seen: Seen) -> tuple[str, Condition]:
    if seen.verdicts is None:
        reason = next((r for r in seen.unanswered if r.scope == "service/observer"), None)
        text = reason.text if reason else "the Observer did not answer"
        return UNKNOWN, Condition(
            type="Healthy", status="Unknown", reason=reason.code if reason else "ObserverUnavailable", message=text
        )
    verdict = seen.verdicts.get(scope)
    if verdict is None:
        text = f"the Observer has no verdict on {scope} yet"
        return UNKNOWN, Condition(type="Healthy", status="Unknown", reason="NoVerdict", message=text)
    status = "True" if verdict.effective in GOOD else "Unknown" if verdict.effective == UNKNOWN else "False"
    message = "; ".join(r.text for r in verdict.reasons)
    return verdict.effective, Condition(
        type="Healthy", status=status, reason=verdict.effective.capitalize(), message=message, since=verdict.since
    )


def _converged(pending: Sequence[Pending]) -> Condition:
    if not pending:
        return Condition(type="Converged", status="True", reason="AsDeclared")
    fields = ", ".join(p.field for p in pending)
    return Condition(type="Converged", status="False", reason="Pending", message=f"not yet as declared: {fields}")


def _pending(stored: StoredObject, made: Mapping[str, object], leave_out: Sequence[str]) -> tuple[Pending, ...]:
    fields = [f for f in compared(made, stored.spec) if f.field.split(".")[0] not in leave_out]
    return tuple(Pending(field=f.field, now=f.old, becoming=f.new) for f in fields[:PENDING_MAX])


def _undeployed(stored: StoredObject, made: GroupModel) -> tuple[Pending, ...]:
    running = running_revision(made)
    if running is None:
        return ()
    found = []
    code = running.code.sha256 if running.code else None
    if code != stored.spec.get("code"):
        found.append(Pending(field="code", now=code, becoming=stored.spec.get("code")))
    if dict(running.variables) != dict(stored.spec.get("variables") or {}):
        found.append(Pending(field="variables", now=running.variables, becoming=stored.spec.get("variables")))
    return tuple(found)


def running_revision(made: GroupModel) -> Revision | None:
    """The revision of the fleet that has most of the traffic."""
    if not made.fleets:
        return None
    main = max(made.fleets, key=lambda f: (f.weight, f.revision))
    return next((r for r in made.revisions if r.number == main.revision), None)
