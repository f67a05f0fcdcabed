"""Finding a half-made resource by the name that we chose for it: its id in Pulumi's state, or None."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.aws.clients import aws_client, aws_error
from shared.domain.errors import NotFound

ABSENT = ("NotFound", "NoSuchEntity", "DoesNotExist")


def find_by_name(kind: str, inputs: Mapping[str, Any]) -> str | None:
    """The id of a resource of a Pulumi type with these inputs."""
    name = str(inputs.get("name", ""))
    finders = {
        "aws:autoscaling/group:Group": lambda: _asg(name),
        "aws:ec2/launchTemplate:LaunchTemplate": lambda: _template(name),
        "aws:ec2/securityGroup:SecurityGroup": lambda: _security_group(name, str(inputs.get("vpcId", ""))),
        "aws:iam/role:Role": lambda: _role(name),
        "aws:iam/instanceProfile:InstanceProfile": lambda: _profile(name),
        "aws:iam/rolePolicy:RolePolicy": lambda: _role_policy(str(inputs.get("role", "")), name),
    }
    finder = finders.get(kind)
    if finder is None or not name:
        return None
    try:
        return finder()
    except ClientError as e:
        if any(word in e.response.get("Error", {}).get("Code", "") for word in ABSENT):
            return None
        raise aws_error(e, f"looking for {kind} {name}") from e
    except BotoCoreError as e:
        raise aws_error(e, f"looking for {kind} {name}") from e
    except NotFound:
        return None


def _asg(name: str) -> str | None:
    found = aws_client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return name if found else None


def _template(name: str) -> str | None:
    found = aws_client("ec2").describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"]
    return str(found[0]["LaunchTemplateId"]) if found else None


def _security_group(name: str, vpc: str) -> str | None:
    filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
    found = aws_client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    return str(found[0]["GroupId"]) if found else None


def _role(name: str) -> str | None:
    aws_client("iam").get_role(RoleName=name)
    return name


def _profile(name: str) -> str | None:
    aws_client("iam").get_instance_profile(InstanceProfileName=name)
    return name


def _role_policy(role: str, name: str) -> str | None:
    aws_client("iam").get_role_policy(RoleName=role, PolicyName=name)
    return f"{role}:{name}"
