"""Between the JSON that people send and the specs that are kept."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.admin_api.domain.records import ObjectKey, ObjectKind, Spec, kind_of_spec
from shared.contracts.base import invalid_input
from shared.contracts.objects import AnyObject, Environment, Pipeline, ServerGroup
from shared.domain.errors import InvalidInput
from shared.domain.names import Workspace

OBJECTS_MAX = 500  # of one plan
READ_ONLY = (
    "generation",
    "observed_generation",
    "status",
    "actions",
    "source",
    "created_at",
    "updated_at",
    "updated_by",
)
ANY_OBJECT: TypeAdapter[Environment | ServerGroup | Pipeline] = TypeAdapter(AnyObject)
MODELS: Mapping[ObjectKind, type[Environment | ServerGroup | Pipeline]] = {
    ObjectKind.ENVIRONMENT: Environment,
    ObjectKind.SERVER_GROUP: ServerGroup,
    ObjectKind.PIPELINE: Pipeline,
}


def checked_object(body: Mapping[str, Any], workspace: Workspace, field: str = "") -> tuple[ObjectKey, Spec]:
    """Key and spec; InvalidInput names field, value and remedy. What reads add (status, ...) is left out."""
    given = {k: v for k, v in body.items() if k not in READ_ONLY}
    kind = given.get("kind")
    if kind not in {"environment", "pipeline", "transform", "feature", "ingest", "stage"}:
        raise InvalidInput(
            f"{field}kind: {kind!r} is no kind of object",
            field=f"{field}kind",
            remedy="use environment, transform, feature, ingest, stage or pipeline",
        )
    try:
        made = ANY_OBJECT.validate_python(given)
    except ValidationError as e:
        raise _named(invalid_input(e), str(given.get("name", "")), field, str(kind)) from e
    if made.workspace != workspace:
        raise InvalidInput(
            f"{field}workspace: {made.workspace!r} is not this stack's workspace",
            field=f"{field}workspace",
            remedy=f"use {workspace!r}, or leave it out",
        )
    spec = made.model_dump(mode="json")
    return ObjectKey(kind_of_spec(spec), made.name), spec


def checked_objects(bodies: Sequence[Mapping[str, Any]], workspace: Workspace) -> list[tuple[ObjectKey, Spec]]:
    """All of a plan's objects; each may occur once."""
    if len(bodies) > OBJECTS_MAX:
        raise InvalidInput(
            f"objects: {len(bodies)} are above {OBJECTS_MAX}", field="objects", remedy="plan in smaller parts"
        )
    found: dict[ObjectKey, Spec] = {}
    for i, body in enumerate(bodies):
        key, spec = checked_object(body, workspace, f"objects.{i}.")
        if key in found:
            raise InvalidInput(
                f"objects.{i}.name: {key} is declared twice", field=f"objects.{i}.name", remedy="remove one of them"
            )
        found[key] = spec
    return list(found.items())


def _named(error: InvalidInput, name: str, field: str, kind: str) -> InvalidInput:
    """The union's tag leaves the path; the object's name enters the text."""
    path = error.field.removeprefix(f"{kind}.")
    return InvalidInput(
        f"{kind} {name!r}: {error.message.replace(f'{kind}.', '')}",
        field=f"{field}{path}",
        remedy=error.remedy or "correct the value and send it again",
    )
