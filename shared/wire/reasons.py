"""Reasons on the wire."""

from collections.abc import Iterable

from headraceapi.reason.v1 import reason_pb2

from shared.contracts.base import ComparedModel, ReasonModel, RemedyModel


def reason_to_wire(r: ReasonModel) -> reason_pb2.Reason:
    """Contract to protobuf."""
    wire = reason_pb2.Reason(
        code=r.code,
        scope=r.scope,
        text=r.text,
        compared=[
            reason_pb2.Compared(name=c.name, value=c.value, op=c.op, limit=c.limit, unit=c.unit) for c in r.compared
        ],
        remedy=[reason_pb2.Remedy(text=x.text, cli=x.cli, href=x.href) for x in r.remedy],
    )
    if r.since is not None:
        wire.since = r.since
    if r.retry_after_s is not None:
        wire.retry_after_s = r.retry_after_s
    return wire


def reason_of_wire(w: reason_pb2.Reason) -> ReasonModel:
    """Protobuf to contract."""
    return ReasonModel(
        code=w.code,
        scope=w.scope,
        text=w.text,
        compared=tuple(
            ComparedModel(name=c.name, value=c.value, op=c.op, limit=c.limit, unit=c.unit) for c in w.compared
        ),
        since=w.since if w.HasField("since") else None,
        retry_after_s=w.retry_after_s if w.HasField("retry_after_s") else None,
        remedy=tuple(RemedyModel(text=x.text, cli=x.cli, href=x.href) for x in w.remedy),
    )


def reasons_of_wire(wires: Iterable[reason_pb2.Reason]) -> tuple[ReasonModel, ...]:
    """All of them."""
    return tuple(reason_of_wire(w) for w in wires)
