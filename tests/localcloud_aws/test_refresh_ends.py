"""How an instance refresh ends before it is through: cancelled, rolled back, failed for want of progress or by an alarm."""

import pytest

from localcloud.aws.errors import AwsError
from tests.localcloud_aws.model_world import ModelWorld, hook
from tests.localcloud_aws.refreshing import GROUP, old_group, start, told, versions


def held(kind: str) -> tuple[ModelWorld, str]:
    """A refresh that waits for one instance."""
    aws = old_group(3)
    one = aws.members()[0].id
    if kind == "protected":
        aws.call("SetInstanceProtection", **GROUP, InstanceIds=[one], ProtectedFromScaleIn=True)
    else:
        aws.call("EnterStandby", **GROUP, InstanceIds=[one], ShouldDecrementDesiredCapacity=True)
    start(aws, InstanceWarmup=0)
    aws.pass_s(3599)
    assert told(aws)["Status"] == "InProgress"
    return aws, one


@pytest.mark.parametrize("kind", ["protected", "standby"])
def test_wait_gives_an_hour_then_fails(kind: str) -> None:
    aws, one = held(kind)
    aws.pass_s(1)
    assert told(aws)["Status"] == "Failed"
    assert one in told(aws)["StatusReason"]
    aws, one = held(kind)
    if kind == "protected":
        aws.call("SetInstanceProtection", **GROUP, InstanceIds=[one], ProtectedFromScaleIn=False)
    else:
        aws.call("ExitStandby", **GROUP, InstanceIds=[one])
    assert (told(aws)["Status"], one in aws.group().members) == ("Successful", False)


def test_cancel_lets_what_is_under_way_end_and_undoes_nothing() -> None:
    aws = old_group(4, boot_s=30)
    start(aws, InstanceWarmup=0)
    aws.pass_s(1)
    aws.call("CancelInstanceRefresh", **GROUP)
    assert told(aws)["Status"] == "Cancelling"
    aws.pass_s(60)
    assert (told(aws)["Status"], versions(aws)) == ("Cancelled", ["1", "1", "1", "2"])
    assert aws.group().template.version == "1"
    for action in ("CancelInstanceRefresh", "RollbackInstanceRefresh"):
        with pytest.raises(AwsError) as refusal:
            aws.call(action, **GROUP)
        assert refusal.value.code == "ActiveInstanceRefreshNotFound"


def test_cancel_without_waiting_ends_at_once() -> None:
    aws = old_group(4, boot_s=30)
    start(aws)
    aws.call("CancelInstanceRefresh", **GROUP, WaitForTransitioningInstances=False)
    assert told(aws)["Status"] == "Cancelled"


def test_a_rollback_replaces_what_was_replaced_and_the_percentage_goes_back() -> None:
    aws = old_group(4)
    start(aws, InstanceWarmup=100)
    aws.pass_s(200)
    assert (told(aws)["PercentageComplete"], versions(aws)) == (50, ["1", "2", "2", "2"])
    aws.call("RollbackInstanceRefresh", **GROUP)
    assert told(aws)["Status"] == "RollbackInProgress"
    details = told(aws)["RollbackDetails"]
    assert (details["PercentageCompleteOnRollback"], details["InstancesToUpdateOnRollback"]) == (50, 2)
    aws.pass_s(3600)
    done = told(aws)
    assert (done["Status"], done["PercentageComplete"], done["InstancesToUpdate"]) == ("RollbackSuccessful", 0, 2)
    assert (versions(aws), aws.group().template.version) == (["1"] * 4, "1")


def test_what_can_not_be_rolled_back() -> None:
    aws = old_group()
    start(aws, None, InstanceWarmup=60)
    with pytest.raises(AwsError) as refusal:
        aws.call("RollbackInstanceRefresh", **GROUP)
    assert refusal.value.code == "IrreversibleInstanceRefresh"
    aws = old_group(LaunchTemplate={"LaunchTemplateId": "lt-1", "Version": "$Latest"})
    with pytest.raises(AwsError, match="AutoRollback"):
        start(aws, AutoRollback=True)
    start(aws, InstanceWarmup=60)
    with pytest.raises(AwsError, match=r"\$Latest"):
        aws.call("RollbackInstanceRefresh", **GROUP)


@pytest.mark.parametrize(("wanted", "status"), [(False, "Failed"), (True, "RollbackInProgress")])
def test_a_refresh_that_gets_nowhere_fails_and_is_rolled_back_if_wanted(wanted: bool, status: str) -> None:
    aws = old_group(2)
    aws.call("PutLifecycleHook", **GROUP, **hook("boot", "LAUNCHING", HeartbeatTimeout=7200))
    start(aws, AutoRollback=wanted, InstanceWarmup=0)
    aws.pass_s(3600)
    assert told(aws)["Status"] == status
    assert "no progress" in told(aws)["StatusReason"]


@pytest.mark.parametrize(("wanted", "status"), [(False, "Failed"), (True, "RollbackInProgress")])
def test_an_alarm_fails_the_refresh_or_rolls_it_back(wanted: bool, status: str) -> None:
    aws = old_group(4)
    alarms = aws.alarms.states
    alarms["errors"] = "OK"
    start(aws, AutoRollback=wanted, InstanceWarmup=600, AlarmSpecification={"Alarms": ["errors"]})
    aws.pass_s(60)
    assert told(aws)["Status"] == "InProgress"
    alarms["errors"] = "ALARM"
    aws.pass_s(15)
    assert told(aws)["Status"] == status
    assert "errors" in told(aws)["StatusReason"]
