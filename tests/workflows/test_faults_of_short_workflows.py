"""CheckDrift, BuildEnvironment, DestroyObject: each step failed, cancelled, repeated, and read again from history."""

from dataclasses import dataclass
from typing import Any

import pytest

from shared.contracts.objects import Environment
from shared.contracts.provisioning import BuildEnvironmentInput, DestroyInput
from tests.workflows.conftest import Theatre
from tests.workflows.test_deploy_group import GROUP
from tests.workflows.test_other_workflows import finding
from tests.workflows.world import World
from tests.workflows.world_state import Fault

UNHEARD = {"observer.heartbeat"}
OUTCOMES = {"before": {"failed", "refused"}, "after": {"failed"}, "cancel": {"cancelled", "done"}}


@dataclass(frozen=True)
class Short:
    """One workflow and what it is given."""

    name: str
    given: Any = None

    async def world(self, fault: Fault | None = None, *, twice: bool = False) -> World:
        drift = [finding(1, "delays", "managed"), finding(2, "edge", "security")] if self.given is None else []
        world = World(fault=fault, twice=twice, findings=drift)
        await world.given_group(GROUP, 2)
        world.need = 0 if self.name == "DestroyObject" else 2
        return world


SHORT = {
    "drift": Short("CheckDrift"),
    "build": Short(
        "BuildEnvironment",
        BuildEnvironmentInput(spec=Environment(name="flights-env", requirements="headrace-runtime"), generation=1),
    ),
    "destroy an environment": Short("DestroyObject", DestroyInput(kind="environment", name="delays", request_id="r")),
    "destroy a pipeline": Short("DestroyObject", DestroyInput(kind="pipeline", name="delays", request_id="r")),
    "destroy a group": Short("DestroyObject", DestroyInput(kind="server-group", name="delays", request_id="r")),
}


async def steps_of(theatre: Theatre, short: Short) -> list[tuple[str, int]]:
    world = await short.world()
    result = await theatre.run(world, short.name, short.given)
    assert (result.outcome, world.problems, world.open_leases) == ("done", [], [])
    return [(name, nth) for name, count in world.counts.items() if name not in UNHEARD for nth in range(1, count + 1)]


@pytest.mark.parametrize("how", ["before", "after", "cancel"])
@pytest.mark.parametrize("kind", SHORT)
async def test_whatever_step_is_disturbed_the_outcome_is_told_and_no_lease_is_left(
    real: Theatre, kind: str, how: str
) -> None:
    short, wrong = SHORT[kind], {}
    for name, nth in await steps_of(real, short):
        world = await short.world(Fault(name, nth, how))
        result = await real.run(world, short.name, short.given)
        # Whoever never hears that it holds a lease, or cannot give it back, leaves it to lapse.
        lost = (name, how) in {("observer.begin", "after"), ("observer.end", "before")}
        done = name == "observer.end" or (name, how) == ("provisioner.repair_drift", "after")  # it looks again
        told = result.outcome in OUTCOMES[how] or (done and result.outcome == "done")
        if world.problems or (world.open_leases and not lost) or not told:
            wrong[name, nth] = (world.problems, world.open_leases, result)
    assert wrong == {}


@pytest.mark.parametrize("kind", SHORT)
async def test_every_activity_done_twice_ends_alike_and_replays(replaying: Theatre, kind: str) -> None:
    short, results = SHORT[kind], []
    for twice in (False, True):
        world = await short.world(twice=twice)
        handle = await replaying.start(world, short.name, short.given)
        results.append((await handle.result(), world.findings, world.fleets, world.open_leases))
        assert world.problems == []
        await replaying.replay(handle)
    assert results[0] == results[1]
