"""Instance refresh on a virtual clock; each test is a rule, or an example with its numbers, of the user guide."""

from typing import Any

import pytest

from localcloud.aws.autoscaling import documents
from localcloud.aws.errors import AwsError
from tests.localcloud_aws.refreshing import GROUP, NEW, old_group, serving, start, told, versions

PREFERENCES_REFUSED = [
    ("minimum", {"MinHealthyPercentage": 101}),
    ("maximum alone", {"MaxHealthyPercentage": 110}),
    ("maximum", {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 201}),
    ("more than 100 apart", {"MinHealthyPercentage": 50, "MaxHealthyPercentage": 160}),
    ("checkpoints not ascending", {"CheckpointPercentages": [50, 20]}),
    ("checkpoint twice", {"CheckpointPercentages": [50, 50]}),
    ("checkpoint above 100", {"CheckpointPercentages": [101]}),
    ("delay without checkpoints", {"CheckpointDelay": 60}),
    ("delay too long", {"CheckpointPercentages": [50], "CheckpointDelay": 172_801}),
    ("bake time too long", {"BakeTime": 172_801}),
    ("warm-up", {"InstanceWarmup": -2}),
    ("standby", {"StandbyInstances": "Refresh"}),
    ("protected", {"ScaleInProtectedInstances": "Terminate"}),
    ("alarm that is not there", {"AlarmSpecification": {"Alarms": ["none"]}}),
    ("rollback without a desired configuration", {"AutoRollback": True}),
]


@pytest.mark.parametrize(("what", "preferences"), PREFERENCES_REFUSED, ids=[row[0] for row in PREFERENCES_REFUSED])
def test_preferences_are_checked(what: str, preferences: dict[str, Any]) -> None:
    aws = old_group()
    with pytest.raises(AwsError) as refusal:
        start(aws, None if what.startswith("rollback") else NEW, **preferences)
    assert refusal.value.code == "ValidationError"
    assert not aws.group().refreshes


def test_a_refresh_replaces_every_instance_and_then_the_group_has_the_desired_configuration() -> None:
    aws = old_group()
    started = start(aws, InstanceWarmup=60)
    assert told(aws)["Status"] == "InProgress"
    assert aws.group().template.version == "1"
    aws.pass_s(3600)
    done = told(aws)
    assert (done["InstanceRefreshId"], done["Status"], done["PercentageComplete"]) == (started, "Successful", 100)
    assert (done["InstancesToUpdate"], versions(aws)) == (0, ["2"] * 4)
    assert aws.group().template.version == "2"
    assert any("an instance refresh" in a["Cause"] for a in aws.activities())


def test_defaults_come_from_the_policy_and_the_warm_up_from_the_grace_period() -> None:
    aws = old_group(HealthCheckGracePeriod=77)
    start(aws)
    assert (told(aws)["Preferences"]["MinHealthyPercentage"], told(aws)["Preferences"]["InstanceWarmup"]) == (90, 77)
    policy = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150}
    aws = old_group(HealthCheckGracePeriod=77, DefaultInstanceWarmup=5, InstanceMaintenancePolicy=policy)
    start(aws)
    preferences = told(aws)["Preferences"]
    assert {name: preferences[name] for name in policy} == policy
    assert (preferences["InstanceWarmup"], preferences["StandbyInstances"]) == (5, "Wait")
    assert not preferences["SkipMatching"]


@pytest.mark.parametrize(
    ("least", "most", "desired", "replaced_at_once", "launched_ahead"),
    [
        (90, 100, 10, 1, 0),  # the default: a tenth at a time
        (50, 100, 10, 5, 0),
        (0, 100, 10, 10, 0),  # all at the same time
        (100, 100, 10, 1, 0),  # one at a time, where the bounds leave no room
        (90, 100, 4, 1, 0),  # 90 % of 4 is rounded up to 4
        (90, 100, 1, 1, 0),
        (100, 110, 10, 0, 1),  # launch before terminating
        (100, 200, 10, 0, 10),
        (90, 120, 10, 1, 2),
    ],
)
def test_how_many_are_replaced_at_once(
    least: int, most: int, desired: int, replaced_at_once: int, launched_ahead: int
) -> None:
    aws = old_group(desired, boot_s=30)
    start(aws, MinHealthyPercentage=least, MaxHealthyPercentage=most, InstanceWarmup=0)
    aws.pass_s(1)
    assert desired - versions(aws).count("1") == replaced_at_once
    assert len(aws.group().capacity) - desired == launched_ahead


@pytest.mark.parametrize(("least", "most"), [(90, 100), (50, 150), (100, 120), (0, 100)])
def test_the_bounds_hold_all_the_way(least: int, most: int) -> None:
    aws = old_group(10, boot_s=20)
    start(aws, MinHealthyPercentage=least, MaxHealthyPercentage=most, InstanceWarmup=30)
    for _ in range(100):
        assert 10 * least / 100 <= serving(aws)
        assert len(aws.group().capacity) <= 10 * most / 100
        aws.pass_s(10)
    assert (told(aws)["Status"], versions(aws)) == ("Successful", ["2"] * 10)


def test_the_next_waits_until_the_last_has_warmed_up() -> None:
    aws = old_group(2)
    start(aws, InstanceWarmup=100)
    assert versions(aws) == ["1", "2"]
    assert (told(aws)["PercentageComplete"], told(aws)["InstancesToUpdate"]) == (0, 2)
    aws.pass_s(99)
    assert versions(aws) == ["1", "2"]
    aws.pass_s(1)
    assert versions(aws) == ["2", "2"]
    assert (told(aws)["PercentageComplete"], told(aws)["InstancesToUpdate"]) == (50, 1)
    aws.pass_s(100)
    assert told(aws)["Status"] == "Successful"


def test_checkpoints_pause_and_the_delay_ends_the_pause() -> None:
    aws = old_group(10)
    start(aws, InstanceWarmup=0, CheckpointPercentages=[20, 50, 100], CheckpointDelay=600)
    for share in (20, 50):
        assert (told(aws)["PercentageComplete"], told(aws)["Status"]) == (share, "InProgress")
        assert versions(aws).count("2") == share // 10
        aws.pass_s(599)
        assert told(aws)["PercentageComplete"] == share
        aws.pass_s(1)
    assert (told(aws)["Status"], versions(aws)) == ("Successful", ["2"] * 10)


def test_only_one_refresh_at_a_time() -> None:
    aws = old_group()
    start(aws, InstanceWarmup=60)
    with pytest.raises(AwsError) as refusal:
        start(aws)
    assert refusal.value.code == "InstanceRefreshInProgress"
    with pytest.raises(AwsError, match="derived from the desired configuration"):
        aws.call("UpdateAutoScalingGroup", **GROUP, **NEW)
    aws.pass_s(3600)
    start(aws)
    assert len(aws.call("DescribeInstanceRefreshes", **GROUP)["InstanceRefreshes"]) == 2


def test_skip_matching_leaves_what_is_as_wanted() -> None:
    aws = old_group(4)
    aws.call("UpdateAutoScalingGroup", **GROUP, **NEW)
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=6)
    kept = {m.id for m in aws.members() if m.template.version == "2"}
    start(aws, None, SkipMatching=True, InstanceWarmup=0)
    assert told(aws)["Status"] == "Successful"
    assert kept < {m.id for m in aws.members()}
    assert versions(aws) == ["2"] * 6
    before = {m.id for m in aws.members()}
    start(aws, None, InstanceWarmup=0)
    assert not before & {m.id for m in aws.members()}, "without skip matching everything is replaced"


@pytest.mark.parametrize(("choice", "kept"), [("Ignore", True), ("Refresh", False)])
def test_protected_instances(choice: str, kept: bool) -> None:
    aws = old_group(3)
    one = aws.members()[0].id
    aws.call("SetInstanceProtection", **GROUP, InstanceIds=[one], ProtectedFromScaleIn=True)
    start(aws, ScaleInProtectedInstances=choice, InstanceWarmup=0)
    assert told(aws)["Status"] == "Successful"
    assert (one in aws.group().members) == kept


@pytest.mark.parametrize(("choice", "kept"), [("Ignore", True), ("Terminate", False)])
def test_standby_instances(choice: str, kept: bool) -> None:
    aws = old_group(3)
    one = aws.members()[0].id
    aws.call("EnterStandby", **GROUP, InstanceIds=[one], ShouldDecrementDesiredCapacity=True)
    start(aws, StandbyInstances=choice, InstanceWarmup=0)
    assert told(aws)["Status"] == "Successful"
    assert (one in aws.group().members) == kept


def test_the_bake_time_watches_on_before_the_refresh_is_successful() -> None:
    aws = old_group(2)
    alarms = aws.alarms.states
    alarms["errors"] = "OK"
    start(aws, InstanceWarmup=0, BakeTime=900, AutoRollback=True, AlarmSpecification={"Alarms": ["errors"]})
    assert (told(aws)["Status"], versions(aws)) == ("Baking", ["2", "2"])
    aws.pass_s(600)
    alarms["errors"] = "ALARM"
    aws.pass_s(30)
    assert (told(aws)["Status"], versions(aws)) == ("RollbackSuccessful", ["1", "1"])
    start(aws, InstanceWarmup=0, BakeTime=900)
    aws.pass_s(899)
    assert told(aws)["Status"] == "Baking"
    aws.pass_s(1)
    assert told(aws)["Status"] == "Successful"


@pytest.mark.parametrize("process", ["InstanceRefresh", "Launch", "Terminate"])
def test_a_suspended_process_holds_the_refresh(process: str) -> None:
    aws = old_group(2)
    aws.call("SuspendProcesses", **GROUP, ScalingProcesses=[process])
    start(aws, InstanceWarmup=0)
    aws.pass_s(600)
    assert versions(aws) == ["1", "1"]
    aws.call("ResumeProcesses", **GROUP)
    assert told(aws)["Status"] == "Successful"


def test_a_launch_ahead_that_was_refused_is_tried_again() -> None:
    aws = old_group(2)
    aws.compute.refusals = dict.fromkeys(["us-east-1a", "us-east-1b", "us-east-1c"], "InsufficientInstanceCapacity")
    start(aws, MinHealthyPercentage=100, MaxHealthyPercentage=150, InstanceWarmup=0)
    aws.pass_s(3)
    assert (versions(aws), told(aws)["Status"]) == (["1", "1"], "InProgress")
    aws.compute.refusals = {}
    aws.pass_s(10)
    assert (versions(aws), told(aws)["Status"]) == (["2", "2"], "Successful")


def test_scaling_goes_on_during_a_refresh_and_what_is_launched_is_new() -> None:
    aws = old_group(4)
    start(aws, InstanceWarmup=60)
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=8)
    assert versions(aws).count("2") == 5
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=3)
    aws.pass_s(3600)
    assert (told(aws)["Status"], versions(aws)) == ("Successful", ["2"] * 3)


def test_a_refresh_survives_a_restart() -> None:
    aws = old_group(4)
    start(aws, InstanceWarmup=60, CheckpointPercentages=[50, 100])
    aws.pass_s(30)
    before = aws.group()
    aws.world.groups["web"] = documents.read(documents.write(before))
    assert aws.group() == before
    aws.world.wake("web", aws.clock.now())
    aws.pass_s(7200)
    assert (told(aws)["Status"], versions(aws)) == ("Successful", ["2"] * 4)


def test_an_empty_group_is_refreshed_at_once() -> None:
    aws = old_group(0)
    start(aws)
    assert (told(aws)["Status"], told(aws)["PercentageComplete"]) == ("Successful", 100)
    assert aws.group().template.version == "2"
