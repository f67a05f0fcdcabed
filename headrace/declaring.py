"""The base of every declared class: frozen, keyword-only, strict about names, and aware of where it was written.

A mistake is a `DeclarationError` that names file, line, field, value and remedy. Durations are seconds or text such as
"5m"; a field `bake_s` may be given as `bake`.
"""

import difflib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError

from headrace.errors import DeclarationError

PACKAGE = str(Path(__file__).parent)
SHOWN_MAX = 5
NAME_LENGTH_MAX = 63
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration_s(value: object) -> object:
    """Seconds of "300", "5m", "1h30m" or a number; anything else is left for the type check to refuse.

    >>> duration_s("1h30m"), duration_s("250ms"), duration_s(7)
    (5400.0, 0.25, 7)
    """
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        msg = "it is not a duration: use seconds, or text such as '30s', '5m', '1h30m'"
        raise ValueError(msg)
    return sum(float(n) * _UNIT_S[u] for n, u in parts)


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        msg = "it is not a name: use 1-63 of a-z, 0-9 and '-', starting with a letter and not ending with '-'"
        raise ValueError(msg)
    return value


Seconds = Annotated[float, BeforeValidator(duration_s)]
Name = Annotated[str, AfterValidator(_name), Field(max_length=NAME_LENGTH_MAX)]


class Declared(BaseModel):
    """Something that a person writes."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # unknown names are refused in `__init__`, with a guess

    _file: str = PrivateAttr(default="")
    _line: int = PrivateAttr(default=0)

    def __init__(self, **fields: Any) -> None:
        file, line = written_at()
        known = self._known(fields, file, line)
        try:
            super().__init__(**known)
        except ValidationError as e:
            raise _declaration_error(type(self).__name__, e, f"{file}:{line}" if file else "") from None
        self._file, self._line = file, line

    @classmethod
    def _known(cls, fields: Mapping[str, Any], file: str, line: int) -> dict[str, Any]:
        known: dict[str, Any] = {}
        for name, value in fields.items():
            real = f"{name}_s" if name not in cls.model_fields and f"{name}_s" in cls.model_fields else name
            if real not in cls.model_fields:
                near = difflib.get_close_matches(name, cls.model_fields, n=1)
                raise DeclarationError(
                    f"{file}:{line}: {cls.__name__}.{name}: there is no such field (got {_shown(value)})",
                    field=name,
                    remedy=f"did you mean {near[0]!r}?" if near else "it has " + ", ".join(sorted(cls.model_fields)),
                )
            known[real] = value
        return known

    @property
    def declared_at(self) -> str:
        """`file:line` of the declaration."""
        return f"{self._file}:{self._line}" if self._file else ""

    def changed(self, **fields: Any) -> Self:
        """A copy with some fields changed, checked like a new one."""
        return type(self)(**({n: getattr(self, n) for n in type(self).model_fields} | fields))

    def spec(self) -> dict[str, Any]:
        """The JSON that the admin API takes."""
        return self.model_dump(mode="json")


class HeadraceObject(Declared):
    """What every object has; `name` is unique per kind and workspace."""

    name: Name
    workspace: Name = "default"
    owner: str = Field(default="", max_length=200)
    description: str = Field(default="", max_length=2000)
    labels: dict[str, str] = Field(default_factory=dict, max_length=64)
    prevent_destroy: bool = False

    @property
    def folder(self) -> Path:
        """Where the declaring file lies; relative paths start there."""
        return Path(self._file).parent if self._file else Path.cwd()


def name_of(value: object) -> object:
    """An object stands for its name."""
    return value.name if isinstance(value, HeadraceObject) else value


def written_at() -> tuple[str, int]:
    """File and line of the nearest caller outside this package and pydantic."""
    frame = sys._getframe(1)  # noqa: SLF001  the only cheap way to the caller's line
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE) and "/pydantic/" not in file:
            return file, frame.f_lineno
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "", 0


def _declaration_error(kind: str, failure: ValidationError, place: str) -> DeclarationError:
    found = []
    for error in failure.errors(include_url=False, include_context=False):
        path = ".".join([kind, *(str(p) for p in error["loc"])])
        text = error["msg"].removeprefix("Value error, ").replace("Input should", "it should", 1)
        sentence = "it is missing" if error["type"] == "missing" else text
        got = "" if error["type"] == "missing" or not error["loc"] else f" (got {_shown(error['input'])})"
        found.append(f"{path}: {sentence}{got}")
    first = failure.errors(include_url=False)[0]["loc"]
    more = f"; and {len(found) - SHOWN_MAX} more" if len(found) > SHOWN_MAX else ""
    return DeclarationError(
        (f"{place}: " if place else "") + "; ".join(found[:SHOWN_MAX]) + more,
        field=".".join(str(p) for p in first),
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004
