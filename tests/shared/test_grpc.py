"""Calls over real mutual TLS: who may call what, what errors look like on the other side, and that calls end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from headraceapi.observer.v1 import observer_pb2 as pb
from headraceapi.observer.v1.observer_pb2_grpc import (
    ObserverServiceServicer,
    ObserverServiceStub,
    add_ObserverServiceServicer_to_server,
)

from localcloud.certificates import DevelopmentAuthority
from shared.clients.observer import ObserverClient
from shared.contracts.admission import BeginAnswer, BeginInput, EndInput, LeaseModel, VerdictModel
from shared.domain.activity import ActivityKind, ActivityOutcome
from shared.domain.errors import Defect, Denied, InvalidInput, Refused, Unavailable
from shared.domain.reason import Compared, Reason
from shared.grpc.client import call, open_channel
from shared.grpc.identity import peer_identity
from shared.grpc.server import GrpcServer
from shared.wire.admission import answer_to_wire, begin_of_wire, verdict_to_wire

SERVICE = "headraceapi.observer.v1.ObserverService"
WHY = Reason("LagHigh", "group/g", "lag is high", (Compared("lag_p95_s", 7.2, "<=", 5, "s"),), retry_after_s=3)


class Answers(ObserverServiceServicer):
    """Behaves by the scope it is asked about."""

    async def Begin(self, request: Any, context: Any) -> Any:  # noqa: N802
        asked = begin_of_wire(request)
        match asked.scope:
            case "group/refused":
                raise Refused("group refused: not now", reasons=(WHY,), retry_after_s=3)
            case "group/broken":
                raise KeyError("a secret detail")
            case "group/slow":
                await asyncio.sleep(30)
            case _:
                pass
        lease = LeaseModel(activity_id=str(peer_identity(context)), token=3, kind=asked.kind, scope=asked.scope)
        return answer_to_wire(BeginAnswer(outcome="granted", lease=lease, lease_ttl_s=asked.ttl_s))

    async def WatchVerdicts(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        for number in range(3):
            verdict = VerdictModel(scope="system", state="HEALTHY", effective="HEALTHY", seq=number)
            yield pb.WatchVerdictsResponse(verdict=verdict_to_wire(verdict), resume_token=str(number))
        raise Refused("the watch ends")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentAuthority:
    return DevelopmentAuthority(tmp_path_factory.mktemp("tls"), "test")


@pytest.fixture
async def server(authority: DevelopmentAuthority) -> AsyncIterator[GrpcServer]:
    made = GrpcServer(
        "127.0.0.1:0",
        authority.service("observer"),
        lambda s: add_ObserverServiceServicer_to_server(Answers(), s),
        [SERVICE],
        {SERVICE: frozenset({"service/*"}), f"{SERVICE}/End": frozenset({"service/autoscaler"})},
    )
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def channel(server: GrpcServer, authority: DevelopmentAuthority) -> AsyncIterator[grpc.aio.Channel]:
    made = open_channel(server.address, authority.service("deployer"))
    yield made
    await made.close()


def asking(scope: str) -> BeginInput:
    return BeginInput(kind=ActivityKind.DEPLOY, scope=scope, ttl_s=30, request_id="r", holder="h", signal_age_s=2)


async def test_the_server_knows_who_calls(channel: grpc.aio.Channel) -> None:
    answer = await ObserverClient(channel).begin(asking("group/g"))
    assert answer.lease == LeaseModel(
        activity_id="service/deployer", token=3, kind=ActivityKind.DEPLOY, scope="group/g"
    )


async def test_an_error_comes_out_as_it_went_in(channel: grpc.aio.Channel) -> None:
    with pytest.raises(Refused) as caught:
        await ObserverClient(channel).begin(asking("group/refused"))
    assert caught.value.reasons == (WHY,)
    assert caught.value.retry_after_s == 3


async def test_a_bad_field_is_named(channel: grpc.aio.Channel) -> None:
    stub = ObserverServiceStub(channel)
    with pytest.raises(InvalidInput, match="ttl_s"):
        await call(stub.Begin, pb.BeginRequest(kind=pb.ACTIVITY_KIND_DEPLOY, scope="system", request_id="r", ttl_s=-1))
    with pytest.raises(InvalidInput, match="kind"):
        await call(stub.Begin, pb.BeginRequest(scope="system", request_id="r", ttl_s=30))


async def test_our_own_bugs_tell_nothing(channel: grpc.aio.Channel) -> None:
    with pytest.raises(Defect) as caught:
        await ObserverClient(channel).begin(asking("group/broken"))
    assert "secret" not in str(caught.value)


async def test_what_is_not_allowed_is_denied(channel: grpc.aio.Channel) -> None:
    with pytest.raises(Denied, match="service/deployer may not call"):
        await ObserverClient(channel).end(EndInput(activity_id="a", token=1, outcome=ActivityOutcome.DONE))


async def test_a_call_ends_at_its_deadline(channel: grpc.aio.Channel) -> None:
    request = pb.BeginRequest(kind=pb.ACTIVITY_KIND_DEPLOY, scope="group/slow", request_id="r", ttl_s=30)
    with pytest.raises(Unavailable):
        await call(ObserverServiceStub(channel).Begin, request, deadline_s=0.3)


async def test_a_watch_gives_items_then_its_error(channel: grpc.aio.Channel) -> None:
    seen: list[tuple[int, str]] = []

    async def watch() -> None:
        async for verdict, token in ObserverClient(channel).watch_verdicts():
            seen.append((verdict.seq, token))

    with pytest.raises(Refused, match="the watch ends"):
        await watch()
    assert seen == [(0, "0"), (1, "1"), (2, "2")]


async def test_health_is_served(channel: grpc.aio.Channel) -> None:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=60)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_without_a_certificate_nobody_is_heard(server: GrpcServer, authority: DevelopmentAuthority) -> None:
    trust = grpc.ssl_channel_credentials(root_certificates=authority.files.certificate.read_bytes())
    async with grpc.aio.secure_channel(server.address, trust) as channel:
        with pytest.raises(Unavailable):
            await ObserverClient(channel).begin(asking("group/g"))


async def test_a_certificate_of_another_authority_is_turned_away(server: GrpcServer, tmp_path: Path) -> None:
    stranger = DevelopmentAuthority(tmp_path, "test")
    async with open_channel(server.address, stranger.service("deployer")) as channel:
        with pytest.raises(Unavailable):
            await ObserverClient(channel).begin(asking("group/g"))
