"""Who may do what: four roles, each may do all that the ones before it may; one table.

viewer    reads
operator  deploys, holds, resumes, rolls back, quiets, freezes, repairs
owner     changes intent: applies plans, deletes objects, uploads code; reads the audit log
admin     makes and revokes tokens
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.reason import Reason, Remedy

ANY_WORKSPACE = "*"


class Role(StrEnum):
    """Weakest first."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    OWNER = "owner"
    ADMIN = "admin"


class Verb(StrEnum):
    """What requests do."""

    READ = "read"
    DEPLOY = "deploy"
    OPERATE = "operate"
    DECLARE = "declare"
    UPLOAD = "upload"
    AUDIT = "audit"
    TOKENS = "tokens"


NEEDED: dict[Verb, Role] = {
    Verb.READ: Role.VIEWER,
    Verb.DEPLOY: Role.OPERATOR,
    Verb.OPERATE: Role.OPERATOR,
    Verb.UPLOAD: Role.OPERATOR,
    Verb.DECLARE: Role.OWNER,
    Verb.AUDIT: Role.OWNER,
    Verb.TOKENS: Role.ADMIN,
}
_RANK = list(Role)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks; `via` is cli, ui or api; `request_id` joins logs, audit and answer."""

    name: str
    token_id: str
    role: Role
    workspace: str
    via: str = "api"
    request_id: str = ""


def denied(actor: Actor, verb: Verb, workspace: str) -> Reason | None:
    """None when allowed."""
    if actor.workspace not in {ANY_WORKSPACE, workspace}:
        text = f"{actor.name} belongs to workspace {actor.workspace!r}, not to {workspace!r}"
        return Reason(
            "WrongWorkspace", f"workspace/{workspace}", text, remedy=(Remedy("use a token of that workspace"),)
        )
    needed = NEEDED[verb]
    if _RANK.index(actor.role) >= _RANK.index(needed):
        return None
    return Reason(
        "RoleNeeded",
        f"workspace/{workspace}",
        f"{actor.name} is {actor.role}; to {verb} takes {needed}",
        remedy=(
            Remedy(f"ask an admin for a token with role {needed}", cli=f"headrace token create NAME --role {needed}"),
        ),
    )
