"""Plans as people see them, and the digest that says that a plan is the one that was shown."""

import json
from hashlib import sha256
from typing import Any

from services.admin_api.domain.records import Action, Plan, Spec
from services.admin_api.operations.views import ChangeView, FieldChangeView, PlanView, ReasonView


def digest_of(plan: Plan) -> str:
    """Over everything that applying it would do."""
    body = [[c.action, str(c.key), c.base_generation, _plain(c.spec)] for c in plan.changes]
    return sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _plain(spec: Spec | None) -> Any:
    return None if spec is None else dict(spec)


def plan_view(plan: Plan) -> PlanView:
    """As people see it."""
    counts = {a.value: sum(c.action is a for c in plan.changes) for a in Action}
    return PlanView(
        id=plan.id,
        workspace=plan.workspace,
        source=plan.source,
        created_at=plan.created_at.timestamp(),
        created_by=plan.created_by,
        changes=tuple(
            ChangeView(
                action=c.action,
                kind=c.key.kind,
                name=c.key.name,
                base_generation=c.base_generation,
                fields=tuple(FieldChangeView(field=f.field, old=f.old, new=f.new, why=f.why) for f in c.fields),
                deploys=c.deploys,
                why=c.why,
            )
            for c in plan.changes
        ),
        counts=counts,
        unchanged=plan.unchanged,
        warnings=plan.warnings,
        blocked=tuple(ReasonView.of(r) for r in plan.blocked),
        operation=plan.operation,
        digest=digest_of(plan),
    )
