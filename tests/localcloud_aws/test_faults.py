"""Faults: each kind does what it says, through boto3, and ends."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError

from localcloud.aws.autoscaling.clock import VirtualClock
from localcloud.aws.client import Control, ControlRefusedError
from localcloud.aws.errors import AwsError
from localcloud.aws.faults import Faults
from localcloud.aws.late_services import LateServices
from localcloud.aws.moto_services import MotoServices
from localcloud.aws.state_file import StateFile
from localcloud.aws.throttling import PublishedBuckets
from tests.localcloud_aws.front import FrontProcess, describe, in_state, make_group, make_template


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
    return Faults(clock, lambda: f"f{next(ids)}", random.Random(1), StateFile(None))


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def state_of(ec2: Any, instance_id: str) -> str:
    return str(ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]["State"]["Name"])


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


def test_a_pool_that_has_some_machines_left_runs_out_of_them(faults: Faults) -> None:
    pool = {"instance_type": "m6a.large", "zone": "us-east-1a"}
    faults.inject({"kind": "insufficient-capacity", "seconds": 60, "purchase": "spot", "spare": 2, **pool})
    assert [faults.room("m6a.large", "us-east-1a", one) for one in ("spot", "on-demand")] == [2, float("inf")]
    assert [faults.take_room("m6a.large", "us-east-1a", "spot") for _ in range(3)] == [True, True, False]
    assert faults.take_room("m6a.large", "us-east-1a", "on-demand")
    assert faults.take_room("m6a.large", "us-east-1b", "spot")


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
        ({"kind": "unavailable", "seconds": 1, "service": "s" * 300}, "service must be text of at most"),
        ({"kind": "unavailable", "seconds": 1, "actions": ["A"] * 101}, "actions must be a list of at most"),
        ({"kind": "stale-reads", "seconds": 1}, "delay_s"),
        ({"kind": "stale-reads", "seconds": 1, "delay_s": 1, "service": "s3"}, "service must be one of"),
        ({"kind": "spot-price", "seconds": 1, "factor": 0}, "factor"),
        ({"kind": "clock-skew", "seconds": 1, "offset_s": 5}, "machine must be"),
        ({"kind": "clock-skew", "seconds": 1, "machine": "i-1", "offset_s": 0}, "offset_s"),
        ({"kind": "clock-skew", "seconds": 1, "machine": "i-1", "offset_s": 1e12}, "offset_s"),
        ({"kind": "clock-skew", "seconds": 1, "machine": "i-1", "offset_s": float("nan")}, "offset_s"),
        ({"kind": "slow-disk", "seconds": 1, "machine": "i-1", "delay_s": 61}, "delay_s"),
        ({"kind": "insufficient-capacity", "seconds": 1, "spare": -1}, "spare"),
        (
            {"kind": "insufficient-capacity", "seconds": 1, "purchase": "stolen"},
            "purchase must be one of spot, on-demand",
        ),
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


def test_faults_outlive_a_restart_until_their_end(clock: VirtualClock) -> None:
    state, ids = StateFile(None), iter(range(100))

    def opened() -> Faults:
        return Faults(clock, lambda: f"f{next(ids)}", random.Random(1), state)

    first = opened()
    first.inject({"kind": "throttle", "seconds": 30, "service": "ec2", "actions": ["Run"], "rate_per_s": 1})
    first.inject({"kind": "clock-skew", "seconds": 60, "machine": "i-1", "offset_s": -90})
    gone = first.inject({"kind": "unavailable", "seconds": 60})
    first.clear(gone.id)
    again = opened()
    assert again.listing() == first.listing()
    assert [code_of(again, "ec2", "RunInstances") for _ in range(2)] == ["passed", "RequestLimitExceeded"]
    assert again.ailment("i-1").clock_offset_s == -90
    clock.move_to(clock.now() + 30)
    assert [fault.kind for fault in opened().active()] == ["clock-skew"]
    clock.move_to(clock.now() + 30)
    assert opened().active() == []
    assert state.marks("fault") == {}


def test_a_machine_has_one_fault_of_a_kind(faults: Faults) -> None:
    slow = {"kind": "slow-disk", "seconds": 60, "machine": "i-1", "delay_s": 0.1}
    first = faults.inject(slow)
    faults.inject({**slow, "machine": "i-2"})
    with pytest.raises(AwsError, match=f"clear {first.id} first"):
        faults.inject(slow)
    faults.clear(first.id)
    faults.inject({**slow, "delay_s": 0.2})
    assert faults.ailment("i-1").disk_delay_s == 0.2


def passing(buckets: PublishedBuckets, service: str, action: str, **form: str) -> int:
    """How many calls pass before one does not."""
    return next(n for n in range(2000) if not buckets.take(service, action, form))


@pytest.mark.parametrize(
    ("service", "action", "burst", "per_s"),
    [
        ("ec2", "DescribeVpcs", 100, 20),
        ("ec2", "DescribeInstances", 50, 10),
        ("ec2", "CreateTags", 50, 5),
        ("ec2", "RunInstances", 5, 2),
        ("ec2", "TerminateInstances", 100, 5),
        ("autoscaling", "SetDesiredCapacity", 100, 20),
    ],
)
def test_the_buckets_that_aws_has_published(
    clock: VirtualClock, service: str, action: str, burst: int, per_s: int
) -> None:
    buckets = PublishedBuckets(clock.now)
    assert passing(buckets, service, action) == burst
    clock.move_to(clock.now() + 1)
    assert passing(buckets, service, action) == per_s


def test_ec2_has_a_bucket_for_each_action_and_auto_scaling_one_for_all(clock: VirtualClock) -> None:
    buckets, paged = PublishedBuckets(clock.now), {"MaxResults": "100"}
    assert passing(buckets, "ec2", "DescribeInstances") == 50
    assert passing(buckets, "ec2", "DescribeInstances", **paged) == 100
    assert passing(buckets, "ec2", "DescribeSubnets") == 100
    assert passing(buckets, "autoscaling", "DescribeTags") == 100
    assert not buckets.take("autoscaling", "SetDesiredCapacity", {})
    assert buckets.take("s3", "GET", {})


def test_machines_are_counted_too(clock: VirtualClock) -> None:
    buckets = PublishedBuckets(clock.now)
    assert buckets.take("ec2", "RunInstances", {"MaxCount": "1000"})
    assert not buckets.take("ec2", "RunInstances", {"MaxCount": "1"})
    clock.move_to(clock.now() + 1)
    assert buckets.take("ec2", "RunInstances", {"MaxCount": "2"})


def test_throttling_as_by_aws_is_a_fault_and_a_way_to_start(faults: Faults, clock: VirtualClock) -> None:
    fault = faults.inject({"kind": "throttle-as-aws", "seconds": 60, "service": "ec2"})
    assert [code_of(faults, "ec2", "RunInstances") for _ in range(6)] == ["passed"] * 5 + ["RequestLimitExceeded"]
    assert {code_of(faults, "autoscaling", "DescribeTags") for _ in range(200)} == {"passed"}
    faults.clear(fault.id)
    assert code_of(faults, "ec2", "RunInstances") == "passed"
    always = Faults(clock, str, random.Random(1), StateFile(None), throttled=True)
    assert [code_of(always, "autoscaling", "DescribeTags") for _ in range(101)] == ["passed"] * 100 + ["Throttling"]


def test_reads_lag_behind_while_a_fault_says_so(
    localcloud_aws: FrontProcess, control: Control, unique_name: str
) -> None:
    template = make_template(localcloud_aws, unique_name)
    make_group(localcloud_aws, f"{unique_name}-old", template, DesiredCapacity=0)
    scaling = localcloud_aws.client("autoscaling")
    with control.fault("stale-reads", 3000, delay_s=3000):
        scaling.update_auto_scaling_group(AutoScalingGroupName=f"{unique_name}-old", MaxSize=7)
        make_group(localcloud_aws, f"{unique_name}-new", template, DesiredCapacity=0)
        assert (describe(localcloud_aws, f"{unique_name}-old") or {})["MaxSize"] == 10
        assert describe(localcloud_aws, f"{unique_name}-new") is None
    assert (describe(localcloud_aws, f"{unique_name}-old") or {})["MaxSize"] == 7
    assert describe(localcloud_aws, f"{unique_name}-new") is not None


def test_ec2_and_iam_lag_behind_too_and_what_they_do_does_not(
    localcloud_aws: FrontProcess, control: Control, unique_name: str
) -> None:
    template = make_template(localcloud_aws, f"{unique_name}-t")
    ec2, iam = localcloud_aws.client("ec2"), localcloud_aws.client("iam")
    with control.fault("stale-reads", 3000, delay_s=3000):
        make_group(localcloud_aws, unique_name, template)
        group_id = ec2.create_security_group(GroupName=unique_name, Description="late")["GroupId"]
        trust = '{"Version": "2012-10-17", "Statement": []}'
        iam.create_role(RoleName=unique_name, AssumeRolePolicyDocument=trust)
        assert refusal(lambda: ec2.describe_security_groups(GroupIds=[group_id])) == "InvalidGroup.NotFound"
        assert refusal(lambda: iam.get_role(RoleName=unique_name)) == "NoSuchEntity"
        opened = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[opened])  # a change finds what is
    (instance_id,) = in_state(localcloud_aws, unique_name, "InService", 1)
    with control.fault("stale-reads", 3000, delay_s=3000, service="ec2"):
        ec2.terminate_instances(InstanceIds=[instance_id])
        assert state_of(ec2, instance_id) == "running"
        assert iam.get_role(RoleName=unique_name)["Role"]["RoleName"] == unique_name
    assert state_of(ec2, instance_id) in {"shutting-down", "terminated"}
    (found,) = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    assert [rule["FromPort"] for rule in found["IpPermissions"]] == [1]


def test_late_reads_show_each_change_after_the_delay_and_those_of_one_moment_together(clock: VirtualClock) -> None:
    services, delays = MotoServices("eu-central-1"), {"ec2": 100.0}
    late = LateServices(services, clock, lambda service: delays.get(service, 0.0))
    ec2 = services.backend("ec2")

    def make(cidr: str) -> None:
        ec2.create_vpc(cidr)
        services.mark(["ec2"])
        late.note()

    def seen() -> set[str]:
        with late.reading("ec2"):
            return {vpc.cidr_block for vpc in services.backend("ec2").vpcs.values()}

    start = clock.now()
    late.follow()
    before = seen()
    clock.move_to(start + 10)
    make("10.1.0.0/16")
    make("10.2.0.0/16")  # within a fiftieth of the delay: it waits for its turn
    assert seen() == before
    assert late.next_due() == pytest.approx(start + 12.0)
    clock.move_to(start + 12)
    late.note()
    assert late.next_due() is None
    clock.move_to(start + 110)
    assert seen() == before | {"10.1.0.0/16"}
    clock.move_to(start + 112)
    assert seen() == before | {"10.1.0.0/16", "10.2.0.0/16"}
    make("10.3.0.0/16")
    assert "10.3.0.0/16" not in seen()
    delays.clear()
    assert "10.3.0.0/16" in seen()
    late.note()
    late.follow()
    assert "10.3.0.0/16" in seen()


def test_a_virtual_machine_tells_its_ailments_and_an_unknown_one_has_none(
    localcloud_aws: FrontProcess, control: Control, unique_name: str
) -> None:
    make_group(localcloud_aws, unique_name, make_template(localcloud_aws, unique_name))
    (instance_id,) = in_state(localcloud_aws, unique_name, "InService", 1)
    with control.fault("clock-skew", 600, machine=instance_id, offset_s=-120.5):
        assert localcloud_aws.machines()[instance_id]["clock_offset_s"] == -120.5
    assert "clock_offset_s" not in localcloud_aws.machines()[instance_id]
    with pytest.raises(ControlRefusedError, match="There is no machine i-nothing"):
        control.inject("slow-disk", 60, machine="i-nothing", delay_s=1)
