"""What every operation stands on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.admin_api.domain.ports import CodeStore, Credentials, Store, Unit, Workflows
from services.admin_api.domain.records import AuditEntry
from services.admin_api.domain.roles import Actor, Verb, denied
from services.admin_api.operations.peers import Peers
from shared.domain.clock import Clock, Ids
from shared.domain.errors import Denied
from shared.domain.names import Workspace


@dataclass(frozen=True, slots=True)
class Context:
    """Ports; `changed` wakes the event streams."""

    store: Store
    workflows: Workflows
    peers: Peers
    code: CodeStore
    credentials: Credentials
    clock: Clock
    ids: Ids
    workspace: Workspace
    changed: Callable[[], None]

    def require(self, actor: Actor, verb: Verb) -> None:
        """Denied with the reason when the actor may not."""
        reason = denied(actor, verb, self.workspace)
        if reason is not None:
            raise Denied(reason.text, remedy=reason.remedy[0].text, reasons=(reason,))

    async def audit(  # noqa: PLR0913  an entry has this many parts
        self,
        unit: Unit,
        actor: Actor,
        action: str,
        subject: str,
        *,
        reason: str = "",
        outcome: str = "done",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Add to the audit log, in the same transaction as what it tells of."""
        entry = AuditEntry(
            at=self.clock.now(),
            actor=actor.name,
            role=actor.role.value,
            via=actor.via,
            action=action,
            subject=subject,
            outcome=outcome,
            reason=reason,
            request_id=actor.request_id,
            detail=dict(detail or {}),
        )
        await unit.audit.append(entry)
