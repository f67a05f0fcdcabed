"""The contract: what the interpreter of Temporal writes, the real server writes too.

`SIM_CONTRACT_SCRIPTS=500 .venv/bin/pytest tests/sim/temporal/test_contract.py` compares more of them.
"""

import asyncio
import difflib
import os
from random import Random

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.worker import Worker

from localcloud.servers.temporal import TemporalServer
from shared.temporal.client import connect
from shared.temporal.worker import connected
from tests.sim.temporal.conditions import Conditions, Service
from tests.sim.temporal.scripts import Script, acted, behave, events, script
from tests.sim.temporal.server import SimTemporal
from tests.sim.temporal.virtual import in_virtual_time

SCRIPTS = int(os.environ.get("SIM_CONTRACT_SCRIPTS", "60"))
AT_ONCE = 30  # on the real server: more make it so slow that order becomes chance
QUEUE = "contract"
Histories = dict[str, list[HistoryEvent]]


async def on_the_real_one(server: TemporalServer) -> Histories:
    client = await connected(await connect(server.address, server.namespace))
    async with Worker(client, task_queue=QUEUE, workflows=[Script], activities=[behave]):
        return await all_acted(client, AT_ONCE)


async def in_the_interpreter() -> Histories:
    server = SimTemporal(Conditions(Random(0)))
    host = Service()
    server.add_workflows(QUEUE, [Script], host)
    server.add_activities(QUEUE, [behave], host)
    found = await all_acted(server.client(), SCRIPTS)
    server.verify()
    assert server.problems == []
    server.stop()
    return found


async def all_acted(client: Client, at_once: int) -> Histories:
    slots = asyncio.Semaphore(at_once)
    found: Histories = {}

    async def one(seed: int) -> None:
        async with slots:
            handle = await acted(client, QUEUE, seed)
            found[f"script {seed}"] = list((await handle.fetch_history()).events)

    await asyncio.gather(*(one(seed) for seed in range(SCRIPTS)))
    return found


def test_scripts_leave_the_same_events_here_and_on_the_real_server(temporal: TemporalServer) -> None:
    real = asyncio.run(on_the_real_one(temporal))
    here = in_virtual_time(in_the_interpreter())
    differ = [
        f"{name}: {script(int(name.split()[1]))}\n" + "\n".join(difflib.ndiff(events(real[name]), events(here[name])))
        for name in sorted(real)
        if events(here[name]) != events(real[name])
    ]
    assert not differ, "- the real server, + the interpreter\n" + "\n\n".join(differ)
