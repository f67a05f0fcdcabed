"""The two faces on real transports: gRPC over mutual TLS, activities and the workflow's start over Temporal."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from localcloud import ports
from localcloud.certificates import DevelopmentAuthority
from localcloud.servers.temporal import TemporalServer
from services.autoscaler.adapters.scalings import TemporalScalings
from services.autoscaler.grpc_api import ALLOWED, SERVICE
from shared.clients.autoscaler import AutoscalerClient
from shared.contracts import queues
from shared.contracts.activities import ACTIVITIES, Nothing, SweepReport
from shared.contracts.scaling import ReleaseInput, SetDesiredInput, WaitInServiceInput
from shared.domain.errors import Denied, InvalidInput, NotFound, StaleLease, Unavailable
from shared.grpc.client import open_channel
from shared.grpc.server import GrpcServer
from shared.temporal.client import connect
from shared.temporal.errors import error_type
from shared.temporal.worker import ActivityWorker, connected
from tests.autoscaler.groups import GROUP, decided, signals, snapshot
from tests.autoscaler.requests import TWO, ask, scale
from tests.autoscaler.world import World, world

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentAuthority:
    return DevelopmentAuthority(tmp_path_factory.mktemp("tls"), "test")


@asynccontextmanager
async def served(
    w: World, authority: DevelopmentAuthority, caller: str = "deployer"
) -> AsyncIterator[AutoscalerClient]:
    server = GrpcServer("127.0.0.1:0", authority.service("autoscaler"), w.service.api.add_to, (SERVICE,), ALLOWED)
    await server.start()
    channel = open_channel(server.address, authority.service(caller))
    yield AutoscalerClient(channel)
    await channel.close()
    await server.stop()


async def test_reserve_explain_release_over_grpc(authority: DevelopmentAuthority) -> None:
    w = world(TWO)
    async with served(w, authority) as client:
        with pytest.raises(NotFound, match="no scaling decision"):
            await client.explain(GROUP)
        await w.service.tick.tick()
        answer = await client.reserve(ask(w, 0.25, floor=1))
        assert answer.desired == {"delays-r1": 4, "delays-r2": 1}
        decision, rate, floors = await client.explain(GROUP)
        assert (decision.action, decision.current, rate, floors) == ("hold", 4, None, {"delays-r2": 1})
        await client.release(ReleaseInput(group=GROUP, activity_id="act-1", token=7))
        assert (await client.explain(GROUP))[2] == {}
        assert len(await client.decisions(GROUP)) == 1


async def test_errors_cross_the_wire(authority: DevelopmentAuthority) -> None:
    w = world(TWO)
    async with served(w, authority) as client:
        await client.reserve(ask(w, 0.25, token=9))
        with pytest.raises(StaleLease, match="older than 9"):
            await client.reserve(ask(w, 0.25, token=7))
        with pytest.raises(InvalidInput, match="is not a name"):
            await client.explain("Not A Name")


async def test_what_if_over_grpc(authority: DevelopmentAuthority) -> None:
    async with served(world(), authority, "admin_api") as client:
        assert (await client.recommend(GROUP, 1500, 0)).wanted == 8
        assert (await client.recommend(GROUP, 40, 0, cpu_percent=10.0)).action == "in"


async def test_only_holders_may_reserve(authority: DevelopmentAuthority) -> None:
    w = world(TWO)
    async with served(w, authority, "admin_api") as client:
        with pytest.raises(Denied, match="service/admin_api may not call"):
            await client.reserve(ask(w, 0.25))
    assert w.cloud.writes == []


@workflow.defn(name="CallOne")
class CallOne:
    """Calls one activity by the name and types of the table."""

    @workflow.run
    async def run(self, name: str, queue: str, given: dict[str, Any]) -> Any:
        row = ACTIVITIES[name]
        return await workflow.execute_activity(
            name,
            row.input.model_validate(given),
            result_type=row.output,
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=30),
        )


@dataclass
class Called:
    """Calls activities of a world through a real server."""

    client: Client
    world: World
    queue: str

    async def call(self, name: str, given: BaseModel) -> Any:
        row = ACTIVITIES[name]
        found = await self.client.execute_workflow(
            "CallOne",
            args=[name, self.queue, given.model_dump(mode="json")],
            id=f"{self.queue}-{next(NUMBERS)}",
            task_queue=f"{self.queue}-w",
        )
        return row.output.model_validate(found)


@pytest.fixture
async def called(temporal: TemporalServer, unique_name: str) -> AsyncIterator[Called]:
    client, w = await connected(await connect(temporal.address, temporal.namespace)), world(TWO)
    worker = ActivityWorker(client, unique_name, w.service.activities.all())
    await worker.start()
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=f"{unique_name}-w", workflows=[CallOne], workflow_runner=runner):
        yield Called(client, w, unique_name)
    await worker.stop()


def test_every_activity_of_the_table_is_there() -> None:
    mine = {name for name, row in ACTIVITIES.items() if row.queue == queues.AUTOSCALER}
    found = {activity._Definition.must_from_callable(f).name for f in world().service.activities.all()}
    assert found == mine


async def test_every_activity_answers_over_temporal_and_again_alike(called: Called) -> None:
    w = called.world
    await w.service.tick.tick()
    for _ in range(2):
        reserved = await called.call("autoscaler.reserve", ask(w, 0.25, floor=1))
        assert reserved.desired == {"delays-r1": 4, "delays-r2": 1}
        out = scale("out", 4, 5)
        done = await called.call("autoscaler.set_desired", SetDesiredInput(scale=out, lease=w.lease(8)))
        assert done.outcome == "set"
        w.cloud.boots_per_look = 1
        done = await called.call("autoscaler.wait_in_service", WaitInServiceInput(scale=out, timeout_s=60))
        assert (done.outcome, done.in_service) == ("in_service", {"delays-r1": 5})
        await called.call("autoscaler.record_outcome", done)
        await called.call("autoscaler.release", ReleaseInput(group=GROUP, activity_id="act-1", token=7))
    assert w.cloud.sizes() == {"delays-r1": 5, "delays-r2": 1}
    assert await called.call("autoscaler.sweep", Nothing()) == SweepReport()


async def test_a_stale_lease_is_not_tried_again(called: Called) -> None:
    w = called.world
    late = ask(w, 0.25).model_copy(update={"lease": w.lease(left_s=1)})
    with pytest.raises(WorkflowFailureError) as caught:
        await called.call("autoscaler.reserve", late)
    assert error_type(caught.value.cause) == "StaleLease"


async def test_one_scaling_a_group(temporal: TemporalServer) -> None:
    client = await connect(temporal.address, temporal.namespace)
    scalings, decision = TemporalScalings(client), decided(snapshot(4, signals=signals(400)))
    assert await scalings.start(decision)
    assert not await scalings.start(decision)
    handle = client.get_workflow_handle(queues.scale_id(GROUP))
    description = await handle.describe()
    assert (description.workflow_type, description.task_queue) == ("ScaleGroup", queues.WORKFLOWS)
    await handle.terminate()
    assert await scalings.start(decision)
    await handle.terminate()


async def test_a_temporal_that_is_gone_is_unavailable() -> None:
    client = await connect(f"127.0.0.1:{ports.choose()}", "headrace")
    with pytest.raises(Unavailable, match="start ScaleGroup for delays"):
        await TemporalScalings(client).start(decided(snapshot(4, signals=signals(400))))
