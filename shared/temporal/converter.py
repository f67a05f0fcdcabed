"""Payloads: pydantic models as JSON; a payload that holds a secret is refused, because histories are kept."""

import dataclasses
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import DataConverter

_PLAIN = frozenset({str, int, float, bool, type(None), bytes})  # most of a payload; told without asking for subclasses


def _holds_secret(value: Any) -> bool:
    if type(value) in _PLAIN:
        return False
    if isinstance(value, SecretStr | SecretBytes):
        return True
    if isinstance(value, BaseModel):
        return any(_holds_secret(getattr(value, name)) for name in type(value).model_fields)
    if isinstance(value, dict):
        return any(_holds_secret(v) for v in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return any(_holds_secret(v) for v in value)
    return False


class SecretFreeConverter(PydanticPayloadConverter):
    """Refuses SecretStr anywhere in a payload."""

    def to_payloads(self, values: Any) -> list[Payload]:
        """Encode; TypeError names the type that held a secret."""
        for value in values:
            if _holds_secret(value):
                msg = f"payload of type {type(value).__name__} holds a secret: pass a reference (secret://...) instead"
                raise TypeError(msg)
        return super().to_payloads(values)


DATA_CONVERTER: DataConverter = dataclasses.replace(
    pydantic_data_converter, payload_converter_class=SecretFreeConverter
)
