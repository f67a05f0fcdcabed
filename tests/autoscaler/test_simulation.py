"""The real decisions against a small deterministic group: step load, boot delay, a CPU that says nothing.

The group: nodes of 100 messages/s, of which boots take `boot_s`; a topic with its lag; a measurement of the last ticks'
rates. No randomness, no time: a run is a fold.
"""

import itertools
from dataclasses import dataclass, field, replace

import pytest

from services.autoscaler.domain.decide import decide
from services.autoscaler.domain.decision import HOLD, IN
from services.autoscaler.domain.memory import GroupMemory
from services.autoscaler.domain.policy import Limits, Policy
from services.autoscaler.domain.signals import Quality
from services.autoscaler.settings import DEMO
from tests.autoscaler.groups import fleet, ok, signals, snapshot

RATE = 100.0  # messages/s one node does


@dataclass
class World:
    """State of the simulated group."""

    limits: Limits
    policy: Policy
    boot_s: float
    ready: int
    shared_limit: float = float("inf")  # messages/s that all nodes together can do: a database they share
    booting: list[float] = field(default_factory=list)
    backlog: float = 0.0
    now_s: float = 1_000_000.0
    memory: GroupMemory = field(default_factory=GroupMemory)
    lags: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    moves: list[tuple[float, str]] = field(default_factory=list)
    rates: list[tuple[float, float]] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)

    def run(self, seconds: float, arrival: float, *, blind: bool = False) -> None:
        """So many seconds of this load."""
        for _ in range(int(seconds / self.limits.tick_s)):
            self._tick(arrival, blind=blind)

    def _tick(self, arrival: float, *, blind: bool) -> None:
        tick_s = self.limits.tick_s
        self.now_s += tick_s
        self.ready += sum(t <= self.now_s for t in self.booting)
        self.booting = [t for t in self.booting if t > self.now_s]
        able = min(self.ready * RATE, self.shared_limit)
        done = min(self.backlog / tick_s + arrival, able)
        self.backlog = max(0.0, self.backlog + (arrival - done) * tick_s)
        self.rates = [*self.rates, (arrival, done)][-max(1, int(self.limits.window_s / tick_s)) :]
        self.lags.append(self.backlog / done if done else 0.0)
        self._decide(blind=blind)
        self.sizes.append(self.ready + len(self.booting))

    def _decide(self, *, blind: bool) -> None:
        size = self.ready + len(self.booting)
        mean_in, mean_done = (sum(r[i] for r in self.rates) / len(self.rates) for i in (0, 1))
        busy = min(1.0, mean_done / (self.ready * RATE)) if self.ready else 0.0
        measured = signals(
            mean_in,
            mean_done,
            self.backlog,
            cpu_cores=ok(0.9 * busy * self.ready, self.now_s),  # never above 45 % of two cores
            cpu_nodes=ok(self.ready, self.now_s),
        )
        measured = replace(
            measured,
            **{n: replace(getattr(measured, n), at_s=self.now_s) for n in ("arrival", "throughput", "backlog")},
        )
        if blind:
            measured = replace(measured, backlog=replace(measured.backlog, value=0.0, quality=Quality.FAILED))
        seen = replace(
            snapshot(),
            policy=self.policy,
            fleets=(fleet(size, in_service=self.ready),),
            signals=measured,
        )
        decision, self.memory = decide(seen, self.memory, self.limits, self.now_s, "dec")
        self.codes |= {r.code for r in decision.reasons}
        if decision.action == HOLD:
            return
        self.moves.append((self.now_s, decision.action))
        wanted = decision.desired[seen.fleets[0].fleet]
        self.booting += [self.now_s + self.boot_s] * max(0, wanted - size)
        self.ready -= max(0, size - wanted)

    @property
    def flips(self) -> int:
        """Changes of direction."""
        actions = [a for _, a in self.moves]
        return sum(a != b for a, b in itertools.pairwise(actions))


PLATEAU = Policy(nodes_min=2, nodes_max=30, cpu_percent=60.0, lag_s=5.0, scale_in_after_s=900.0)


def test_a_step_is_followed_though_cpu_stays_flat_and_nothing_is_declared() -> None:
    world = World(Limits(), PLATEAU, boot_s=180.0, ready=2)
    world.run(1800, arrival=120)
    world.run(3600, arrival=1000)
    assert max(world.lags[-20:]) < PLATEAU.backlog_s_max
    assert 13 <= world.sizes[-1] <= 16  # 12.5 at 80 %, and within the dead band
    assert world.memory.node_rate == pytest.approx(RATE, rel=0.1)
    assert "CpuPlateau" in world.codes


def test_load_that_goes_away_is_followed_slowly_and_once() -> None:
    world = World(Limits(), PLATEAU, boot_s=180.0, ready=2)
    world.run(3600, arrival=1000)
    grown = world.sizes[-1]
    world.run(840, arrival=200)
    assert world.sizes[-1] == grown, "the window keeps what was needed"
    world.run(7200, arrival=200)
    assert world.sizes[-1] == 3
    assert world.flips == 1


def test_constant_load_does_not_flap() -> None:
    world = World(Limits(), replace(PLATEAU, node_rate=RATE), boot_s=180.0, ready=7)
    world.run(86_400, arrival=560)
    assert world.moves == []


def test_waves_of_the_length_of_a_boot_do_not_resonate() -> None:
    world = World(Limits(), replace(PLATEAU, node_rate=RATE), boot_s=180.0, ready=4)
    for _ in range(20):
        world.run(180, arrival=700)
        world.run(180, arrival=200)
    settled = len(world.moves)
    for _ in range(40):
        world.run(180, arrival=700)
        world.run(180, arrival=200)
    assert world.flips <= 1, "what the first wave's backlog asked for may go once"
    assert len(world.moves) == settled
    assert max(world.lags[-100:]) < PLATEAU.backlog_s_max


def test_the_demo_s_lag_returns_within_a_minute() -> None:
    policy = Policy(nodes_min=1, nodes_max=8, node_rate=RATE, lag_s=5.0, scale_in_after_s=60.0)
    world = World(DEMO, policy, boot_s=4.0, ready=1)
    world.run(30, arrival=40)
    world.run(60, arrival=350)
    assert max(world.lags[-5:]) < policy.backlog_s_max
    world.run(240, arrival=40)
    assert world.sizes[-1] == 1
    assert world.flips == 1


def test_blindness_freezes_the_size_and_forgets_no_need() -> None:
    world = World(Limits(), replace(PLATEAU, node_rate=RATE), boot_s=180.0, ready=2)
    world.run(3600, arrival=1000)
    grown = world.sizes[-1]
    world.run(3600, arrival=100, blind=True)
    assert world.sizes[-1] == grown
    world.run(600, arrival=100)
    assert world.sizes[-1] == grown, "after blindness a whole window is watched first"
    world.run(3600, arrival=100)
    assert world.sizes[-1] < grown


def test_what_all_nodes_share_stops_scale_out() -> None:
    world = World(Limits(), replace(PLATEAU, nodes_max=30, node_rate=RATE), boot_s=30.0, ready=4, shared_limit=400.0)
    world.run(3600, arrival=600)
    assert "ScaleOutIneffective" in world.codes
    stopped = world.sizes[-1]
    assert stopped < 25, "it stops before the maximum"
    world.run(3600, arrival=600)
    assert world.sizes[-1] <= stopped + 4, "and then tries one node at a time"
    assert not any(action == IN for _, action in world.moves)
