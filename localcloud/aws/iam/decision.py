"""Whether a principal may do something, from all policies that have a say (IAM user guide, "Policy evaluation logic", within an account).

An explicit Deny anywhere wins. Then a policy of the resource may allow by itself: whom it names directly (a user, a session, everybody)
whatever his own policies say; a role's session only as far as the role's boundary and the session's policy let it. An account that
is named hands the decision to its own policies. Otherwise identity policies must allow, and each fence (boundary, session policy) too.
"""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.iam.conditions import texts
from localcloud.aws.iam.policy import Effect, PolicyUnreadableError, Question, evaluate, statements
from localcloud.aws.iam.principals import Principal

POLICY_OF_BUCKET = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})
ACCOUNT = "Account"
DIRECTLY, BY_ROLE, BY_ACCOUNT = "directly", "by role", "by account"
Document = str | Mapping[str, Any]


def permits(caller: Principal, question: Question, of_resource: Document | None = None) -> bool:
    """Whether he may; `of_resource` is the policy of what he asks for."""
    identity = evaluate(caller.policies, question)
    fences = [evaluate(fence, question) for fence in (caller.boundaries, caller.session_policies) if fence]
    granted = _granted(caller, question, of_resource) if of_resource is not None else {}
    denied_by_resource = Effect.DENIED in granted.values()
    if caller.kind == ACCOUNT and question.action in POLICY_OF_BUCKET:
        return True  # or nobody could ever mend a policy that shuts everybody out
    if denied_by_resource or Effect.DENIED in {identity, *fences}:
        return False
    if granted.get(DIRECTLY) is Effect.ALLOWED:
        return True
    fenced = all(effect is Effect.ALLOWED for effect in fences)
    return fenced and (identity is Effect.ALLOWED or granted.get(BY_ROLE) is Effect.ALLOWED)


def _granted(caller: Principal, question: Question, document: Document) -> dict[str, Effect]:
    """What a resource's policy says of him, by the way in which it names him."""
    try:
        found = statements(document)
    except PolicyUnreadableError:
        return {DIRECTLY: Effect.DENIED}
    named: dict[str, list[Mapping[str, Any]]] = {DIRECTLY: [], BY_ROLE: [], BY_ACCOUNT: []}
    for statement in found:
        if (way := naming(statement, caller)) is not None:
            named[way].append(statement)
    return {way: evaluate([{"Statement": some}], question) for way, some in named.items() if some}


def naming(statement: Mapping[str, Any], caller: Principal) -> str | None:
    """How a statement of a resource's policy names him: DIRECTLY, BY_ROLE, BY_ACCOUNT; None when it does not."""
    if "NotPrincipal" in statement:
        spared = _named(statement["NotPrincipal"])
        return None if spared & (caller.names["AWS"] | {"*"}) else _everybody(caller)
    wanted = _named(statement.get("Principal"))
    if caller.arn in wanted:
        return DIRECTLY
    if "*" in wanted:
        return _everybody(caller)
    if caller.role_arn and caller.role_arn in wanted:
        return BY_ROLE
    return BY_ACCOUNT if wanted & caller.names["AWS"] else None


def _everybody(caller: Principal) -> str:
    return BY_ROLE if caller.role_arn else DIRECTLY


def _named(principal: object) -> set[str]:
    if isinstance(principal, Mapping):
        return set(texts(principal.get("AWS", [])))
    return {"*"} if principal == "*" else set()
