"""boto3 against a real front: refresh, warm pool, schedule, traffic sources, and what of them survives `kill -9`."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from localcloud import ports
from localcloud.aws.client import Control
from tests.localcloud_aws.front import FrontProcess, describe, in_state, make_group, make_template, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def second_version(front: FrontProcess, template: str) -> dict[str, Any]:
    front.client("ec2").create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"InstanceType": "m7a.large"}
    )
    return {"LaunchTemplate": {"LaunchTemplateId": template, "Version": "2"}}


def refresh(front: FrontProcess, name: str) -> dict[str, Any]:
    answer = front.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=name)
    found: list[dict[str, Any]] = answer["InstanceRefreshes"]
    return found[0]


def warm(front: FrontProcess, name: str) -> dict[str, str]:
    pages = front.client("autoscaling").get_paginator("describe_warm_pool").paginate(AutoScalingGroupName=name)
    return {i["InstanceId"]: i["LifecycleState"] for i in pages.build_full_result()["Instances"]}


def instance_states(front: FrontProcess, ids: list[str]) -> set[str]:
    pages = front.client("ec2").get_paginator("describe_instances").paginate(InstanceIds=ids)
    reservations = pages.build_full_result()["Reservations"]
    return {i["State"]["Name"] for r in reservations for i in r["Instances"]}


def test_an_instance_refresh_from_its_start_to_its_end(localcloud_aws: FrontProcess, unique_name: str) -> None:
    scaling = localcloud_aws.client("autoscaling")
    template = make_template(localcloud_aws, unique_name)
    make_group(
        localcloud_aws,
        unique_name,
        template,
        DesiredCapacity=3,
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
    )
    old = set(in_state(localcloud_aws, unique_name, "InService", 3))
    wanted = second_version(localcloud_aws, template)
    named = {"AutoScalingGroupName": unique_name}
    started = scaling.start_instance_refresh(
        **named, DesiredConfiguration=wanted, Preferences={"MinHealthyPercentage": 50, "InstanceWarmup": 0}
    )
    until(lambda: refresh(localcloud_aws, unique_name)["Status"] == "Successful", "the refresh to end")
    done = refresh(localcloud_aws, unique_name)
    assert (done["InstanceRefreshId"], done["PercentageComplete"]) == (started["InstanceRefreshId"], 100)
    assert done["EndTime"] >= done["StartTime"]
    assert not old & set(in_state(localcloud_aws, unique_name, "InService", 3))
    group = describe(localcloud_aws, unique_name)
    assert group is not None
    assert group["LaunchTemplate"]["Version"] == "2"
    assert {i["InstanceType"] for i in group["Instances"]} == {"m7a.large"}
    with pytest.raises(scaling.exceptions.ActiveInstanceRefreshNotFoundFault):
        scaling.cancel_instance_refresh(**named)


def test_an_alarm_of_cloudwatch_rolls_a_refresh_back(localcloud_aws: FrontProcess, unique_name: str) -> None:
    scaling, watch = localcloud_aws.client("autoscaling"), localcloud_aws.client("cloudwatch")
    watch.put_metric_alarm(
        AlarmName=unique_name,
        MetricName="errors",
        Namespace="tests",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    template = make_template(localcloud_aws, unique_name)
    first = {"LaunchTemplateId": template, "Version": "1"}
    make_group(localcloud_aws, unique_name, template, DesiredCapacity=2, LaunchTemplate=first)
    in_state(localcloud_aws, unique_name, "InService", 2)
    preferences: dict[str, Any] = {
        "AutoRollback": True,
        "InstanceWarmup": 0,
        "CheckpointPercentages": [50, 100],
        "AlarmSpecification": {"Alarms": [unique_name]},
    }
    named = {"AutoScalingGroupName": unique_name}
    wanted = second_version(localcloud_aws, template)
    scaling.start_instance_refresh(**named, DesiredConfiguration=wanted, Preferences=preferences)
    until(lambda: refresh(localcloud_aws, unique_name)["PercentageComplete"] == 50, "the checkpoint")
    with pytest.raises(scaling.exceptions.InstanceRefreshInProgressFault):
        scaling.start_instance_refresh(**named)
    watch.set_alarm_state(AlarmName=unique_name, StateValue="ALARM", StateReason="a test")
    until(lambda: refresh(localcloud_aws, unique_name)["Status"] == "RollbackSuccessful", "the rollback")
    group = describe(localcloud_aws, unique_name)
    assert group is not None
    assert [i["LaunchTemplate"]["Version"] for i in group["Instances"]] == ["1", "1"]


def test_a_warm_pool_of_stopped_instances(localcloud_aws: FrontProcess, unique_name: str) -> None:
    scaling = localcloud_aws.client("autoscaling")
    named = {"AutoScalingGroupName": unique_name}
    make_group(localcloud_aws, unique_name, make_template(localcloud_aws, unique_name), MaxSize=4, DesiredCapacity=1)
    scaling.put_warm_pool(**named, MaxGroupPreparedCapacity=3, InstanceReusePolicy={"ReuseOnScaleIn": True})
    until(lambda: list(warm(localcloud_aws, unique_name).values()) == ["Warmed:Stopped"] * 2, "the pool")
    prepared = list(warm(localcloud_aws, unique_name))
    assert instance_states(localcloud_aws, prepared) == {"stopped"}
    scaling.set_desired_capacity(**named, DesiredCapacity=3)
    assert set(prepared) < set(in_state(localcloud_aws, unique_name, "InService", 3))
    assert instance_states(localcloud_aws, prepared) == {"running"}
    scaling.delete_warm_pool(**named, ForceDelete=True)
    until(lambda: "WarmPoolConfiguration" not in (describe(localcloud_aws, unique_name) or {}), "the pool to be gone")


def test_a_metric_scales_a_group_by_its_alarm(localcloud_aws: FrontProcess, unique_name: str) -> None:
    scaling, watch = localcloud_aws.client("autoscaling"), localcloud_aws.client("cloudwatch")
    named = {"AutoScalingGroupName": unique_name}
    template = make_template(localcloud_aws, unique_name)
    make_group(localcloud_aws, unique_name, template, DesiredCapacity=1, DefaultCooldown=0)
    in_state(localcloud_aws, unique_name, "InService", 1)
    watch.put_metric_data(Namespace=unique_name, MetricData=[{"MetricName": "lag", "Value": 90.0}])
    policy = {"AdjustmentType": "ExactCapacity", "ScalingAdjustment": 3}
    scaling.suspend_processes(**named, ScalingProcesses=["AlarmNotification"])
    arn = scaling.put_scaling_policy(**named, PolicyName="up", **policy)["PolicyARN"]
    watch.put_metric_alarm(
        AlarmName=unique_name,
        Namespace=unique_name,
        MetricName="lag",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=50,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[arn],
    )
    scaling.resume_processes(**named)
    in_state(localcloud_aws, unique_name, "InService", 3)
    pages = scaling.get_paginator("describe_policies").paginate(**named)
    told = pages.build_full_result()["ScalingPolicies"]
    assert [alarm["AlarmName"] for alarm in told[0]["Alarms"]] == [unique_name]
    cause = scaling.describe_scaling_activities(**named)["Activities"][0]["Cause"]
    assert f"a monitor alarm {unique_name} in state ALARM triggered policy up" in cause


def test_the_backlog_for_each_instance_scales_a_group(localcloud_aws: FrontProcess, unique_name: str) -> None:
    scaling, watch = localcloud_aws.client("autoscaling"), localcloud_aws.client("cloudwatch")
    named = {"AutoScalingGroupName": unique_name}
    template = make_template(localcloud_aws, unique_name)
    make_group(localcloud_aws, unique_name, template, DesiredCapacity=1, MaxSize=4, DefaultInstanceWarmup=0)
    in_state(localcloud_aws, unique_name, "InService", 1)
    scaling.enable_metrics_collection(**named, Granularity="1Minute", Metrics=["GroupInServiceInstances"])
    metric = {"Namespace": unique_name, "MetricName": "visible"}
    backlog = [{"MetricName": "visible", "Value": 40.0, "Timestamp": ago} for ago in minutes_ago(0, 1, 2)]
    watch.put_metric_data(Namespace=unique_name, MetricData=backlog)
    instances = {
        "Namespace": "AWS/AutoScaling",
        "MetricName": "GroupInServiceInstances",
        "Dimensions": [{"Name": "AutoScalingGroupName", "Value": unique_name}],
    }
    queries = [
        {"Id": "m1", "MetricStat": {"Metric": metric, "Stat": "Sum"}, "ReturnData": False},
        {"Id": "m2", "MetricStat": {"Metric": instances, "Stat": "Average"}, "ReturnData": False},
        {"Id": "e1", "Expression": "FILL(m1, REPEAT) / FILL(m2, 1)", "ReturnData": True},
    ]
    tracking = {"CustomizedMetricSpecification": {"Metrics": queries}, "TargetValue": 10.0, "DisableScaleIn": True}
    scaling.put_scaling_policy(
        **named, PolicyName="backlog", PolicyType="TargetTrackingScaling", TargetTrackingConfiguration=tracking
    )
    in_state(localcloud_aws, unique_name, "InService", 4)
    policy = scaling.describe_policies(**named)["ScalingPolicies"][0]
    found = watch.describe_alarms(AlarmNames=[one["AlarmName"] for one in policy["Alarms"]])["MetricAlarms"]
    assert [[one["Id"] for one in alarm["Metrics"]] for alarm in found] == [["m1", "m2", "e1"]]


def minutes_ago(*minutes: int) -> list[datetime]:
    return [datetime.now(UTC) - timedelta(seconds=60 * one + 1) for one in minutes]


def test_a_scheduled_action_comes_due(localcloud_aws: FrontProcess, unique_name: str) -> None:
    scaling = localcloud_aws.client("autoscaling")
    make_group(localcloud_aws, unique_name, make_template(localcloud_aws, unique_name), DesiredCapacity=0)
    soon = datetime.now(UTC) + timedelta(seconds=4)
    named = {"AutoScalingGroupName": unique_name}
    scaling.put_scheduled_update_group_action(**named, ScheduledActionName="up", StartTime=soon, DesiredCapacity=2)
    scaling.put_scheduled_update_group_action(
        **named, ScheduledActionName="daily", Recurrence="0 9 * * *", TimeZone="Europe/Berlin", MinSize=1
    )
    in_state(localcloud_aws, unique_name, "InService", 2)
    pages = scaling.get_paginator("describe_scheduled_actions").paginate(**named)
    left = pages.build_full_result()["ScheduledUpdateGroupActions"]
    assert [(a["ScheduledActionName"], a["TimeZone"]) for a in left] == [("daily", "Europe/Berlin")]


def test_a_classic_load_balancer_holds_the_instances_in_service(localcloud_aws: FrontProcess, unique_name: str) -> None:
    classic, scaling = localcloud_aws.client("elb"), localcloud_aws.client("autoscaling")
    listener = {"Protocol": "TCP", "LoadBalancerPort": 80, "InstancePort": 7400}
    classic.create_load_balancer(LoadBalancerName=unique_name, Listeners=[listener], AvailabilityZones=["us-east-1a"])
    template = make_template(localcloud_aws, unique_name)
    with pytest.raises(ClientError, match="may not be valid"):
        make_group(localcloud_aws, unique_name, template, LoadBalancerNames=["none"])
    make_group(localcloud_aws, unique_name, template, LoadBalancerNames=[unique_name])
    ids = in_state(localcloud_aws, unique_name, "InService", 1)

    def registered() -> list[str]:
        found = classic.describe_load_balancers(LoadBalancerNames=[unique_name])["LoadBalancerDescriptions"][0]
        return [i["InstanceId"] for i in found["Instances"]]

    assert registered() == ids
    source = {"Identifier": unique_name, "Type": "elb"}
    scaling.detach_traffic_sources(AutoScalingGroupName=unique_name, TrafficSources=[source])
    assert registered() == []


def test_an_instance_of_its_own_is_attached(localcloud_aws: FrontProcess, unique_name: str) -> None:
    ec2, scaling = localcloud_aws.client("ec2"), localcloud_aws.client("autoscaling")
    make_group(localcloud_aws, unique_name, make_template(localcloud_aws, unique_name), DesiredCapacity=0)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    made = ec2.run_instances(ImageId="ami-headrace", MinCount=1, MaxCount=1, SubnetId=subnet, InstanceType="m6a.large")
    instance_id = made["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance_id])
    scaling.attach_instances(AutoScalingGroupName=unique_name, InstanceIds=[instance_id])
    assert in_state(localcloud_aws, unique_name, "InService", 1) == [instance_id]


@pytest.fixture
def place() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="headrace-scaling-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def notices(front: FrontProcess, instance_id: str) -> list[str]:
    """What EC2 has told a machine by its metadata: of its interruption, and of the recommendation to replace it."""
    base = f"{front.url}/_localcloud/imds/{instance_id}/latest/meta-data/"
    paths = ("spot/instance-action", "spot/termination-time", "events/recommendations/rebalance")
    answers = [httpx.get(base + path, trust_env=False, timeout=30.0) for path in paths]
    assert [one.status_code for one in answers] == [200, 200, 200]
    return [one.text for one in answers]


def interrupted(front: FrontProcess, group: str) -> tuple[str, list[str]]:
    """The one instance of a group, after both notices, and what it has been told."""
    (instance_id,) = in_state(front, group, "InService", 1)
    with Control(front.url) as control:
        control.do(instance_id, "interrupt", seconds=7200)
        control.do(instance_id, "rebalance")
    return instance_id, notices(front, instance_id)


def drained(front: FrontProcess, instance_id: str) -> str:
    """A target group out of which an instance drains for fifty minutes; its ARN."""
    balancing, ec2 = front.client("elbv2"), front.client("ec2")
    vpc, subnets = ec2.describe_vpcs()["Vpcs"][0]["VpcId"], ec2.describe_subnets()["Subnets"][:2]
    made = balancing.create_target_group(Name="tg", Port=7400, Protocol="TCP", VpcId=vpc)
    arn = str(made["TargetGroups"][0]["TargetGroupArn"])
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "3000"}
    balancing.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
    places = [subnet["SubnetId"] for subnet in subnets]
    balancer = balancing.create_load_balancer(Name="lb", Subnets=places, Type="network")["LoadBalancers"][0]
    balancing.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="TCP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}],
    )
    targets = [{"Id": instance_id}]
    balancing.register_targets(TargetGroupArn=arn, Targets=targets)
    until(lambda: target_state(front, arn) == "healthy", "the target to be healthy")
    balancing.deregister_targets(TargetGroupArn=arn, Targets=targets)
    assert target_state(front, arn) == "draining"
    return arn


def target_state(front: FrontProcess, arn: str) -> str:
    """Of the one target of a target group."""
    (found,) = front.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return str(found["TargetHealth"]["State"])


def test_after_kill_9_a_refresh_goes_on_and_pool_and_schedule_are_there(place: Path) -> None:
    def make() -> FrontProcess:
        return FrontProcess(ports.choose(), place / "front.log", "--state", str(place / "state"))

    front = make()
    front.start()
    named = {"AutoScalingGroupName": "g"}
    try:
        template = make_template(front, "t")
        first = {"LaunchTemplateId": template, "Version": "1"}
        make_group(front, "g", template, DesiredCapacity=2, MaxSize=3, LaunchTemplate=first)
        in_state(front, "g", "InService", 2)
        scaling = front.client("autoscaling")
        scaling.put_warm_pool(**named, PoolState="Stopped")
        until(lambda: list(warm(front, "g").values()) == ["Warmed:Stopped"], "the pool")
        scaling.put_scheduled_update_group_action(
            **named, ScheduledActionName="s", Recurrence="0 9 * * *", DesiredCapacity=1
        )
        wanted = second_version(front, template)
        points = {"CheckpointPercentages": [50, 100], "CheckpointDelay": 5, "InstanceWarmup": 0}
        scaling.start_instance_refresh(**named, DesiredConfiguration=wanted, Preferences=points)
        until(lambda: refresh(front, "g")["PercentageComplete"] >= 50, "the checkpoint")
        make_group(front, "spot", template)
        risky, told = interrupted(front, "spot")
        target_group = drained(front, risky)
        make_group(front, "gone", template, DesiredCapacity=0)
        scaling.delete_auto_scaling_group(AutoScalingGroupName="gone", ForceDelete=True)
        until(lambda: describe(front, "gone") is None, "the group to be gone")
        assert front.pid is not None
        os.kill(front.pid, signal.SIGKILL)
        until(lambda: not front.alive(), "the front to be dead")
    finally:
        front.kill()
    again = make()
    again.start()
    try:
        until(lambda: refresh(again, "g")["Status"] == "Successful", "the refresh to end")
        assert (notices(again, risky), target_state(again, target_group)) == (told, "draining")
        with Control(again.url) as control:
            control.do(risky, "interrupt", seconds=0)
        until(lambda: in_state(again, "spot", "InService", 1) != [risky], "the replacement of what was taken")
        group = describe(again, "g")
        assert group is not None
        assert [i["LaunchTemplate"]["Version"] for i in group["Instances"]] == ["2", "2"]
        until(lambda: list(warm(again, "g").values()) == ["Warmed:Stopped"], "the pool to be filled again")
        scaling = again.client("autoscaling")
        actions = scaling.describe_scheduled_actions(**named)["ScheduledUpdateGroupActions"]
        assert [a["ScheduledActionName"] for a in actions] == ["s"]
        with pytest.raises(ClientError, match="not found"):
            scaling.describe_scaling_activities(AutoScalingGroupName="gone")
        scaling.describe_scaling_activities(AutoScalingGroupName="gone", IncludeDeletedGroups=True)
    finally:
        again.stop()
