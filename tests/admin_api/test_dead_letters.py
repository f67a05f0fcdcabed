"""Dead letters over REST: who may see what, and a redrive as an operation with its audit row, one at a time per stage."""

from dataclasses import replace

import pytest

from localcloud.servers.kafka import KafkaServer
from services.admin_api.domain.roles import Actor, Role
from services.admin_api.operations.long_work import LongWork
from services.admin_api.operations.redriving import Redriving
from services.provisioner.operations.dead_letters import DeadLetterOffice
from shared.contracts.dead_letters import DeadLetter, DeadLetters, RedriveRequest
from shared.domain.errors import AlreadyExists, NotFound
from tests.admin_api.conftest import Admin
from tests.provisioner.test_dead_letters import STAGE, Office


class Peer:
    """The Provisioner's own operations, without the wire between."""

    def __init__(self, office: DeadLetterOffice) -> None:
        self._office = office

    async def dead_letters(
        self, pipeline: str, stage: str, limit: int = 100, reason: str = "", *, include_redriven: bool = False
    ) -> DeadLetters:
        return await self._office.list(pipeline, stage, limit, reason, include_redriven=include_redriven)

    async def dead_letter(self, pipeline: str, stage: str, offset: int) -> DeadLetter:
        return await self._office.get(pipeline, stage, offset)


async def test_a_viewer_sees_that_there_are_some_and_neither_values_nor_a_redrive(admin: Admin) -> None:
    viewer = await admin.as_role("viewer")
    path = "/v1/dead-letters/departures/transform"
    assert (await viewer.get(path)).status_code == 503  # allowed; the Provisioner is not there
    for answer in (await viewer.get(f"{path}/3"), await viewer.post(f"{path}:redrive", json={})):
        assert (answer.status_code, answer.json()["code"]) == (403, "Denied")
    operator = await admin.as_role("operator")
    assert (await operator.post(f"{path}:redrive", json={"rate": 0})).status_code == 422
    assert (await operator.post(f"{path}:redrive", json={})).status_code == 503


async def test_a_redrive_is_one_operation_at_a_time_and_stands_in_the_audit_log(
    admin: Admin, kafka: KafkaServer, unique_name: str
) -> None:
    office = Office(kafka, unique_name)
    await office.register()
    office.give_up({"a": "Airport"})
    context = admin.service.api.context
    context = replace(context, peers=replace(context.peers, provisioner=Peer(office.office)))  # type: ignore[arg-type]  # two of its verbs
    redriving = Redriving(context, LongWork(context))
    me = Actor("somebody", "t-1", Role.OPERATOR, str(context.workspace), request_id="r-1")
    assert (await redriving.list(me, unique_name, STAGE, 10, "", include_redriven=False)).waiting == 1
    operation = await redriving.redrive(me, unique_name, STAGE, RedriveRequest(reason="Airport"))
    assert (operation.kind, operation.subject, operation.state) == (
        "redrive",
        f"stage/{unique_name}/{STAGE}",
        "running",
    )
    with pytest.raises(AlreadyExists):
        await redriving.redrive(me, unique_name, STAGE, RedriveRequest())
    with pytest.raises(NotFound):
        await redriving.redrive(me, unique_name, "nowhere", RedriveRequest())
    rows = (await admin.get("/v1/audit")).json()["items"]
    assert {"redrive dead letters"} <= {row["action"] for row in rows}
