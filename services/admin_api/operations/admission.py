"""Asking the Observer before anything is written: the same admission that decides the real request, dry."""

from services.admin_api.domain.roles import Actor
from services.admin_api.operations.context import Context
from shared.contracts.admission import TTL_S_MIN, BeginInput
from shared.domain.activity import ActivityKind
from shared.domain.errors import Refused


def dry_request(
    context: Context, actor: Actor, kind: ActivityKind, scope: str, override_reason: str = ""
) -> BeginInput:
    """A question whose answer is no lease."""
    return BeginInput(
        kind=kind,
        scope=scope,
        ttl_s=TTL_S_MIN,
        request_id=context.ids.new("dry"),
        holder=actor.name,
        override_reason=override_reason,
        dry_run=True,
    )


async def refuse_unless_admitted(context: Context, request: BeginInput, what: str) -> None:
    """Refused with every reason, when `what` would not be admitted now; `request` is a dry one."""
    answer = await context.peers.observer.begin(request)
    if answer.outcome == "blocked":
        raise Refused(
            f"{what} of {request.scope} is not admitted now",
            reasons=tuple(r.to_domain() for r in answer.reasons),
            retry_after_s=answer.retry_after_s or None,
            remedy=f"`headrace explain {request.scope} --do {request.kind.value.lower()}` shows when; `--queue` waits for it",
        )
