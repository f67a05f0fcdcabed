"""What a set of policies says of a request, after the IAM user guide, "Policy evaluation logic".

An explicit Deny wins, then an Allow; without either it is denied. A statement that can not be understood allows
nothing, and denies: a policy fails closed.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from localcloud.aws.iam.conditions import Context, holds, like, substitute, texts

ALLOW, DENY = "Allow", "Deny"


class Effect(Enum):
    """What policies say."""

    ALLOWED = auto()
    DENIED = auto()  # by a statement
    SILENT = auto()  # nothing allows it, which denies it too


@dataclass(slots=True, frozen=True)
class Question:
    """A request: an action such as "s3:GetObject", one resource, and the condition keys."""

    action: str
    resource: str
    context: Context


class PolicyUnreadableError(ValueError):
    """A policy document that is not one."""


def statements(document: str | Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The statements of a document; PolicyUnreadableError."""
    try:
        parsed = json.loads(document) if isinstance(document, str) else document
        found = parsed["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        raise PolicyUnreadableError(f"not a policy document: {error}") from error
    items = found if isinstance(found, list) else [found]
    if not all(isinstance(one, Mapping) for one in items):
        raise PolicyUnreadableError("a statement must be an object")
    return items


def evaluate(documents: Iterable[str | Mapping[str, Any]], question: Question) -> Effect:
    """What identity policies say."""
    allowed = False
    for document in documents:
        try:
            found = statements(document)
        except PolicyUnreadableError:
            return Effect.DENIED
        for statement in found:
            if not matches(statement, question):
                continue
            if statement.get("Effect") != ALLOW:
                return Effect.DENIED
            allowed = True
    return Effect.ALLOWED if allowed else Effect.SILENT


def evaluate_trust(document: str | Mapping[str, Any], question: Question, principals: Mapping[str, set[str]]) -> Effect:
    """What a role's trust policy says of who wants to assume it; `principals`: kind ("AWS", "Service") -> its names."""
    try:
        of_caller = [
            {**statement, "Resource": "*"}
            for statement in statements(document)
            if names_principal(statement, principals)
        ]
    except PolicyUnreadableError:
        return Effect.DENIED
    return evaluate([{"Statement": of_caller}], question)


def names_principal(statement: Mapping[str, Any], principals: Mapping[str, set[str]]) -> bool:
    """Whether a statement is about one of these principals.

    >>> names_principal({"Principal": {"Service": "ec2.amazonaws.com"}}, {"Service": {"ec2.amazonaws.com"}})
    True
    """
    wanted = statement.get("Principal")
    if wanted == "*":
        return True
    if not isinstance(wanted, Mapping):
        return False
    return any(
        name in names or (name == "*" and kind == "AWS" and bool(names))
        for kind, names in principals.items()
        for name in texts(wanted.get(kind, []))
    )


def matches(statement: Mapping[str, Any], question: Question) -> bool:
    """Whether a statement is about the request."""
    try:
        return (
            _action_matches(statement, question.action)
            and _resource_matches(statement, question)
            and holds(statement.get("Condition") or {}, question.context)
        )
    except (ValueError, AttributeError):
        return statement.get("Effect") != ALLOW


def _action_matches(statement: Mapping[str, Any], action: str) -> bool:
    wanted, negated = ("NotAction", True) if "NotAction" in statement else ("Action", False)
    found = any(like(pattern.lower(), action.lower()) for pattern in texts(statement.get(wanted, [])))
    return found is not negated


def _resource_matches(statement: Mapping[str, Any], question: Question) -> bool:
    wanted, negated = ("NotResource", True) if "NotResource" in statement else ("Resource", False)
    patterns = (substitute(text, question.context) for text in texts(statement.get(wanted, [])))
    found = any(pattern is not None and like(pattern, question.resource) for pattern in patterns)
    return found is not negated
