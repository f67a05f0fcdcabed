"""The base of every contract: frozen, strict about unknown fields where a person types, lenient between services."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from shared.domain.errors import HeadraceError, InvalidInput
from shared.domain.names import checked_name
from shared.domain.reason import Compared, Reason, Remedy


class Contract(BaseModel):
    """Between services: unknown fields of a newer peer are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Declared(BaseModel):
    """Typed by a person: an unknown field is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _name(value: str) -> str:
    try:
        return checked_name(value, "name")
    except HeadraceError as e:
        raise ValueError(str(e)) from e  # pydantic adds the path of the field


SHOWN_MAX = 5


def invalid_input(failure: ValidationError) -> InvalidInput:
    """Pydantic's findings as one error that names each field, its value and what is wrong."""
    found = [
        f"{'.'.join(str(p) for p in e['loc']) or 'object'}: {e['msg'].removeprefix('Value error, ')}"
        + ("" if isinstance(e.get("input"), dict | list) else f" (got {str(e.get('input'))[:80]!r})")
        for e in failure.errors(include_url=False, include_context=False)
    ]
    first = failure.errors(include_url=False)[0]["loc"]
    more = f"; and {len(found) - SHOWN_MAX} more" if len(found) > SHOWN_MAX else ""
    return InvalidInput("; ".join(found[:SHOWN_MAX]) + more, field=".".join(str(p) for p in first))


Name = Annotated[str, AfterValidator(_name), Field(max_length=63)]


class ComparedModel(Contract):
    """Wire form of `Compared`."""

    name: str
    value: float
    op: str
    limit: float
    unit: str = ""


class RemedyModel(Contract):
    """Wire form of `Remedy`."""

    text: str
    cli: str = ""
    href: str = ""


class ReasonModel(Contract):
    """Wire form of `Reason`; `since` is seconds since the epoch."""

    code: str
    scope: str
    text: str
    compared: tuple[ComparedModel, ...] = ()
    since: float | None = None
    retry_after_s: float | None = None
    remedy: tuple[RemedyModel, ...] = ()

    @classmethod
    def of(cls, reason: Reason) -> "ReasonModel":
        """From the domain."""
        return cls(
            code=reason.code,
            scope=reason.scope,
            text=reason.text,
            compared=tuple(
                ComparedModel(name=c.name, value=c.value, op=c.op, limit=c.limit, unit=c.unit) for c in reason.compared
            ),
            since=reason.since.timestamp() if reason.since else None,
            retry_after_s=reason.retry_after_s,
            remedy=tuple(RemedyModel(text=r.text, cli=r.cli, href=r.href) for r in reason.remedy),
        )

    def to_domain(self) -> Reason:
        """Back to the domain."""
        from datetime import UTC, datetime

        return Reason(
            code=self.code,
            scope=self.scope,
            text=self.text,
            compared=tuple(Compared(c.name, c.value, c.op, c.limit, c.unit) for c in self.compared),
            since=datetime.fromtimestamp(self.since, UTC) if self.since is not None else None,
            retry_after_s=self.retry_after_s,
            remedy=tuple(Remedy(r.text, r.cli, r.href) for r in self.remedy),
        )
