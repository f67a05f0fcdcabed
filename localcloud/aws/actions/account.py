"""What the account may have, and the lists of names that AWS knows."""

from localcloud.aws.actions.parameters import Action, Answer, Parameters
from localcloud.aws.autoscaling import hooks, validation
from localcloud.aws.autoscaling.selection import POLICIES
from localcloud.aws.autoscaling.world import World


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


READS: dict[str, Action] = {
    "DescribeAccountLimits": account_limits,
    "DescribeLifecycleHookTypes": hook_types,
    "DescribeScalingProcessTypes": process_types,
    "DescribeTerminationPolicyTypes": policy_types,
}
