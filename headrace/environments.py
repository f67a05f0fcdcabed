"""Environments: an immutable set of dependencies that code runs in."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from headrace.declaring import HeadraceObject, written_at
from headrace.errors import DeclarationError

REQUIREMENTS_LENGTH_MAX = 100_000


class Environment(HeadraceObject):
    """`requirements` is the text of a requirements file, or the path of one (relative to the declaring file)."""

    kind: Literal["environment"] = "environment"
    requirements: str = Field(max_length=REQUIREMENTS_LENGTH_MAX)
    python: str = "3.11"

    @model_validator(mode="before")
    @classmethod
    def _read_file(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and isinstance(fields.get("requirements"), str | Path):
            return fields | {"requirements": _text_of(fields["requirements"])}
        return fields


def _text_of(requirements: str | Path) -> str:
    text = str(requirements)
    looks_like_file = isinstance(requirements, Path) or ("\n" not in text and text.endswith((".txt", ".in")))
    if not looks_like_file:
        return text
    file, line = written_at()
    path = Path(file).parent / text if file else Path(text)
    try:
        return path.read_text()
    except OSError as e:
        raise DeclarationError(
            f"{file}:{line}: Environment.requirements: {str(path)!r} cannot be read: {e.strerror}",
            field="requirements",
            remedy="write the file, or give the requirements as text",
        ) from None
