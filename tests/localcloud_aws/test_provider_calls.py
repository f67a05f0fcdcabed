"""The stand-in provider called as the engine calls it: refusals, differences, what is gone, and its error codes."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from localcloud.aws.client import Control
from localcloud.aws.pulumi.values import from_struct, to_struct
from localcloud.aws.pulumi_provider import serve
from tests.localcloud_aws.front import FrontProcess, make_template

CALL_S_MAX = 60.0
GROUP = "aws:autoscaling/group:Group"


def urn(kind: str, name: str = "r") -> str:
    return f"urn:pulumi:dev::p::{kind}::{name}"


@pytest.fixture(scope="module")
def provider(localcloud_aws: FrontProcess) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in localcloud_aws.client_environment().items():
            environment.setenv(name, value)
        server, port = serve(0)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(0).wait()


def call(method: Any, request: Any) -> Any:
    return method(request, timeout=CALL_S_MAX)


def code_of(method: Any, request: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as failure:
        call(method, request)
    found: grpc.StatusCode = failure.value.code()
    return found


def create(kind: str, **inputs: Any) -> Any:
    return provider_pb2.CreateRequest(urn=urn(kind), properties=to_struct(inputs))


def test_unknown_types_and_inputs_are_refused_and_names_are_made_up(provider: Any) -> None:
    answer = call(provider.Check, provider_pb2.CheckRequest(urn=urn("aws:eks/cluster:Cluster")))
    assert "has no type" in answer.failures[0].reason
    news = to_struct({"minSize": 0, "maxSize": 1, "warmPool": {}})
    answer = call(provider.Check, provider_pb2.CheckRequest(urn=urn(GROUP), news=news, randomSeed=b"\x01" * 8))
    assert [failure.property for failure in answer.failures] == ["warmPool"]
    assert from_struct(answer.inputs)["name"] == "r-0101010"


def test_a_difference_is_told_by_input_but_not_what_is_ignored(provider: Any) -> None:
    old = {"name": "g", "maxSize": 3, "desiredCapacity": 1, "launchTemplate": {"id": "lt-1", "version": "1"}}
    new = old | {"maxSize": 4, "desiredCapacity": 2, "launchTemplate": {"id": "lt-1", "version": "2"}}
    request = provider_pb2.DiffRequest(
        urn=urn(GROUP),
        old_inputs=to_struct(old),
        news=to_struct(new),
        ignoreChanges=["desiredCapacity", "launchTemplate.version"],
    )
    assert list(call(provider.Diff, request).diffs) == ["maxSize"]
    renamed = provider_pb2.DiffRequest(
        urn=urn(GROUP), old_inputs=to_struct(old), news=to_struct(old | {"name": "other"})
    )
    answer = call(provider.Diff, renamed)
    assert (list(answer.replaces), answer.deleteBeforeReplace) == (["name"], True)


def test_what_is_gone_reads_as_gone_and_is_deleted_without_complaint(provider: Any) -> None:
    for kind in (
        GROUP,
        "aws:iam/role:Role",
        "aws:ssm/parameter:Parameter",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/instanceProfile:InstanceProfile",
    ):
        assert not call(provider.Read, provider_pb2.ReadRequest(id="none:none", urn=urn(kind))).id
        call(provider.Delete, provider_pb2.DeleteRequest(id="none:none", urn=urn(kind)))
    for kind, unknown in (
        ("aws:ec2/securityGroup:SecurityGroup", "sg-0123456789abcdef0"),
        ("aws:ec2/launchTemplate:LaunchTemplate", "lt-0123456789abcdef0"),
    ):
        assert not call(provider.Read, provider_pb2.ReadRequest(id=unknown, urn=urn(kind))).id


def test_errors_of_aws_have_codes_that_mean_something(
    provider: Any, localcloud_aws: FrontProcess, unique_name: str
) -> None:
    template = make_template(localcloud_aws, unique_name)
    base = {"name": unique_name, "minSize": 3, "maxSize": 1, "launchTemplate": {"id": template, "version": "1"}}
    subnets = [s["SubnetId"] for s in localcloud_aws.client("ec2").describe_subnets()["Subnets"][:1]]
    wrong = create(GROUP, **base, vpcZoneIdentifiers=subnets)
    assert code_of(provider.Create, wrong) is grpc.StatusCode.INVALID_ARGUMENT
    assert code_of(provider.Create, create("aws:iam/role:Role", name="x")) is grpc.StatusCode.INVALID_ARGUMENT
    policy = create("aws:iam/rolePolicy:RolePolicy", name="p", role="no-such-role", policy="{}")
    assert code_of(provider.Create, policy) is grpc.StatusCode.NOT_FOUND
    wanted = {"kind": "unavailable", "seconds": 600, "service": "autoscaling", "actions": ["CreateAutoScaling"]}
    fault = localcloud_aws.ask("faults", "POST", json=wanted)["id"]
    assert code_of(provider.Create, wrong) is grpc.StatusCode.UNAVAILABLE
    localcloud_aws.ask(f"faults/{fault}", "DELETE")


def test_a_write_is_answered_once_aws_shows_it_and_what_is_not_shown_yet_is_deleted(
    provider: Any, localcloud_aws: FrontProcess, unique_name: str
) -> None:
    kind, profile = "aws:ec2/launchTemplate:LaunchTemplate", "aws:iam/instanceProfile:InstanceProfile"
    iam = localcloud_aws.client("iam")
    iam.create_role(RoleName=unique_name, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
    with Control(localcloud_aws.url) as control, control.fault("stale-reads", 600, delay_s=1.0):
        first = {"name": unique_name, "imageId": "ami-headrace", "instanceType": "t3.micro"}
        made = call(provider.Create, create(kind, **first))
        assert from_struct(made.properties)["latestVersion"] == 1
        second = {**first, "instanceType": "t3.large", "tags": {"team": "a"}}
        update = provider_pb2.UpdateRequest(
            id=made.id, urn=urn(kind), old_inputs=to_struct(first), news=to_struct(second)
        )
        properties = from_struct(call(provider.Update, update).properties)
        assert (properties["latestVersion"], properties["tags"]) == (2, {"team": "a"})
        iam.create_instance_profile(InstanceProfileName=unique_name)
        iam.add_role_to_instance_profile(InstanceProfileName=unique_name, RoleName=unique_name)
        inputs = to_struct({"name": unique_name, "role": unique_name})
        call(provider.Delete, provider_pb2.DeleteRequest(id=unique_name, urn=urn(profile), properties=inputs))
    assert unique_name not in [p["InstanceProfileName"] for p in iam.list_instance_profiles()["InstanceProfiles"]]


def test_creating_what_exists_under_our_name_adopts_it(
    provider: Any, localcloud_aws: FrontProcess, unique_name: str
) -> None:
    vpc = localcloud_aws.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    rule = {"protocol": "tcp", "fromPort": 7400, "toPort": 7401, "cidrBlocks": ["10.0.0.0/8"], "description": "in"}
    kind = "aws:ec2/securityGroup:SecurityGroup"
    first = call(provider.Create, create(kind, name=unique_name, description="d", vpcId=vpc, tags={"a": "1"}))
    wanted = create(kind, name=unique_name, description="d", vpcId=vpc, tags={"a": "2"}, ingress=[rule])
    second = call(provider.Create, wanted)
    assert second.id == first.id
    state = from_struct(second.properties)
    assert (state["tags"], state["ingress"], state["egress"]) == ({"a": "2"}, [rule], [])
    other = create(kind, name=unique_name, description="another", vpcId=vpc)
    assert code_of(provider.Create, other) is grpc.StatusCode.ALREADY_EXISTS


def test_read_tells_only_what_the_program_has_set(
    provider: Any, localcloud_aws: FrontProcess, unique_name: str
) -> None:
    kind, options = "aws:ec2/launchTemplate:LaunchTemplate", {"httpTokens": "required"}
    inputs = {"name": unique_name, "imageId": "ami-headrace", "metadataOptions": options}
    made = call(provider.Create, create(kind, **inputs)).id
    read = call(provider.Read, provider_pb2.ReadRequest(id=made, urn=urn(kind), inputs=to_struct(inputs)))
    assert from_struct(read.inputs) == inputs
    opened = {"ImageId": "ami-headrace", "MetadataOptions": {"HttpTokens": "optional"}}
    ec2 = localcloud_aws.client("ec2")
    ec2.create_launch_template_version(LaunchTemplateId=made, LaunchTemplateData=opened)
    read = call(provider.Read, provider_pb2.ReadRequest(id=made, urn=urn(kind), inputs=to_struct(inputs)))
    assert from_struct(read.inputs)["metadataOptions"] == {"httpTokens": "optional"}
