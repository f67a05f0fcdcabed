"""boto3 against a real front: what clients see of groups, instances, errors, faults and the other services."""

import base64
import concurrent.futures
import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.localcloud_aws.front import FrontProcess, describe, in_state, make_group, make_role, make_template, until

BUNDLE_BYTES = 24 * 1024 * 1024  # boto3 sends it in parts


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refusal:
        call()
    return str(refusal.value.response["Error"]["Code"])


def test_what_the_template_says_reaches_the_instance(localcloud_aws: FrontProcess, unique_name: str) -> None:
    ec2 = localcloud_aws.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    firewall = ec2.create_security_group(GroupName=unique_name, Description="d", VpcId=vpc)["GroupId"]
    make_role(localcloud_aws, unique_name)
    template = make_template(
        localcloud_aws,
        unique_name,
        SecurityGroupIds=[firewall],
        IamInstanceProfile={"Name": unique_name},
        MetadataOptions={"HttpTokens": "required"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "of-template", "Value": "1"}]}],
    )
    tags = [
        {"Key": "told", "Value": "1", "PropagateAtLaunch": True},
        {"Key": "kept", "Value": "1", "PropagateAtLaunch": False},
    ]
    make_group(localcloud_aws, unique_name, template, Tags=tags)
    (instance_id,) = in_state(localcloud_aws, unique_name, "InService", 1)
    instance = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    assert instance["State"]["Name"] == "running"
    assert instance["PrivateIpAddress"].startswith("127.1.")
    assert instance["IamInstanceProfile"]["Arn"].endswith(f"/{unique_name}")
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert [g["GroupId"] for g in instance["SecurityGroups"]] == [firewall]
    found = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert {"of-template", "told", "aws:autoscaling:groupName"} <= set(found)
    assert "kept" not in found


def test_a_group_is_described_as_it_was_made(localcloud_aws: FrontProcess, unique_name: str) -> None:
    template = make_template(localcloud_aws, unique_name)
    policy = {"MinHealthyPercentage": 90, "MaxHealthyPercentage": 120}
    make_group(
        localcloud_aws,
        unique_name,
        template,
        DesiredCapacity=0,
        DefaultInstanceWarmup=30,
        InstanceMaintenancePolicy=policy,
        TerminationPolicies=["OldestLaunchTemplate", "Default"],
        LifecycleHookSpecificationList=[
            {"LifecycleHookName": "boot", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
        ],
    )
    group = describe(localcloud_aws, unique_name)
    assert group is not None
    assert group["LaunchTemplate"] == {
        "LaunchTemplateId": template,
        "LaunchTemplateName": unique_name,
        "Version": "$Latest",
    }
    assert (group["DefaultInstanceWarmup"], group["InstanceMaintenancePolicy"]) == (30, policy)
    assert group["TerminationPolicies"] == ["OldestLaunchTemplate", "Default"]
    assert len(group["AvailabilityZones"]) == 3
    scaling = localcloud_aws.client("autoscaling")
    hooks = scaling.describe_lifecycle_hooks(AutoScalingGroupName=unique_name)["LifecycleHooks"]
    assert [(h["LifecycleHookName"], h["HeartbeatTimeout"], h["GlobalTimeout"]) for h in hooks] == [
        ("boot", 3600, 172_800)
    ]


def test_refusals_have_the_codes_that_boto3_knows(localcloud_aws: FrontProcess, unique_name: str) -> None:
    scaling = localcloud_aws.client("autoscaling")
    template = make_template(localcloud_aws, unique_name)
    make_group(localcloud_aws, unique_name, template)
    named = {"AutoScalingGroupName": unique_name}
    in_state(localcloud_aws, unique_name, "InService", 1)
    assert code_of(lambda: make_group(localcloud_aws, unique_name, template)) == "AlreadyExists"
    with pytest.raises(scaling.exceptions.ResourceInUseFault):
        scaling.delete_auto_scaling_group(**named)
    assert code_of(lambda: scaling.set_desired_capacity(**named, DesiredCapacity=99)) == "ValidationError"
    assert code_of(lambda: scaling.create_launch_configuration(LaunchConfigurationName="x")) == "UnsupportedOperation"
    assert code_of(scaling.describe_account_settings) == "InvalidAction"
    assert code_of(localcloud_aws.client("ec2").describe_ipam_pools) == "InvalidAction"
    scaling.delete_auto_scaling_group(**named, ForceDelete=True)
    until(lambda: describe(localcloud_aws, unique_name) is None, "the group to be gone")


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"Action=NoSuchThing&Version=2011-01-01", {}),
        (b"Version=2011-01-01", {}),
        (b"\xff\xfe", {}),
        (b"Action=SetDesiredCapacity&Version=2011-01-01&DesiredCapacity=many&AutoScalingGroupName=x", {}),
        (
            b"Action=NoSuchThing&Version=2016-11-15",
            {"Authorization": "Credential=k/20260101/us-east-1/ec2/aws4_request"},
        ),
        (b"%%%", {"Authorization": "Credential=k/20260101/us-east-1/iam/aws4_request"}),
    ],
)
def test_what_makes_no_sense_is_refused_in_xml(
    localcloud_aws: FrontProcess, content: bytes, headers: dict[str, str]
) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = httpx.post(localcloud_aws.url, content=content, headers=form | headers, timeout=60, trust_env=False)
    assert 400 <= answer.status_code < 600
    assert "<!doctype" not in answer.text.lower()
    assert "<Code>" in answer.text


def test_stock_paginators_and_waiters_work(localcloud_aws: FrontProcess, unique_name: str) -> None:
    scaling = localcloud_aws.client("autoscaling")
    template = make_template(localcloud_aws, unique_name)
    tag = {"Key": "headrace:test", "Value": unique_name, "PropagateAtLaunch": True}
    for index in range(7):
        make_group(localcloud_aws, f"{unique_name}-{index}", template, DesiredCapacity=0, Tags=[tag])
    pages = scaling.get_paginator("describe_auto_scaling_groups").paginate(
        Filters=[{"Name": "tag:headrace:test", "Values": [unique_name]}], PaginationConfig={"PageSize": 3}
    )
    sizes = [len(page["AutoScalingGroups"]) for page in pages]
    assert sizes == [3, 3, 1]
    scaling.set_desired_capacity(AutoScalingGroupName=f"{unique_name}-0", DesiredCapacity=2)
    ids = in_state(localcloud_aws, f"{unique_name}-0", "InService", 2)
    localcloud_aws.client("ec2").get_waiter("instance_running").wait(InstanceIds=ids)
    details = scaling.describe_auto_scaling_instances(InstanceIds=ids)["AutoScalingInstances"]
    assert {d["HealthStatus"] for d in details} == {"HEALTHY"}
    activities = scaling.get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName=f"{unique_name}-0")
    assert [a["StatusCode"] for page in activities for a in page["Activities"]] == ["Successful", "Successful"]


def test_an_instance_terminated_behind_the_groups_back_is_replaced(
    localcloud_aws: FrontProcess, unique_name: str
) -> None:
    make_group(localcloud_aws, unique_name, make_template(localcloud_aws, unique_name), HealthCheckGracePeriod=600)
    (first,) = in_state(localcloud_aws, unique_name, "InService", 1)
    localcloud_aws.client("ec2").terminate_instances(InstanceIds=[first])
    until(lambda: in_state(localcloud_aws, unique_name, "InService", 1) != [first], "the replacement")


def test_a_target_group_holds_the_instances_in_service(localcloud_aws: FrontProcess, unique_name: str) -> None:
    balancing, vpc = localcloud_aws.client("elbv2"), localcloud_aws.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    arn = balancing.create_target_group(Name=unique_name[:32], Port=7400, Protocol="TCP", VpcId=vpc)["TargetGroups"][0][
        "TargetGroupArn"
    ]
    make_group(localcloud_aws, unique_name, make_template(localcloud_aws, unique_name), TargetGroupARNs=[arn])
    ids = in_state(localcloud_aws, unique_name, "InService", 1)
    health = balancing.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert [one["Target"]["Id"] for one in health] == ids


def test_metadata_needs_a_token_when_the_template_says_so(localcloud_aws: FrontProcess, unique_name: str) -> None:
    make_role(localcloud_aws, unique_name)
    template = make_template(
        localcloud_aws,
        unique_name,
        IamInstanceProfile={"Name": unique_name},
        MetadataOptions={"HttpTokens": "required"},
        UserData=base64.b64encode(b'{"group": "g"}').decode(),
    )
    make_group(localcloud_aws, unique_name, template)
    (instance_id,) = in_state(localcloud_aws, unique_name, "InService", 1)
    machine = httpx.Client(base_url=f"{localcloud_aws.url}/_localcloud/imds/{instance_id}/latest/", trust_env=False)
    with machine:
        assert machine.get("meta-data/instance-id").status_code == 401
        assert machine.put("api/token").status_code == 400
        granted = machine.put("api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        assert granted.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "60"
        machine.headers["X-aws-ec2-metadata-token"] = granted.text
        assert machine.get("meta-data/instance-id").text == instance_id
        assert machine.get("meta-data/local-ipv4").text.startswith("127.1.")
        assert machine.get("meta-data/placement/availability-zone").text.startswith("us-east-1")
        assert machine.get("meta-data/autoscaling/target-lifecycle-state").text == "InService"
        assert machine.get("user-data").text == '{"group": "g"}'
        assert machine.get("meta-data/nothing").status_code == 404
        assert machine.get("meta-data/iam/security-credentials/").text == unique_name
        keys = json.loads(machine.get(f"meta-data/iam/security-credentials/{unique_name}").text)
        machine.headers["X-aws-ec2-metadata-token"] = "x" * 56
        assert machine.get("meta-data/instance-id").status_code == 401
    caller = localcloud_aws.client(
        "sts",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["Token"],
    )
    assert f"assumed-role/{unique_name}/{instance_id}" in caller.get_caller_identity()["Arn"]


def test_throttling_hits_the_calls_it_names_and_ends(localcloud_aws: FrontProcess, unique_name: str) -> None:
    ec2 = localcloud_aws.client("ec2")
    wanted = {"kind": "throttle", "seconds": 600, "service": "ec2", "actions": ["DescribeVolumes"]}
    fault = localcloud_aws.ask("faults", "POST", json=wanted)["id"]
    assert code_of(ec2.describe_volumes) == "RequestLimitExceeded"
    ec2.describe_vpcs()
    assert [f["id"] for f in localcloud_aws.ask("faults")] == [fault]
    localcloud_aws.ask(f"faults/{fault}", "DELETE")
    ec2.describe_volumes()
    endless = httpx.post(f"{localcloud_aws.url}/_localcloud/faults", json={"kind": "throttle"}, trust_env=False)
    assert endless.status_code == 400
    assert "every fault ends" in endless.json()["error"]
    assert unique_name


def test_a_zone_without_capacity(localcloud_aws: FrontProcess, unique_name: str) -> None:
    wanted = {"kind": "insufficient-capacity", "seconds": 600, "instance_type": "c7g.large", "zone": "us-east-1a"}
    fault = localcloud_aws.ask("faults", "POST", json=wanted)["id"]
    template = make_template(localcloud_aws, unique_name, InstanceType="c7g.large")
    make_group(localcloud_aws, unique_name, template, DesiredCapacity=2)
    in_state(localcloud_aws, unique_name, "InService", 2)
    group = describe(localcloud_aws, unique_name)
    assert group is not None
    assert {i["AvailabilityZone"] for i in group["Instances"]} == {"us-east-1b", "us-east-1c"}
    localcloud_aws.ask(f"faults/{fault}", "DELETE")


def test_the_default_network_has_three_zones(localcloud_aws: FrontProcess, unique_name: str) -> None:
    found = localcloud_aws.client("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
    zones = sorted(s["AvailabilityZone"] for s in found["Subnets"])
    assert zones == ["us-east-1a", "us-east-1b", "us-east-1c"]
    template = {"LaunchTemplateId": make_template(localcloud_aws, unique_name), "Version": "$Latest"}
    group = {"AutoScalingGroupName": unique_name, "MinSize": 0, "MaxSize": 1, "LaunchTemplate": template}
    create = localcloud_aws.client("autoscaling").create_auto_scaling_group
    assert code_of(lambda: create(**group, AvailabilityZones=["us-east-1d"])) == "ValidationError"


def test_objects_parameters_and_identity(localcloud_aws: FrontProcess, unique_name: str) -> None:
    objects, parameters = localcloud_aws.client("s3"), localcloud_aws.client("ssm")
    objects.create_bucket(Bucket=unique_name)
    content = bytes(range(256)) * (BUNDLE_BYTES // 256)
    objects.upload_fileobj(io.BytesIO(content), unique_name, "bundle")
    assert objects.get_object(Bucket=unique_name, Key="bundle")["Body"].read() == content
    parameters.put_parameter(Name=f"/{unique_name}", Value="hush", Type="SecureString")
    assert parameters.get_parameter(Name=f"/{unique_name}")["Parameter"]["Value"] != "hush"
    assert parameters.get_parameter(Name=f"/{unique_name}", WithDecryption=True)["Parameter"]["Value"] == "hush"
    assert localcloud_aws.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert localcloud_aws.client("ec2").describe_images(ImageIds=["ami-headrace"])["Images"]


def test_scrape_targets_are_the_machines_that_run(localcloud_aws: FrontProcess, unique_name: str) -> None:
    tag = {"Key": "headrace:group", "Value": unique_name, "PropagateAtLaunch": True}
    make_group(localcloud_aws, unique_name, make_template(localcloud_aws, unique_name), Tags=[tag])
    (instance_id,) = in_state(localcloud_aws, unique_name, "InService", 1)
    target = next(t for t in localcloud_aws.ask("prometheus-targets") if t["labels"]["asg"] == unique_name)
    assert target["targets"] == [localcloud_aws.machines()[instance_id]["address"] + ":7401"]
    assert target["labels"]["tag_headrace_group"] == unique_name


def test_many_clients_at_once_lose_nothing(localcloud_aws: FrontProcess, unique_name: str) -> None:
    template = make_template(localcloud_aws, unique_name)
    scaling = localcloud_aws.client("autoscaling", config=Config(max_pool_connections=8))
    make_group(localcloud_aws, unique_name, template, DesiredCapacity=0)

    def tag(index: int) -> None:
        one = {"ResourceId": unique_name, "ResourceType": "auto-scaling-group", "Key": f"k{index}", "Value": "v"}
        scaling.create_or_update_tags(Tags=[{**one, "PropagateAtLaunch": False}])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(tag, range(40)))
    group = describe(localcloud_aws, unique_name)
    assert group is not None
    assert len(group["Tags"]) == 40


def test_what_metadata_gives_and_refuses(localcloud_aws: FrontProcess) -> None:
    ec2, image = localcloud_aws.client("ec2"), {"ImageId": "ami-headrace", "InstanceType": "m6a.large"}
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "red"}]}]
    made = ec2.run_instances(
        **image, MinCount=1, MaxCount=1, TagSpecifications=tags, MetadataOptions={"InstanceMetadataTags": "enabled"}
    )["Instances"][0]["InstanceId"]
    base = f"{localcloud_aws.url}/_localcloud/imds/{made}/latest/"

    def asked(method: str, path: str, **headers: str) -> httpx.Response:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return httpx.request(method, base + path, headers=named, trust_env=False, timeout=60.0)

    for ttl, status in (("0", 400), ("1", 200), ("21600", 200), ("21601", 400), ("-1", 400), ("soon", 400)):
        assert asked("PUT", "api/token", X_aws_ec2_metadata_token_ttl_seconds=ttl).status_code == status, ttl
    behind = {"X_aws_ec2_metadata_token_ttl_seconds": "60", "X_Forwarded_For": "10.0.0.1"}
    assert asked("PUT", "api/token", **behind).status_code == 403
    assert asked("GET", "meta-data/tags/instance/").text == "team"
    assert asked("GET", "meta-data/tags/instance/team").text == "red"
    ec2.modify_instance_metadata_options(InstanceId=made, InstanceMetadataTags="disabled", HttpTokens="required")
    assert asked("GET", "meta-data/tags/instance/team").status_code == 401
    token = asked("PUT", "api/token", X_aws_ec2_metadata_token_ttl_seconds="60").text
    assert asked("GET", "meta-data/tags/instance/team", X_aws_ec2_metadata_token=token).status_code == 404
    assert asked("GET", "meta-data/instance-id", X_aws_ec2_metadata_token=token).text == made
    ec2.modify_instance_metadata_options(InstanceId=made, HttpEndpoint="disabled")
    assert asked("GET", "meta-data/instance-id", X_aws_ec2_metadata_token=token).status_code == 403
    ec2.terminate_instances(InstanceIds=[made])
