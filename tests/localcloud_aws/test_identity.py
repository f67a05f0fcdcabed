"""Identity against a real front that enforces it: users, roles, sessions, and a node with its credentials out of IMDS."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from localcloud import ports
from services.provisioner.domain.group_stack import TRUST
from tests.localcloud_aws.front import FrontProcess, in_state, make_group, make_role, make_template

NOBODY = {"aws_access_key_id": "AKIANOBODY0000000000", "aws_secret_access_key": "guess"}


@pytest.fixture(scope="module")
def strict(server_directory: Path) -> Iterator[FrontProcess]:
    """An embedded AWS that refuses keys that nobody was given."""
    front = FrontProcess(ports.choose(), server_directory / "aws-strict.log", "--iam", "enforce")
    front.start()
    yield front
    front.stop()


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refusal:
        call()
    return str(refusal.value.response["Error"]["Code"])


def trust(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def allow(actions: list[str], resources: list[str], **more: Any) -> str:
    return trust(Action=actions, Resource=resources, **more)


def make_user(front: FrontProcess, name: str, policy: str) -> dict[str, str]:
    iam = front.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


def session_keys(credentials: dict[str, str]) -> dict[str, str]:
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials.get("SessionToken") or credentials["Token"],
    }


@pytest.mark.parametrize(
    ("service", "call", "unknown", "forged"),
    [
        ("ec2", "describe_vpcs", "AuthFailure", "AuthFailure"),
        ("s3", "list_buckets", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        ("iam", "list_roles", "InvalidClientTokenId", "SignatureDoesNotMatch"),
        ("autoscaling", "describe_tags", "InvalidClientTokenId", "SignatureDoesNotMatch"),
        ("ssm", "describe_parameters", "UnrecognizedClientException", "InvalidSignatureException"),
    ],
)
def test_keys_that_nobody_has_and_signatures_of_another_secret(
    strict: FrontProcess, service: str, call: str, unknown: str, forged: str
) -> None:
    getattr(strict.client(service), call)()
    assert code_of(getattr(strict.client(service, **NOBODY), call)) == unknown
    wrong = strict.client(service, aws_secret_access_key="another")
    assert code_of(getattr(wrong, call)) == forged


def test_an_unsigned_request_is_refused(strict: FrontProcess) -> None:
    answer = httpx.get(f"{strict.url}/?Action=DescribeTags&Version=2011-01-01", trust_env=False)
    assert answer.status_code == 403
    assert "<Code>MissingAuthenticationToken</Code>" in answer.text


def test_a_user_may_do_what_his_policies_say(strict: FrontProcess, unique_name: str) -> None:
    strict.client("s3").create_bucket(Bucket=unique_name)
    strict.client("s3").put_object(Bucket=unique_name, Key="open/a b+c", Body=b"x")
    strict.client("s3").put_object(Bucket=unique_name, Key="closed", Body=b"x")
    user = make_user(strict, unique_name, allow(["s3:GetObject"], [f"arn:aws:s3:::{unique_name}/open/*"]))
    objects = strict.client("s3", **user)
    assert objects.get_object(Bucket=unique_name, Key="open/a b+c")["Body"].read() == b"x"
    assert code_of(lambda: objects.get_object(Bucket=unique_name, Key="closed")) == "AccessDenied"
    assert code_of(lambda: objects.put_object(Bucket=unique_name, Key="open/b", Body=b"y")) == "AccessDenied"
    assert code_of(strict.client("ec2", **user).describe_vpcs) == "UnauthorizedOperation"
    assert code_of(strict.client("ssm", **user).describe_parameters) == "AccessDeniedException"
    assert strict.client("sts", **user).get_caller_identity()["Arn"].endswith(f":user/{unique_name}")


def test_conditions_look_at_the_tags_of_groups(strict: FrontProcess, unique_name: str) -> None:
    template = make_template(strict, unique_name)
    for team in ("own", "other"):
        tag = {"Key": "team", "Value": team, "PropagateAtLaunch": False}
        make_group(strict, f"{unique_name}-{team}", template, DesiredCapacity=0, Tags=[tag])
    condition = {"StringEquals": {"aws:ResourceTag/team": "own"}}
    user = make_user(strict, unique_name, allow(["autoscaling:SetDesiredCapacity"], ["*"], Condition=condition))
    scaling = strict.client("autoscaling", **user)
    scaling.set_desired_capacity(AutoScalingGroupName=f"{unique_name}-own", DesiredCapacity=1)
    other = {"AutoScalingGroupName": f"{unique_name}-other", "DesiredCapacity": 1}
    assert code_of(lambda: scaling.set_desired_capacity(**other)) == "AccessDenied"


def test_a_role_is_taken_with_the_right_external_id_only(strict: FrontProcess, unique_name: str) -> None:
    user = make_user(strict, unique_name, allow(["sts:AssumeRole", "sts:TagSession"], ["*"]))
    arn = f"arn:aws:iam::123456789012:user/{unique_name}"
    document = trust(
        Action=["sts:AssumeRole", "sts:TagSession"],
        Principal={"AWS": arn},
        Condition={"StringEquals": {"sts:ExternalId": "secret-1"}},
    )
    role = strict.client("iam").create_role(RoleName=unique_name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    own = "arn:aws:ssm:us-east-1:123456789012:parameter/${aws:PrincipalTag/team}/*"
    strict.client("iam").put_role_policy(
        RoleName=unique_name, PolicyName="own", PolicyDocument=allow(["ssm:GetParameter"], [own])
    )
    for team in ("red", "blue"):
        strict.client("ssm").put_parameter(Name=f"/{team}/{unique_name}", Value="v", Type="String")
    sts, wanted = strict.client("sts", **user), {"RoleArn": role, "RoleSessionName": "session"}
    assert code_of(lambda: sts.assume_role(**wanted)) == "AccessDenied"
    assert code_of(lambda: sts.assume_role(**wanted, ExternalId="guess")) == "AccessDenied"
    tags = [{"Key": "team", "Value": "red"}]
    keys = session_keys(sts.assume_role(**wanted, ExternalId="secret-1", Tags=tags)["Credentials"])
    parameters = strict.client("ssm", **keys)
    assert parameters.get_parameter(Name=f"/red/{unique_name}")["Parameter"]["Value"] == "v"
    assert code_of(lambda: parameters.get_parameter(Name=f"/blue/{unique_name}")) == "AccessDeniedException"
    assert (
        code_of(strict.client("sts", **(keys | {"aws_session_token": "x"})).get_session_token) == "InvalidClientTokenId"
    )
    plain = session_keys(sts.assume_role(**wanted, ExternalId="secret-1")["Credentials"])
    refused = strict.client("ssm", **plain)
    assert code_of(lambda: refused.get_parameter(Name=f"/red/{unique_name}")) == "AccessDeniedException"
    narrowed = sts.assume_role(**wanted, ExternalId="secret-1", Tags=tags, Policy=allow(["s3:*"], ["*"]))["Credentials"]
    fenced = strict.client("ssm", **session_keys(narrowed))
    assert code_of(lambda: fenced.get_parameter(Name=f"/red/{unique_name}")) == "AccessDeniedException"


def test_a_node_can_do_exactly_what_the_policy_of_its_role_says(strict: FrontProcess, unique_name: str) -> None:
    group = f"default-{unique_name}-r1"
    own = f"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/default-{unique_name}-r*"
    policy = allow(["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"], [own])
    iam = strict.client("iam")
    iam.create_role(RoleName=unique_name, AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName=unique_name, PolicyName="node", PolicyDocument=policy)
    iam.create_instance_profile(InstanceProfileName=unique_name)
    iam.add_role_to_instance_profile(InstanceProfileName=unique_name, RoleName=unique_name)
    hook = {"LifecycleHookName": "boot", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
    template = make_template(strict, unique_name, IamInstanceProfile={"Name": unique_name})
    make_group(strict, group, template, LifecycleHookSpecificationList=[hook])
    make_group(strict, f"{unique_name}-other", template, LifecycleHookSpecificationList=[hook])
    (instance_id,) = in_state(strict, group, "Pending:Wait", 1)
    (other,) = in_state(strict, f"{unique_name}-other", "Pending:Wait", 1)
    place = f"{strict.url}/_localcloud/imds/{instance_id}/latest/meta-data/iam/security-credentials/{unique_name}"
    scaling = strict.client("autoscaling", **session_keys(httpx.get(place, trust_env=False).json()))
    done = {"LifecycleHookName": "boot", "LifecycleActionResult": "CONTINUE"}
    refused = {"AutoScalingGroupName": f"{unique_name}-other", "InstanceId": other, **done}
    assert code_of(lambda: scaling.complete_lifecycle_action(**refused)) == "AccessDenied"
    assert code_of(scaling.describe_auto_scaling_groups) == "AccessDenied"
    scaling.complete_lifecycle_action(AutoScalingGroupName=group, InstanceId=instance_id, **done)
    in_state(strict, group, "InService", 1)


def test_a_role_that_does_not_trust_ec2_gives_a_machine_nothing(strict: FrontProcess, unique_name: str) -> None:
    iam = strict.client("iam")
    document = trust(Action="sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"})
    iam.create_role(RoleName=unique_name, AssumeRolePolicyDocument=document)
    iam.create_instance_profile(InstanceProfileName=unique_name)
    iam.add_role_to_instance_profile(InstanceProfileName=unique_name, RoleName=unique_name)
    template = make_template(strict, unique_name, IamInstanceProfile={"Name": unique_name})
    make_group(strict, unique_name, template)
    (instance_id,) = in_state(strict, unique_name, "InService", 1)
    place = f"{strict.url}/_localcloud/imds/{instance_id}/latest/meta-data/iam/security-credentials/{unique_name}"
    assert httpx.get(place, trust_env=False).json()["Code"] == "AssumeRoleUnauthorizedAccess"


def test_whoever_launches_with_a_role_must_be_allowed_to_pass_it(strict: FrontProcess, unique_name: str) -> None:
    make_role(strict, unique_name)
    role = strict.client("iam").get_role(RoleName=unique_name)["Role"]["Arn"]
    with_role = make_template(strict, f"{unique_name}-with", IamInstanceProfile={"Name": unique_name})
    without = make_template(strict, f"{unique_name}-without")
    launches = ["ec2:*", "autoscaling:*"]
    keys = make_user(strict, unique_name, allow(launches, ["*"]))
    scaling, ec2 = strict.client("autoscaling", **keys), strict.client("ec2", **keys)

    def create(name: str, template: str) -> None:
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=1,
            AvailabilityZones=["us-east-1a"],
            LaunchTemplate={"LaunchTemplateId": template},
        )

    create(f"{unique_name}-without", without)
    assert code_of(lambda: create(unique_name, with_role)) == "AccessDenied"
    image = {"ImageId": "ami-headrace", "InstanceType": "m6a.large", "MinCount": 1, "MaxCount": 1}
    profile = {"Name": unique_name}
    assert code_of(lambda: ec2.run_instances(**image, IamInstanceProfile=profile)) == "UnauthorizedOperation"
    condition = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    document = allow(["iam:PassRole"], [role], Condition=condition)
    strict.client("iam").put_user_policy(UserName=unique_name, PolicyName="pass", PolicyDocument=document)
    create(unique_name, with_role)
    ec2.run_instances(**image, IamInstanceProfile=profile)


def test_a_buckets_policy_has_a_say(strict: FrontProcess, unique_name: str) -> None:
    own = strict.client("s3")
    own.create_bucket(Bucket=unique_name)
    own.put_object(Bucket=unique_name, Key="shared/a", Body=b"x")
    own.put_object(Bucket=unique_name, Key="closed/a", Body=b"x")
    keys = make_user(strict, unique_name, allow(["s3:PutObject"], ["*"]))
    arn = f"arn:aws:iam::123456789012:user/{unique_name}"
    theirs, place = strict.client("s3", **keys), f"arn:aws:s3:::{unique_name}"
    read = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "s3:GetObject", "Resource": f"{place}/shared/*"}
    shut = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"{place}/closed/*"}
    other = {"Effect": "Deny", "Principal": {"AWS": f"{arn}-2"}, "Action": "s3:GetObject", "Resource": f"{place}/*"}
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{place}/shared/*"}
    url = f"{strict.url}/{unique_name}/shared/a"
    assert code_of(lambda: theirs.get_object(Bucket=unique_name, Key="shared/a")) == "AccessDenied"
    source = {"Bucket": unique_name, "Key": "shared/a"}
    assert code_of(lambda: theirs.copy_object(Bucket=unique_name, Key="b", CopySource=source)) == "AccessDenied"
    own.put_bucket_policy(Bucket=unique_name, Policy=json.dumps({"Statement": [read, shut, other]}))
    assert theirs.get_object(Bucket=unique_name, Key="shared/a")["Body"].read() == b"x"
    theirs.copy_object(Bucket=unique_name, Key="b", CopySource=source)
    assert code_of(lambda: theirs.get_object(Bucket=unique_name, Key="closed/a")) == "AccessDenied"
    assert code_of(lambda: theirs.put_object(Bucket=unique_name, Key="closed/b", Body=b"y")) == "AccessDenied"
    assert code_of(lambda: own.put_object(Bucket=unique_name, Key="closed/b", Body=b"y")) == "AccessDenied"
    assert httpx.get(url, trust_env=False).status_code == 403
    own.put_bucket_policy(Bucket=unique_name, Policy=json.dumps({"Statement": [everybody]}))
    assert httpx.get(url, trust_env=False).content == b"x"
    own.delete_bucket_policy(Bucket=unique_name)
    assert httpx.get(url, trust_env=False).status_code == 403


def test_a_session_is_fenced_in_by_managed_policies_too(strict: FrontProcess, unique_name: str) -> None:
    iam = strict.client("iam")
    user = make_user(strict, unique_name, allow(["sts:AssumeRole"], ["*"]))
    document = trust(Action="sts:AssumeRole", Principal={"AWS": f"arn:aws:iam::123456789012:user/{unique_name}"})
    role = iam.create_role(RoleName=unique_name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    both = allow(["ec2:DescribeVpcs", "ec2:DescribeSubnets"], ["*"])
    own = iam.create_policy(PolicyName=f"{unique_name}-own", PolicyDocument=both)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=unique_name, PolicyArn=own)
    one = iam.create_policy(PolicyName=unique_name, PolicyDocument=allow(["ec2:DescribeVpcs", "iam:*"], ["*"]))
    fence = [{"arn": one["Policy"]["Arn"]}]
    sts = strict.client("sts", **user)
    taken = sts.assume_role(RoleArn=role, RoleSessionName="session", PolicyArns=fence)["Credentials"]
    fenced = strict.client("ec2", **session_keys(taken))
    fenced.describe_vpcs()
    assert code_of(fenced.describe_subnets) == "UnauthorizedOperation"
    assert code_of(strict.client("ec2", **session_keys(taken)).describe_images) == "UnauthorizedOperation"
    whole = sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    strict.client("ec2", **session_keys(whole)).describe_subnets()
    iam.create_policy_version(PolicyArn=own, PolicyDocument=allow(["ec2:DescribeVpcs"], ["*"]), SetAsDefault=True)
    assert code_of(strict.client("ec2", **session_keys(whole)).describe_subnets) == "UnauthorizedOperation"
    assert code_of(strict.client("iam", **session_keys(taken)).list_roles) == "AccessDenied"
