"""The Deployer over memory adapters: repeated calls, refusals, records and what is shown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from services.deployer.__main__ import Adapters, Service, build
from services.deployer.adapters.memory import MemoryArtifacts, MemoryStore
from services.deployer.domain.judge import FleetSample
from services.deployer.domain.ports import Unreadable
from services.deployer.operations.contract import revision_of
from services.deployer.settings import DeployerSettings
from shared.contracts.base import ReasonModel
from shared.contracts.deployment import (
    CloseDeploymentInput,
    DeployInput,
    DeployPlan,
    JudgeInput,
    OpenDeploymentInput,
    RecordStepInput,
    SampleModel,
)
from shared.contracts.objects import InPlace, ProvisionedScaling, ServerGroup
from shared.contracts.provisioning import Artifact, FleetModel, GroupModel, Revision
from shared.domain.errors import Conflict, NotFound
from shared.domain.names import FleetId, GroupName
from shared.system import SystemIds

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = ServerGroup(name="delays", kind="transform", environment="env", scaling=ProvisionedScaling(desired_nodes=2))


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


class Readings:
    """The port `Measurements`: a list of answers, each used once; asked-for windows are kept."""

    def __init__(self) -> None:
        self.answers: list[dict[FleetId, FleetSample] | Unreadable] = []
        self.windows: list[tuple[float, float]] = []

    async def read(
        self, group: GroupName, fleets: Sequence[FleetId], since_s: float, until_s: float
    ) -> dict[FleetId, FleetSample] | Unreadable:
        self.windows.append((since_s, until_s))
        return self.answers.pop(0)


def artifact(name: str) -> Artifact:
    return Artifact(url=f"s3://bundles/{name}", sha256=name)


class World:
    def __init__(self) -> None:
        self.store, self.artifacts, self.readings = MemoryStore(), MemoryArtifacts(), Readings()
        adapters = Adapters(self.store, self.readings, self.artifacts, FixedClock(), SystemIds())
        self.service: Service = build(DeployerSettings(), adapters)

    async def first(self) -> Revision:
        wanted = Revision(group="delays", number=1, environment=artifact("env-1"), code=artifact("code-1"))
        return await self.service.deployments.first_revision_of(wanted)

    def opening(self, request: str = "r-1", **more: Any) -> OpenDeploymentInput:
        group = GroupModel(
            spec=SPEC,
            generation=1,
            fleets=(FleetModel(fleet="delays-r1", asg="a", revision=1, weight=100, desired=2, in_service=2),),
        )
        wish = {"group": "delays", "request_id": request, "code": artifact("code-2"), "reason": "faster"} | more
        return OpenDeploymentInput(request=DeployInput.model_validate(wish), group=group)

    async def opened(self) -> DeployPlan:
        await self.first()
        plan = (await self.service.deployments.open(self.opening())).plan
        assert plan is not None
        return plan


async def test_a_repeated_request_gets_the_plan_it_got_first() -> None:
    world = World()
    plan = await world.opened()
    again = (await world.service.deployments.open(world.opening())).plan
    assert again == plan
    assert plan.revision.number == 2
    assert plan.new_fleet == "delays-r2"
    assert len(await world.store.revisions(GroupName("delays"))) == 2


async def test_the_first_revision_is_made_once_for_one_content() -> None:
    world = World()
    assert await world.first() == await world.first()
    other = await world.service.deployments.first_revision_of(Revision(group="delays", number=1, code=artifact("x")))
    assert other.number == 2


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"code": artifact("code-1")}, "NothingToDeploy"),
        ({"rollout": InPlace()}, "StrategyRefused"),
    ],
)
async def test_refusals_say_why_and_keep_nothing(wish: dict[str, Any], code: str) -> None:
    world = World()
    await world.first()
    answer = await world.service.deployments.open(world.opening(**wish))
    assert answer.plan is None
    assert [r.code for r in answer.reasons] == [code]
    assert await world.store.deployments(None, 9) == []


async def test_an_old_bundle_that_is_gone_refuses_the_deployment_not_the_rollback() -> None:
    world = World()
    await world.first()
    world.artifacts.gone = frozenset({artifact("code-1").url})
    answer = await world.service.deployments.open(world.opening())
    assert [r.code for r in answer.reasons] == ["NoWayBack"]


async def test_steps_are_recorded_and_shown() -> None:
    world = World()
    plan = await world.opened()
    for state in ("started", "started", "done"):
        given = {"deployment_id": plan.deployment_id, "step": 1, "state": state, "note": "6 resources"}
        await world.service.deployments.record_step(RecordStepInput.model_validate(given))
    shown = await world.service.questions.deployment(plan.deployment_id)
    assert (shown.phase, shown.step, shown.steps) == ("RUNNING", 1, len(plan.steps))
    assert "make fleet delays-r2" in shown.step_text
    assert shown.reason == "faster"
    assert shown.plan == plan


async def test_closing_twice_is_closing_once_and_an_end_is_not_taken_back() -> None:
    world = World()
    plan = await world.opened()
    reason = ReasonModel(code="MoreFailures", scope="group/delays", text="a tenth fails")
    given = CloseDeploymentInput(deployment_id=plan.deployment_id, phase="FAILED", reasons=(reason,), mark_bad=True)
    await world.service.deployments.close(given)
    await world.service.deployments.close(given)
    with pytest.raises(Conflict, match="cannot become FINISHED"):
        await world.service.deployments.close(given.model_copy(update={"phase": "FINISHED", "mark_bad": False}))
    rows = await world.service.questions.revisions("delays")
    assert [(r.revision.number, r.bad, r.bad_reason) for r in rows] == [(2, True, "a tenth fails"), (1, False, "")]
    refused = await world.service.deployments.open(world.opening("r-2"))
    assert [r.code for r in refused.reasons] == ["RevisionMarkedBad"]
    again = await world.service.deployments.open(world.opening("r-3", override_bad=True))
    assert again.plan is not None
    assert again.plan.revision.number == 3


async def test_one_whose_opening_nobody_heard_of_is_closed_by_its_request_and_none_is_nothing_to_close() -> None:
    world = World()
    plan = await world.opened()
    request = (await world.store.deployments(None, 1))[0].request
    for asked in ("never-opened", request):
        await world.service.deployments.close(CloseDeploymentInput(request_id=asked, phase="FAILED"))
    shown = await world.service.questions.deployment(plan.deployment_id)
    assert shown.phase == "FAILED"


def question(plan: DeployPlan) -> JudgeInput:
    return JudgeInput(
        deployment_id=plan.deployment_id,
        group="delays",
        new_fleet=plan.new_fleet,
        old_fleet=plan.old_fleet,
        since_s=1000.0,
        until_s=1060.0,
        error_ratio_max=0.001,
        lag_p95_s_max=5.0,
    )


def samples(new: tuple[float, float], old: tuple[float, float]) -> dict[FleetId, FleetSample]:
    a, b = FleetId("delays-r2"), FleetId("delays-r1")
    return {a: FleetSample(a, *new), b: FleetSample(b, *old)}


async def test_a_judgement_is_kept_and_the_same_window_is_one_analysis() -> None:
    world = World()
    plan = await world.opened()
    world.readings.answers = [samples((900, 100), (5000, 0))] * 2
    first = await world.service.judging.judge(question(plan))
    assert (first.outcome, first.advice) == ("fail", "roll_back")
    await world.service.judging.judge(question(plan))
    shown = await world.service.questions.deployment(plan.deployment_id)
    assert [j.outcome for j in shown.judgements] == ["fail"]
    assert world.readings.windows == [(1000.0, 1060.0)] * 2


async def test_an_old_fleet_without_traffic_is_taken_as_it_was_before() -> None:
    world = World()
    plan = await world.opened()
    world.readings.answers = [samples((900, 100), (0, 0)), samples((0, 0), (5000, 1))]
    judged = await world.service.judging.judge(question(plan))
    assert judged.outcome == "fail"
    assert world.readings.windows == [(1000.0, 1060.0), (940.0, 1000.0)]


async def test_measurements_that_cannot_be_read_are_an_error() -> None:
    world = World()
    plan = await world.opened()
    world.readings.answers = [Unreadable("HTTP 503")]
    judged = await world.service.judging.judge(question(plan))
    assert (judged.outcome, judged.advice) == ("error", "hold")


def test_a_dry_run_judges_given_samples() -> None:
    world = World()
    new, old = SampleModel(fleet="a", processed=900, failed=100), SampleModel(fleet="b", processed=5000)
    assert world.service.judging.dry_run(new, old, 0.001).outcome == "fail"


async def test_a_deployment_nobody_knows_is_not_found() -> None:
    with pytest.raises(NotFound, match="dep-none"):
        await World().service.questions.deployment("dep-none")


def test_a_revision_survives_the_wire() -> None:
    wire = Revision(group="delays", number=4, code=artifact("c"), variables={"a": "b"})
    assert revision_of(wire).fleet == wire.fleet
