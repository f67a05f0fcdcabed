"""Lifecycle hooks and the actions that they hold instances by."""

from localcloud.aws.actions.parameters import Action, Answer, Parameters, hook
from localcloud.aws.autoscaling import describe, hooks
from localcloud.aws.autoscaling.world import World

HOOK_FIELDS = {
    "LifecycleTransition": "transition",
    "HeartbeatTimeout": "timeout_s",
    "DefaultResult": "default_result",
    "NotificationTargetARN": "target",
    "RoleARN": "role",
    "NotificationMetadata": "metadata",
}


def put_hook(world: World, p: Parameters) -> Answer:
    """PutLifecycleHook."""
    given = frozenset(field for name, field in HOOK_FIELDS.items() if name in p)
    hooks.put(world, world.group(p["AutoScalingGroupName"]), hook(p), given=given)
    return {}


def delete_hook(world: World, p: Parameters) -> Answer:
    """DeleteLifecycleHook."""
    hooks.delete(world, world.group(p["AutoScalingGroupName"]), p["LifecycleHookName"])
    return {}


def describe_hooks(world: World, p: Parameters) -> Answer:
    """DescribeLifecycleHooks."""
    group, names = world.group(p["AutoScalingGroupName"]), p.get("LifecycleHookNames")
    found = [h for h in group.hooks.values() if not names or h.name in names]
    return {"LifecycleHooks": [describe.hook(group.name, h) for h in found]}


def complete_action(world: World, p: Parameters) -> Answer:
    """CompleteLifecycleAction."""
    hooks.complete(
        world,
        world.group(p["AutoScalingGroupName"]),
        p["LifecycleHookName"],
        instance_id=p.get("InstanceId", ""),
        token=p.get("LifecycleActionToken", ""),
        result=p["LifecycleActionResult"],
    )
    return {}


def record_heartbeat(world: World, p: Parameters) -> Answer:
    """RecordLifecycleActionHeartbeat."""
    group, token = world.group(p["AutoScalingGroupName"]), p.get("LifecycleActionToken", "")
    hooks.heartbeat(world, group, p["LifecycleHookName"], instance_id=p.get("InstanceId", ""), token=token)
    return {}


READS: dict[str, Action] = {
    "DescribeLifecycleHooks": describe_hooks,
}
WRITES: dict[str, Action] = {
    "CompleteLifecycleAction": complete_action,
    "DeleteLifecycleHook": delete_hook,
    "PutLifecycleHook": put_hook,
    "RecordLifecycleActionHeartbeat": record_heartbeat,
}
