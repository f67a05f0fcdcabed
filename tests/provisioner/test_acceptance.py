"""Every case of the acceptance data about bands, traffic shifts, canaries and partitions."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.provisioner.domain.drift import compare, within_band
from services.provisioner.domain.traffic import canary_split, checked_shift, members_split
from shared.domain.errors import InvalidInput
from shared.domain.names import GroupName
from tests.provisioner.examples import NOW

DATA = json.loads((Path(__file__).parents[1] / "acceptance" / "provisioner_band_and_ramp.json").read_text())


@pytest.mark.parametrize("case", DATA["autoscaler_band"]["cases"], ids=json.dumps)
def test_autoscaler_band(case: dict[str, Any]) -> None:
    resource = "autoscaling group default-g-r1"
    field = "DesiredCapacity"
    declared = {"MinSize": str(case["min"]), "MaxSize": str(case["max"]), field: str(case["declared"])}
    live = {
        "MinSize": str(case["min"]),
        "MaxSize": str(case.get("live_max", case["max"])),
        field: str(case["live"]),
    }
    if case["owned"]:
        found = compare(GroupName("g"), {resource: declared}, {resource: live}, NOW)
        assert bool(found) == case["drift"]
        assert all(f.owner == ("autoscaler" if f.field == field else "provisioner") for f in found)
    else:
        band = within_band(
            owned=False, nodes_min=case["min"], nodes_max=case["max"], declared=case["declared"], live=case["live"]
        )
        assert band != case["drift"]


@pytest.mark.parametrize("case", [c for c in DATA["sagemaker_traffic_shift"]["cases"] if "valid" in c], ids=json.dumps)
def test_traffic_shift(case: dict[str, Any]) -> None:
    percent = int(case.get("size_percent", case.get("step_percent", 0)))
    if case["valid"]:
        assert checked_shift(case["mode"], percent) == percent
    else:
        with pytest.raises(InvalidInput, match="must be"):
            checked_shift(case["mode"], percent)


@pytest.mark.parametrize("case", DATA["kserve_canary"]["cases"], ids=json.dumps)
def test_canary(case: dict[str, Any]) -> None:
    ready = case.get("latest_ready", True)
    assert canary_split(case["revisions"], case["canary_percent"], latest_ready=ready) == case["traffic"]


def test_partition_capped_canary() -> None:
    stable, canary = members_split(10, 15)
    assert (stable, canary) in {(9, 1), (8, 2)}
    assert all(sum(members_split(p, c)) <= p for p in range(1, 60) for c in range(101))
