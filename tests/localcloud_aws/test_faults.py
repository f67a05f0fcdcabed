"""Faults: each kind does what it says, through boto3, and ends."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError

from localcloud.aws.autoscaling.clock import VirtualClock
from localcloud.aws.client import Control, ControlRefusedError
from localcloud.aws.errors import AwsError
from localcloud.aws.faults import Faults
from tests.localcloud_aws.front import FrontProcess, describe, make_group, make_template


@pytest.fixture
def control(localcloud_aws: FrontProcess) -> Iterator[Control]:
    with Control(localcloud_aws.url) as one:
        yield one


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def faults(clock: VirtualClock) -> Faults:
    ids = iter(range(1000))
    return Faults(clock, lambda: f"f{next(ids)}", random.Random(1))


def code_of(faults: Faults, service: str, action: str) -> str:
    try:
        faults.check_call(service, action)
    except AwsError as error:
        return error.code
    return "passed"


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("ec2", "RequestLimitExceeded"),
        ("autoscaling", "Throttling"),
        ("ssm", "ThrottlingException"),
        ("s3", "SlowDown"),
        ("iam", "Throttling"),
    ],
)
def test_a_bucket_lets_a_burst_pass_and_then_its_rate(
    faults: Faults, clock: VirtualClock, service: str, code: str
) -> None:
    faults.inject({"kind": "throttle", "seconds": 60, "service": service, "rate_per_s": 2, "burst": 3})
    assert [code_of(faults, service, "DescribeX") for _ in range(4)] == ["passed"] * 3 + [code]
    clock.move_to(clock.now() + 1.0)
    assert [code_of(faults, service, "DescribeX") for _ in range(3)] == ["passed"] * 2 + [code]
    assert code_of(faults, "another", "DescribeX") == "passed"


def test_each_family_of_calls_has_its_own_bucket(faults: Faults) -> None:
    for family in ("Describe", "Run"):
        faults.inject({"kind": "throttle", "seconds": 60, "service": "ec2", "actions": [family], "rate_per_s": 1})
    assert code_of(faults, "ec2", "DescribeVpcs") == "passed"
    assert code_of(faults, "ec2", "RunInstances") == "passed"
    assert code_of(faults, "ec2", "DescribeSubnets") == "RequestLimitExceeded"
    assert code_of(faults, "ec2", "CreateTags") == "passed"


def test_a_share_of_the_calls_is_hit(faults: Faults) -> None:
    faults.inject({"kind": "unavailable", "seconds": 60, "share": 0.25})
    hit = sum(code_of(faults, "iam", "GetRole") == "ServiceUnavailable" for _ in range(400))
    assert 60 <= hit <= 140


def test_every_fault_ends(faults: Faults, clock: VirtualClock) -> None:
    faults.inject({"kind": "unavailable", "seconds": 10})
    assert code_of(faults, "iam", "GetRole") == "ServiceUnavailable"
    clock.move_to(clock.now() + 10)
    assert code_of(faults, "iam", "GetRole") == "passed"
    assert faults.active() == []


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({}, "kind must be one of"),
        ({"kind": "flood", "seconds": 1}, "kind must be one of"),
        ({"kind": 7, "seconds": 1}, "kind must be text"),
        ({"kind": "throttle"}, "every fault ends"),
        ({"kind": "throttle", "seconds": 1e9}, "every fault ends"),
        ({"kind": "throttle", "seconds": True}, "every fault ends"),
        ({"kind": "throttle", "seconds": 1, "zone": "a"}, "unknown fields of throttle: zone"),
        ({"kind": "throttle", "seconds": 1, "rate_per_s": -1}, "rate_per_s"),
        ({"kind": "throttle", "seconds": 1, "actions": "Describe"}, "actions must be a list"),
        ({"kind": "slow", "seconds": 1}, "delay_s"),
        ({"kind": "slow", "seconds": 1, "delay_s": 3600}, "delay_s"),
        ({"kind": "unavailable", "seconds": 1, "share": 2}, "share"),
    ],
)
def test_what_makes_no_fault_is_refused(faults: Faults, wanted: dict[str, Any], text: str) -> None:
    with pytest.raises(AwsError, match=text):
        faults.inject(wanted)
    assert faults.active() == []


def test_a_lost_reply_has_had_its_effect(localcloud_aws: FrontProcess, control: Control, unique_name: str) -> None:
    make_group(localcloud_aws, unique_name, make_template(localcloud_aws, unique_name), DesiredCapacity=0)
    scaling = localcloud_aws.client("autoscaling")
    named = {"AutoScalingGroupName": unique_name}
    with control.fault("lost-reply", 60, service="autoscaling", actions=["UpdateAutoScalingGroup"]) as fault:
        assert [one["id"] for one in control.faults()] == [fault]
        with pytest.raises((ConnectionClosedError, HTTPClientError)):
            scaling.update_auto_scaling_group(**named, MaxSize=7)
    assert control.faults() == []
    assert (describe(localcloud_aws, unique_name) or {})["MaxSize"] == 7
    with control.fault("error-after-effect", 60, service="autoscaling", actions=["UpdateAutoScalingGroup"]):
        with pytest.raises(ClientError) as failure:
            scaling.update_auto_scaling_group(**named, MaxSize=8)
        assert failure.value.response["Error"]["Code"] == "InternalFailure"
    assert (describe(localcloud_aws, unique_name) or {})["MaxSize"] == 8


def test_a_group_that_is_busy_and_a_parameter_store_that_is_down(
    localcloud_aws: FrontProcess, control: Control, unique_name: str
) -> None:
    make_group(localcloud_aws, unique_name, make_template(localcloud_aws, unique_name), DesiredCapacity=0)
    scaling = localcloud_aws.client("autoscaling")
    with control.fault("activity-in-progress", 60, actions=["SetDesired"]):
        with pytest.raises(scaling.exceptions.ScalingActivityInProgressFault):
            scaling.set_desired_capacity(AutoScalingGroupName=unique_name, DesiredCapacity=1)
        assert describe(localcloud_aws, unique_name) is not None
    with control.fault("unavailable", 60, service="ssm"), pytest.raises(ClientError) as failure:
        localcloud_aws.client("ssm").describe_parameters()
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_the_client_says_why_it_was_refused(control: Control) -> None:
    with pytest.raises(ControlRefusedError, match="kind must be one of"):
        control.inject("flood", 1)
