"""The gRPC face: messages in, operations, messages out; no rule of its own."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from headraceapi.observer.v1 import observer_pb2 as pb
from headraceapi.observer.v1.observer_pb2_grpc import ObserverServiceServicer, add_ObserverServiceServicer_to_server
from pydantic import ValidationError

from services.observer.adapters.verdict_documents import model_of_verdict
from services.observer.domain.audits import AuditPoint, AuditReport
from services.observer.domain.loss import BUCKET_S
from services.observer.domain.ports import AuditStore
from services.observer.operations.admit import Admission
from services.observer.operations.people import ByHand
from services.observer.operations.reading import Reading
from services.observer.wire import activity_model, alarm_model, begin_answer, heartbeat_answer, request_of
from shared.domain.activity import ActivityOutcome
from shared.domain.errors import Denied, InvalidInput
from shared.domain.names import ActivityId, FencingToken, RequestId, checked_name
from shared.domain.scope import Scope
from shared.grpc.identity import Identity, peer_identity
from shared.wire.admission import (
    answer_to_wire,
    begin_of_wire,
    heartbeat_answer_to_wire,
    heartbeat_of_wire,
    kind_to_wire,
    verdict_to_wire,
)
from shared.wire.reasons import reason_to_wire

SERVICE = "headraceapi.observer.v1.ObserverService"
_SERVICES = frozenset({"service/*"})
ALLOWED = {
    SERVICE: _SERVICES,
    f"{SERVICE}/ReportAudit": frozenset({"node/*", "service/*"}),
    f"{SERVICE}/GetVerdict": frozenset({"node/*", "service/*"}),
}
PAGE_MAX = 1_000
PAGE_DEFAULT = 100
AUDIT_BATCH = 64
POINTS = frozenset({"in", "out"})


class ObserverApi(ObserverServiceServicer):
    """`ObserverService`."""

    def __init__(self, admission: Admission, by_hand: ByHand, reading: Reading, audits: AuditStore) -> None:
        """The operations."""
        self._admission, self._by_hand, self._reading, self._audits = admission, by_hand, reading, audits

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register."""
        add_ObserverServiceServicer_to_server(self, server)

    async def Begin(self, request: pb.BeginRequest, context: Any) -> pb.BeginResponse:  # noqa: ARG002, N802
        """Ask for admission."""
        try:
            asked = begin_of_wire(request)
        except ValidationError as e:
            raise _invalid(e) from e
        decision = await self._admission.begin(request_of(asked), dry_run=asked.dry_run)
        return answer_to_wire(begin_answer(decision))

    async def Heartbeat(self, request: pb.HeartbeatRequest, context: Any) -> pb.HeartbeatResponse:  # noqa: ARG002, N802
        """Renew."""
        h = heartbeat_of_wire(request)
        held = await self._admission.heartbeat(
            ActivityId(h.activity_id), FencingToken(h.token), parked=h.parked, before_step=h.before_step
        )
        return heartbeat_answer_to_wire(heartbeat_answer(held))

    async def End(self, request: pb.EndRequest, context: Any) -> pb.EndResponse:  # noqa: ARG002, N802
        """Record the outcome."""
        outcomes = [o.value for o in ActivityOutcome]
        if request.outcome not in outcomes:
            remedy = "use one of " + ", ".join(outcomes)
            raise InvalidInput(f"outcome: {request.outcome!r} is none", field="outcome", remedy=remedy)
        await self._admission.end(
            ActivityId(request.activity_id),
            FencingToken(request.token),
            ActivityOutcome(request.outcome),
            request.note,
        )
        return pb.EndResponse()

    async def GetVerdict(self, request: pb.GetVerdictRequest, context: Any) -> pb.GetVerdictResponse:  # noqa: ARG002, N802
        """One verdict."""
        verdict = await self._reading.verdict(Scope.parse(request.scope))
        return pb.GetVerdictResponse(verdict=verdict_to_wire(model_of_verdict(verdict, self._reading.now)))

    async def ListVerdicts(self, request: pb.ListVerdictsRequest, context: Any) -> pb.ListVerdictsResponse:  # noqa: ARG002, N802
        """A page of verdicts, by scope; the token is the last scope given."""
        size = min(request.page_size or PAGE_MAX, PAGE_MAX)
        found = [v for v in await self._reading.verdicts(request.prefix) if str(v.scope) > request.page_token]
        page = sorted(found, key=lambda v: str(v.scope))[:size]
        now = self._reading.now
        return pb.ListVerdictsResponse(
            verdicts=[verdict_to_wire(model_of_verdict(v, now)) for v in page],
            next_page_token=str(page[-1].scope) if len(found) > size else "",
        )

    async def WatchVerdicts(  # noqa: N802
        self,
        request: pb.WatchVerdictsRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[pb.WatchVerdictsResponse]:
        """Verdicts as they change."""
        async for verdict, token in self._reading.watch(request.prefix, request.resume_token):
            wire = verdict_to_wire(model_of_verdict(verdict, self._reading.now))
            yield pb.WatchVerdictsResponse(verdict=wire, resume_token=token)

    async def ListActivities(  # noqa: N802
        self,
        request: pb.ListActivitiesRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ListActivitiesResponse:
        """Newest first; the page token is the last fencing token given."""
        size = min(request.page_size or PAGE_DEFAULT, PAGE_MAX)
        if request.page_token and not request.page_token.isdigit():
            raise InvalidInput(f"page_token: {request.page_token!r} was not given by us", field="page_token")
        found = await self._reading.activities(
            Scope.parse(request.scope) if request.scope else None,
            include_ended=request.include_ended,
            limit=size + 1,
            before=int(request.page_token or 0),
        )
        now = self._reading.now
        page = [activity_model(a, now) for a in found[:size]]
        return pb.ListActivitiesResponse(
            activities=[pb.Activity(**{**a.model_dump(exclude={"kind"}), "kind": kind_to_wire(a.kind)}) for a in page],
            next_page_token=str(page[-1].token) if len(found) > size else "",
        )

    async def ReportAudit(  # noqa: N802
        self,
        request_iterator: AsyncIterator[pb.ReportAuditRequest],
        context: Any,
    ) -> pb.ReportAuditResponse:
        """Loss audits; a node speaks for itself only."""
        caller = peer_identity(context)
        accepted = 0
        batch: list[AuditReport] = []
        async for report in request_iterator:
            batch.append(_report(report, caller))
            if len(batch) >= AUDIT_BATCH:
                accepted += await self._audits.add(batch)
                batch = []
        accepted += await self._audits.add(batch)
        return pb.ReportAuditResponse(accepted=accepted)

    async def ListAlarms(self, request: pb.ListAlarmsRequest, context: Any) -> pb.ListAlarmsResponse:  # noqa: ARG002, N802
        """Newest first."""
        scope = Scope.parse(request.scope) if request.scope else None
        found = await self._reading.alarms(scope, include_resolved=request.include_resolved, limit=PAGE_MAX)
        return pb.ListAlarmsResponse(
            alarms=[
                pb.Alarm(
                    id=a.id,
                    scope=a.scope,
                    alarm_class=a.alarm_class,
                    state=a.state,
                    reasons=[reason_to_wire(r) for r in a.reasons],
                    since=a.since,
                    quieted_by=a.quieted_by,
                )
                for a in map(alarm_model, found)
            ]
        )

    async def Quiet(self, request: pb.QuietRequest, context: Any) -> pb.QuietResponse:  # noqa: ARG002, N802
        """Open a quiet window by hand."""
        _required(request.request_id, "request_id")
        window = await self._by_hand.quiet(
            Scope.parse(request.scope),
            tuple(request.classes),
            request.seconds,
            request.holder,
            request.reason,
            RequestId(request.request_id),
        )
        return pb.QuietResponse(window_id=window)

    async def Freeze(self, request: pb.FreezeRequest, context: Any) -> pb.FreezeResponse:  # noqa: ARG002, N802
        """Freeze a scope, or lift its freeze."""
        scope = Scope.parse(request.scope)
        if request.lift:
            lifted = await self._by_hand.lift(scope, request.holder)
            return pb.FreezeResponse(activity_id=lifted[0].id)
        _required(request.request_id, "request_id")
        activity = await self._by_hand.freeze(
            scope, request.seconds, request.holder, request.reason, RequestId(request.request_id)
        )
        return pb.FreezeResponse(activity_id=activity)


def _report(r: pb.ReportAuditRequest, caller: Identity) -> AuditReport:
    if caller.kind == "node" and r.node != caller.name:
        raise Denied(f"{caller} may not report for node {r.node!r}", field="node", remedy="report for yourself")
    if r.point not in POINTS:
        raise InvalidInput(f"point: {r.point!r} is neither in nor out", field="point")
    if r.minute % BUCKET_S:
        raise InvalidInput(f"minute: {r.minute} is not the start of a minute", field="minute")
    _required(r.report_id, "report_id")
    _required(r.node, "node")
    return AuditReport(
        id=r.report_id,
        node=r.node,
        pipeline=checked_name(r.pipeline, "pipeline"),
        at=AuditPoint(checked_name(r.stage, "stage"), r.point),
        minute=r.minute,
        sketch=r.sketch,
        count=r.count,
        watermark=r.watermark,
        dropped=dict(r.dropped),
    )


def _required(value: str, field: str) -> None:
    if not value:
        raise InvalidInput(f"{field}: it is empty", field=field, remedy="give one per intention")


def _invalid(e: ValidationError) -> InvalidInput:
    """The first thing that is wrong, by name."""
    first = e.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return InvalidInput(f"{field}: {first['input']!r}: {first['msg']}"[:300], field=field, remedy="mend this field")
