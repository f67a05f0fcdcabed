"""Payloads: contracts survive, secrets are refused."""

import pytest
from pydantic import BaseModel, SecretStr

from shared.contracts.activities import ACTIVITIES
from shared.contracts.admission import BeginInput
from shared.domain.activity import ActivityKind
from shared.temporal.converter import DATA_CONVERTER


async def test_a_contract_reads_back_equal() -> None:
    sent = BeginInput(kind=ActivityKind.DEPLOY, scope="group/g", ttl_s=30, request_id="r", holder="h", signal_age_s=1.5)
    payloads = await DATA_CONVERTER.encode([sent])
    assert await DATA_CONVERTER.decode(payloads, [BeginInput]) == [sent]


class _Holder(BaseModel):
    inner: dict[str, list[SecretStr]]


async def test_a_secret_anywhere_in_a_payload_is_refused_by_type_name() -> None:
    with pytest.raises(TypeError, match="_Holder holds a secret"):
        await DATA_CONVERTER.encode([_Holder(inner={"a": [SecretStr("hunter2")]})])


def test_every_temporal_activity_has_one_row_and_one_queue() -> None:
    assert all(name == row.name and row.queue == f"headrace-{name.split('.')[0]}" for name, row in ACTIVITIES.items())
