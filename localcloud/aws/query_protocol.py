"""AWS's Query protocol for Auto Scaling: a form comes in, XML goes out; botocore's own service model says their shapes.

The model is read once. What botocore can send is parsed by the same shapes that it was built from, and what it will
parse is written by the shapes that it will read, so that a name can not be misspelt on one side only.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape

import botocore.loaders
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

from localcloud.aws import constraints
from localcloud.aws.errors import AwsError, ValidationError

SERVICE = "autoscaling"
LIST_MEMBERS_MAX = 1_000
TRUE, FALSE = "true", "false"


@lru_cache(maxsize=1)
def service_model() -> ServiceModel:
    """Botocore's description of Auto Scaling."""
    return ServiceModel(botocore.loaders.Loader().load_service_model(SERVICE, "service-2"), SERVICE)


@lru_cache(maxsize=128)
def operation(action: str) -> OperationModel | None:
    """The description of one action; None if AWS has no such action."""
    model = service_model()
    return model.operation_model(action) if action in model.operation_names else None


@lru_cache(maxsize=8)
def operation_of(service: str, action: str) -> OperationModel:
    """The description of an action of another service of the same protocol, which AWS must have."""
    loaded = botocore.loaders.Loader().load_service_model(service, "service-2")
    return ServiceModel(loaded, service).operation_model(action)


def parse(model: OperationModel, form: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a call; ValidationError for what AWS's model does not allow, MalformedInput for a wrong type."""
    if model.input_shape is None:
        return {}
    parsed = _parse_structure(model.input_shape, "", form)
    constraints.check(model.input_shape, parsed)
    return parsed


def _parse_structure(shape: StructureShape, prefix: str, form: Mapping[str, str]) -> dict[str, Any]:
    parsed = {}
    for name, member in shape.members.items():
        key = f"{prefix}.{name}" if prefix else name
        value = _parse(member, key, form)
        if value is not None:
            parsed[name] = value
    return parsed


def _parse(shape: Shape, key: str, form: Mapping[str, str]) -> Any:
    if isinstance(shape, StructureShape):
        return (_parse_structure(shape, key, form) or None) if any(k.startswith(f"{key}.") for k in form) else None
    if isinstance(shape, ListShape):
        return _parse_list(shape, key, form)
    if isinstance(shape, MapShape):
        raise AwsError("InvalidParameterValue", f"{key}: maps are not part of this service")
    return _parse_scalar(shape, key, form[key]) if key in form else None


def _parse_list(shape: ListShape, key: str, form: Mapping[str, str]) -> list[Any] | None:
    if key in form and not form[key]:
        return []
    items: list[Any] = []
    for index in range(1, LIST_MEMBERS_MAX + 1):
        item = _parse(shape.member, f"{key}.member.{index}", form)
        if item is None:
            return items or None
        items.append(item)
    raise ValidationError(f"{key} has more than {LIST_MEMBERS_MAX} members")


def _parse_scalar(shape: Shape, key: str, text: str) -> Any:
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(text)
            case "float" | "double":
                return float(text)
            case "boolean":
                return {TRUE: True, FALSE: False}[text.lower()]
            case "timestamp":
                return datetime.fromisoformat(text)
            case _:
                return text
    except (ValueError, KeyError) as error:
        raise AwsError("MalformedInput", f"{key}: '{text}' is not a {shape.type_name}") from error


def answer(model: OperationModel, result: Mapping[str, Any], request_id: str) -> str:
    """The XML of a successful call."""
    parts = [f'<{model.name}Response xmlns="{model.service_model.metadata["xmlNamespace"]}">']
    shape = model.output_shape
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper") or f"{model.name}Result"
        parts.append(f"<{wrapper}>")
        _write_structure(shape, result, parts)
        parts.append(f"</{wrapper}>")
    parts.append(f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{model.name}Response>")
    return "".join(parts)


def _write_structure(shape: StructureShape, value: Mapping[str, Any], parts: list[str]) -> None:
    members = shape.members
    for name, item in value.items():
        if item is not None and name in members:
            parts.append(f"<{name}>")
            _write(members[name], item, parts)
            parts.append(f"</{name}>")


def _write(shape: Shape, value: Any, parts: list[str]) -> None:
    if isinstance(shape, StructureShape):
        _write_structure(shape, value, parts)
    elif isinstance(shape, ListShape):
        member = shape.member
        for item in value:
            parts.append("<member>")
            _write(member, item, parts)
            parts.append("</member>")
    elif isinstance(value, bool):
        parts.append(TRUE if value else FALSE)
    elif isinstance(value, datetime):
        parts.append(value.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z")
    else:
        parts.append(escape(str(value)))


def refusal(error: AwsError, request_id: str) -> str:
    """The XML of a refused call."""
    kind = "Sender" if error.status < 500 else "Receiver"  # noqa: PLR2004  5xx is the server's fault
    return (
        f'<ErrorResponse xmlns="{service_model().metadata["xmlNamespace"]}"><Error><Type>{kind}</Type>'
        f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
