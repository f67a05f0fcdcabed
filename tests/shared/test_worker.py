"""A worker made from a client that has not connected yet, against the real server."""

import pytest
from temporalio import activity, workflow
from temporalio.client import Client

from localcloud import ports
from localcloud.servers.temporal import TemporalServer
from shared.domain.errors import Unavailable
from shared.temporal import worker
from shared.temporal.client import connect


@activity.defn(name="test.double")
async def double(number: int) -> int:
    return 2 * number


@workflow.defn(name="TestNothing")
class Nothing:
    @workflow.run
    async def run(self) -> str:
        return "done"


async def test_a_lazy_client_is_connected_before_the_worker_polls(temporal: TemporalServer, unique_name: str) -> None:
    client = await connect(temporal.address, temporal.namespace)
    activities = worker.ActivityWorker(client, f"{unique_name}-a", [double])
    workflows = worker.WorkflowWorker(client, unique_name, [Nothing], sandboxed=False)
    await activities.start()
    await workflows.start()
    try:
        assert await client.execute_workflow("TestNothing", id=unique_name, task_queue=unique_name) == "done"
        with pytest.raises(AssertionError, match="look for an option"):
            worker.lengthen_patience(activities._worker)  # type: ignore[arg-type]  # it has no workflows to be patient with
    finally:
        await workflows.stop()
        await activities.stop()


async def test_a_server_that_never_answers_is_named() -> None:
    address = f"127.0.0.1:{ports.choose()}"
    client: Client = await connect(address, "headrace")
    with pytest.raises(Unavailable, match=f"temporal at {address} did not answer"):
        await worker.connected(client, within_s=0.2)
