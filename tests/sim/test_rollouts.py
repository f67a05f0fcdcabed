"""The world of rollouts: one day without faults goes as it should, so that what breaks under faults means something."""

import asyncio
import logging
from typing import Any

import pytest

from shared.domain.errors import Unavailable
from tests.sim.kernel.http import Web
from tests.sim.kernel.loop import SimLoop
from tests.sim.kernel.network import Network
from tests.sim.kernel.processes import Process
from tests.sim.kernel.record import Record
from tests.sim.kernel.seal import sealed
from tests.sim.kernel.streams import Streams
from tests.sim.plan import Event, Plan
from tests.sim.run import _logs_into, run
from tests.sim.seeds import plan_of
from tests.sim.temporal.virtual import in_virtual_time

DAY: tuple[Event, ...] = (
    {"at": 5.0, "do": "apply"},
    {"at": 300.0, "do": "deploy", "body": {"group": "a", "variables": {"build": "2"}, "wait": True}},
    {
        "at": 800.0,
        "do": "deploy",
        "body": {"group": "a", "variables": {"build": "3", "quality": "bad"}, "wait": True},
    },
    {"at": 1200.0, "do": "load", "group": "b", "factor": 3.0, "for_s": 300.0},
    {"at": 1300.0, "do": "drift", "group": "a", "field": "MaxSize"},
)


def test_a_day_without_faults_has_a_deployment_a_rollback_growth_and_a_repair() -> None:
    outcome = run(Plan("rollout", 1, 2400.0, 1700.0, 0.0, 0.0, DAY), keep=True)
    assert outcome.green, outcome.what
    said = [line.text for line in outcome.lines]
    assert outcome.reached["rollback done"] == 1
    assert [s for s in said if s.startswith("engine removes autoscaling group")] == [
        "engine removes autoscaling group default-a-r1",
        "engine removes autoscaling group default-a-r3",
    ]
    sizes = [line.text for line in outcome.lines if line.scope == "group/b" and line.text.startswith("sets ")]
    assert any("-> 6" in s or "-> 7" in s for s in sizes), sizes
    assert outcome.reached["begin granted 6"] >= 1, "the drift was repaired under a lease"


def test_every_twelfth_seed_is_about_rollouts() -> None:
    assert [seed for seed in range(24) if plan_of(seed).scenario == "rollout"] == [1, 13]


def test_what_workflows_log_is_told_in_the_timeline_and_takes_no_real_clock() -> None:
    record, escaped = Record(lambda: 1.5, keep=True), list[BaseException]()
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)  # as a process has it that called `configure_logs`
    try:
        with _logs_into(record), sealed(escaped.append):
            logging.getLogger("temporalio.workflow").error("PAGE: rollback of group %s failed", "a")
            logging.getLogger("temporalio.workflow").info("not told, whatever was set before")
        assert root.level == logging.INFO
    finally:
        root.setLevel(before)
    assert [line.text for line in record.lines] == ["log error PAGE: rollback of group a failed"]
    assert escaped == []


async def _boot(_: Any) -> None:
    """Nothing runs in it."""


async def _asked_where_nobody_listens() -> str:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    record = Record(loop.time)
    processes = {n: Process(n, loop, record, _boot) for n in ("people", "admin")}
    web = Web(Network(loop, Streams(1), record, 0.0, processes), processes)
    with pytest.raises(Unavailable) as refused:
        await web.call("people", "admin", "GET", "/v1/plans", None, {}, 5.0)
    return str(refused.value)


def test_a_server_that_is_down_refuses_the_connection() -> None:
    assert "connection refused" in in_virtual_time(_asked_where_nobody_listens())
