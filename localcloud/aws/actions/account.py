"""What the account may have, and the lists of names that AWS knows."""

from localcloud.aws.actions.parameters import Action, Answer, Parameters
from localcloud.aws.autoscaling import hooks, validation
from localcloud.aws.autoscaling.selection import POLICIES
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError


def hook_types(_world: World, _p: Parameters) -> Answer:
    """DescribeLifecycleHookTypes."""
    return {"LifecycleHookTypes": [hooks.LAUNCHING, hooks.TERMINATING]}


def process_types(_world: World, _p: Parameters) -> Answer:
    """DescribeScalingProcessTypes."""
    return {"Processes": [{"ProcessName": name} for name in validation.PROCESSES]}


def policy_types(_world: World, _p: Parameters) -> Answer:
    """DescribeTerminationPolicyTypes."""
    return {"TerminationPolicyTypes": list(POLICIES)}


def account_limits(world: World, _p: Parameters) -> Answer:
    """DescribeAccountLimits."""
    return {
        "MaxNumberOfAutoScalingGroups": world.quotas.groups,
        "MaxNumberOfLaunchConfigurations": 0,
        "NumberOfAutoScalingGroups": len(world.groups),
        "NumberOfLaunchConfigurations": 0,
    }


def create_configuration(_world: World, _p: Parameters) -> Answer:
    """CreateLaunchConfiguration: refused as AWS refuses it to accounts that are new since October 2024."""
    raise AwsError(
        "UnsupportedOperation",
        "The Launch Configuration creation operation is not available in your account. Use launch templates to create "
        "configuration templates for your Auto Scaling groups.",
    )


def delete_configuration(_world: World, p: Parameters) -> Answer:
    """DeleteLaunchConfiguration: there is none."""
    raise ValidationError(
        f"Launch configuration name not found - Launch configuration {p['LaunchConfigurationName']} not found"
    )


def describe_configurations(_world: World, _p: Parameters) -> Answer:
    """DescribeLaunchConfigurations: there are none."""
    return {"LaunchConfigurations": []}


READS: dict[str, Action] = {
    "DescribeLaunchConfigurations": describe_configurations,
    "DescribeAccountLimits": account_limits,
    "DescribeLifecycleHookTypes": hook_types,
    "DescribeScalingProcessTypes": process_types,
    "DescribeTerminationPolicyTypes": policy_types,
}
WRITES: dict[str, Action] = {
    "CreateLaunchConfiguration": create_configuration,
    "DeleteLaunchConfiguration": delete_configuration,
}
