"""Ratings over REST: who may ask, what is refused with which reasons, one at a time; the sample goes to the bucket alone."""

from dataclasses import dataclass, field, replace

import pytest

from services.admin_api.domain.roles import Actor, Role
from services.admin_api.operations.context import Context
from services.admin_api.operations.long_work import LongWork
from services.admin_api.operations.rating import Rating
from shared.contracts.admission import BeginAnswer, BeginInput
from shared.contracts.base import ReasonModel
from shared.contracts.objects import Pipeline, ProvisionedScaling, ServerGroup
from shared.contracts.provisioning import GroupModel, PipelineModel
from shared.contracts.rating import Loading, RateRequest, RatingModel
from shared.domain.errors import AlreadyExists, InvalidInput, NotFound, Refused
from tests.admin_api.conftest import Admin, FolderOfCode

SAMPLE = '{"secret": "somebody"}\n'


@dataclass
class Peer:
    """What three services say of groups: the transform group `name`, `edge` alone, and `sender` with its stage."""

    name: str
    blocked: bool = False
    asked: list[BeginInput] = field(default_factory=list)

    async def group(self, name: str) -> GroupModel:
        kinds = {self.name: "transform", "edge": "ingest", "sender": "stage"}
        if name not in kinds:
            raise NotFound(f"group {name}: there is none")
        body = {"name": name, "kind": kinds[name], "scaling": ProvisionedScaling(desired_nodes=1)}
        pipeline = "p" if name == "sender" else ""
        return GroupModel(spec=ServerGroup.model_validate(body), generation=1, pipeline=pipeline)

    async def inventory(self) -> tuple[list[GroupModel], list[PipelineModel]]:
        work = {"type": "transmit", "sinks": [{"type": "topic", "topic": "t"}]}
        body = {"name": "p", "stages": [{"name": "out", "group": "sender", "work": work}]}
        return [], [PipelineModel(spec=Pipeline.model_validate(body), generation=1)]

    async def begin(self, request: BeginInput) -> BeginAnswer:
        self.asked.append(request)
        if not self.blocked:
            return BeginAnswer(outcome="granted")
        reason = ReasonModel(code="Held", scope=request.scope, text="DEPLOY is under way")
        return BeginAnswer(outcome="blocked", reasons=(reason,), retry_after_s=7.0)

    async def ratings(self, group: str, limit: int = 20) -> list[RatingModel]:
        assert (group, limit) == (self.name, 20)
        return []


def rating_over(admin: Admin, peer: Peer) -> tuple[Rating, Context, Actor]:
    context = admin.service.api.context
    peers = replace(context.peers, provisioner=peer, observer=peer, autoscaler=peer)  # type: ignore[arg-type]  # some of their verbs
    context = replace(context, peers=peers)
    me = Actor("somebody", "t-1", Role.OPERATOR, str(context.workspace), request_id="r-1")
    return Rating(context, LongWork(context)), context, me


async def test_a_viewer_reads_ratings_and_starts_none(admin: Admin) -> None:
    viewer = await admin.as_role("viewer")
    path = "/v1/server-groups/delays"
    assert (await viewer.get(f"{path}/ratings")).status_code == 503  # allowed; the Autoscaler is not there
    answer = await viewer.post(f"{path}:rate", json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "Denied")
    operator = await admin.as_role("operator")
    assert (await operator.post(f"{path}:rate", json={})).status_code == 503


@pytest.mark.parametrize(
    "body",
    [
        {"loading": {"step_s": 0.5}},
        {"loading": {"step_s": 500}},
        {"loading": {"first": 0}},
        {"loading": {"batch": 0}},
        {"loading": {"batches": 1}},
        {"sample": ""},
        {"sample": "x" * (512 * 1024 + 1)},
        {"wait_s_max": -1},
        {"no such field": 1},
    ],
)
async def test_what_cannot_work_is_named(admin: Admin, body: dict[str, object]) -> None:
    answer = await admin.post("/v1/server-groups/delays:rate", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "InvalidInput"), answer.text


async def test_a_rating_is_refused_with_reasons_and_until_when_unless_it_may_wait(
    admin: Admin, unique_name: str
) -> None:
    peer = Peer(unique_name, blocked=True)
    rating, _, me = rating_over(admin, peer)
    with pytest.raises(Refused, match=f"group/{unique_name} is not admitted now") as refused:
        await rating.start(me, unique_name, RateRequest())
    assert [r.text for r in refused.value.reasons] == ["DEPLOY is under way"]
    assert refused.value.retry_after_s == 7.0
    assert [(a.kind, a.dry_run) for a in peer.asked] == [("PROVISION", True)]
    operation = await rating.start(me, unique_name, RateRequest(wait_s_max=60))
    assert operation.input is not None
    assert (operation.workflow_id, operation.input["wait_s_max"]) == (f"rate/{unique_name}", 60)
    with pytest.raises(Refused, match="no stage runs on it"):
        await rating.start(me, "edge", RateRequest())
    with pytest.raises(InvalidInput, match="batches of its own making"):
        await rating.start(me, "sender", RateRequest(loading=Loading(batch=5)))
    sending = await rating.start(me, "sender", RateRequest(wait_s_max=60))
    assert sending.subject == "group/sender"
    with pytest.raises(NotFound):
        await rating.start(me, "nowhere", RateRequest())


async def test_one_at_a_time_and_the_sample_is_in_the_bucket_alone(admin: Admin, unique_name: str) -> None:
    rating, context, me = rating_over(admin, Peer(unique_name))
    operation = await rating.start(me, unique_name, RateRequest(sample=SAMPLE, reason="new model"))
    assert (operation.kind, operation.subject, operation.state) == ("rate", f"group/{unique_name}", "running")
    code = context.code
    assert isinstance(code, FolderOfCode)
    assert list(code.kept.values()) == [SAMPLE.encode()]
    assert "secret" not in str(operation.input)
    with pytest.raises(AlreadyExists, match=f"rating of group '{unique_name}' runs already"):
        await rating.start(me, unique_name, RateRequest())
    rows = (await admin.get("/v1/audit")).json()["items"]
    assert {"rate"} <= {row["action"] for row in rows}
    assert "secret" not in str(rows)
    assert (await rating.list(me, unique_name, 20)).items == ()
