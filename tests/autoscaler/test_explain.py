"""Decisions as an operator reads them: golden texts."""

from dataclasses import replace
from textwrap import dedent

import pytest

from services.autoscaler.domain.decision import explained
from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.signals import FAILED
from shared.domain.health import VerdictState
from tests.autoscaler.groups import decided, fleet, ok, reservation, signals, snapshot

CPU = {"cpu_cores": ok(3.6), "cpu_nodes": ok(4)}
GOLDEN: tuple[tuple[GroupSnapshot, str], ...] = (
    (
        snapshot(4, policy={"cpu_percent": 60.0}, signals=signals(500, 400, 4000, **CPU)),
        """\
        delays: out 4 -> 7
          arrival = 500
          throughput = 400
          cpu_cores = 3.6
          backlog = 4000
          ready = 4
          pending = 0
          demand = 511.533
          node_rate_declared = 100
          nodes_exact = 6.39417
          backlog_s = 9.9
          nodes_least = 1
          nodes_most = 20
          fleet delays-r1: 4 -> 7
          NeedsMore: rate asks for 7 nodes [nodes 4 (needs >= 7)]
          CpuPlateau: work waits while CPU stands at 45 %: CPU does not show what limits this group [cpu_percent 45 % (needs >= 54)]""",
    ),
    (
        snapshot(8, signals=replace(signals(80), backlog=FAILED), verdict=VerdictState.UNKNOWN),
        """\
        delays: hold at 8
          arrival = 80
          throughput = 80
          ready = 8
          pending = 0
          demand = 80
          node_rate_declared = 100
          nodes_exact = 1
          nodes_least = 1
          nodes_most = 20
          fleet delays-r1: 8 -> 8
          SignalUnknown: backlog is failed: it does not count as zero and blocks scale-in""",
    ),
    (
        snapshot(8, signals=signals(80), verdict=VerdictState.DEGRADED),
        """\
        delays: hold at 8
          arrival = 80
          throughput = 80
          backlog = 0
          ready = 8
          pending = 0
          demand = 80
          node_rate_declared = 100
          nodes_exact = 1
          backlog_s = 0
          nodes_least = 1
          nodes_most = 20
          fleet delays-r1: 8 -> 8
          VerdictNotGood: the Observer holds the group DEGRADED; taking nodes away needs HEALTHY or IDLE""",
    ),
    (
        snapshot(
            fleets=(fleet(3), fleet(1, 2)),
            total_recorded=4,
            reservations=(reservation(2, 0.25, floor=1),),
            signals=signals(600),
        ),
        """\
        delays: out 4 -> 8
          arrival = 600
          throughput = 600
          backlog = 0
          ready = 4
          pending = 0
          demand = 600
          node_rate_declared = 100
          nodes_exact = 7.5
          backlog_s = 0
          nodes_least = 1
          nodes_most = 20
          fleet delays-r1: 3 -> 6
          fleet delays-r2: 1 -> 2
          NeedsMore: rate asks for 8 nodes [nodes 4 (needs >= 8)]""",
    ),
)


@pytest.mark.parametrize(("seen", "text"), GOLDEN)
def test_explained(seen: GroupSnapshot, text: str) -> None:
    assert explained(decided(seen)) == dedent(text)
