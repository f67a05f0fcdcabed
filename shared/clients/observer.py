"""The Observer's client."""

from collections.abc import AsyncIterator

import grpc
from headraceapi.observer.v1 import observer_pb2 as pb
from headraceapi.observer.v1.observer_pb2_grpc import ObserverServiceStub

from shared.contracts.admission import (
    ActivityModel,
    AlarmModel,
    BeginAnswer,
    BeginInput,
    EndInput,
    HeartbeatAnswer,
    HeartbeatInput,
    VerdictModel,
)
from shared.grpc.client import call
from shared.grpc.errors import from_wire
from shared.wire.admission import (
    answer_of_wire,
    begin_to_wire,
    end_to_wire,
    heartbeat_answer_of_wire,
    heartbeat_to_wire,
    kind_of_wire,
    verdict_of_wire,
)
from shared.wire.reasons import reasons_of_wire


class ObserverClient:
    """Speaks contracts; every method raises HeadraceError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` comes from `shared.grpc.client.open_channel`."""
        self._stub = ObserverServiceStub(channel)

    async def begin(self, request: BeginInput) -> BeginAnswer:
        """Ask for admission."""
        return answer_of_wire(await call(self._stub.Begin, begin_to_wire(request)))

    async def heartbeat(self, request: HeartbeatInput) -> HeartbeatAnswer:
        """Renew and hear what is asked."""
        return heartbeat_answer_of_wire(await call(self._stub.Heartbeat, heartbeat_to_wire(request)))

    async def end(self, request: EndInput) -> None:
        """Record the outcome."""
        await call(self._stub.End, end_to_wire(request))

    async def verdict(self, scope: str) -> VerdictModel:
        """One verdict; NotFound when the scope is not in the inventory."""
        return verdict_of_wire((await call(self._stub.GetVerdict, pb.GetVerdictRequest(scope=scope))).verdict)

    async def verdicts(self, prefix: str = "") -> list[VerdictModel]:
        """All current verdicts of scopes that start so."""
        found: list[VerdictModel] = []
        token = ""
        while True:
            page = await call(self._stub.ListVerdicts, pb.ListVerdictsRequest(prefix=prefix, page_token=token))
            found.extend(verdict_of_wire(v) for v in page.verdicts)
            token = page.next_page_token
            if not token:
                return found

    async def watch_verdicts(self, prefix: str = "", resume_token: str = "") -> AsyncIterator[tuple[VerdictModel, str]]:
        """Verdicts as they change, each with the token that resumes after it."""
        try:
            async for item in self._stub.WatchVerdicts(
                pb.WatchVerdictsRequest(prefix=prefix, resume_token=resume_token)
            ):
                yield verdict_of_wire(item.verdict), item.resume_token
        except grpc.aio.AioRpcError as e:
            raise from_wire(e, "WatchVerdicts") from None

    async def activities(
        self, scope: str = "", *, include_ended: bool = False, limit: int = 100
    ) -> list[ActivityModel]:
        """What is being done, newest first; at most `limit`."""
        page = await call(
            self._stub.ListActivities,
            pb.ListActivitiesRequest(scope=scope, include_ended=include_ended, page_size=limit),
        )
        return [
            ActivityModel(
                id=a.id,
                kind=kind_of_wire(a.kind),
                scope=a.scope,
                holder=a.holder,
                reason=a.reason,
                token=a.token,
                state=a.state,
                outcome=a.outcome,
                began_at=a.began_at,
                expires_at=a.expires_at,
                ended_at=a.ended_at,
                override_reason=a.override_reason,
            )
            for a in page.activities
        ]

    async def alarms(self, scope: str = "", *, include_resolved: bool = False) -> list[AlarmModel]:
        """Alarms."""
        page = await call(self._stub.ListAlarms, pb.ListAlarmsRequest(scope=scope, include_resolved=include_resolved))
        return [
            AlarmModel(
                id=a.id,
                scope=a.scope,
                alarm_class=a.alarm_class,
                state=a.state,
                reasons=reasons_of_wire(a.reasons),
                since=a.since,
                quieted_by=a.quieted_by,
            )
            for a in page.alarms
        ]

    async def quiet(  # noqa: PLR0913  a window has this many parts
        self, scope: str, classes: tuple[str, ...], seconds: float, holder: str, reason: str, request_id: str
    ) -> str:
        """Open a quiet window; gives its id."""
        answer = await call(
            self._stub.Quiet,
            pb.QuietRequest(
                scope=scope, classes=classes, seconds=seconds, holder=holder, reason=reason, request_id=request_id
            ),
        )
        return str(answer.window_id)

    async def freeze(  # noqa: PLR0913
        self, scope: str, seconds: float, holder: str, reason: str, request_id: str, *, lift: bool = False
    ) -> str:
        """Freeze a scope or lift its freeze; gives the freeze's activity id."""
        answer = await call(
            self._stub.Freeze,
            pb.FreezeRequest(
                scope=scope, seconds=seconds, holder=holder, reason=reason, request_id=request_id, lift=lift
            ),
        )
        return str(answer.activity_id)
