"""Lifecycle hooks: kept with the group, and, while they hold an instance, as one action each.

All hooks of a transition hold an instance at the same time. A launch needs CONTINUE from every one of them; the first
ABANDON decides. A termination goes on when the first ABANDON comes or when all have answered. An action that nobody
completes ends with the hook's default result; a heartbeat starts its timeout anew, but never beyond the global limit.
"""

from dataclasses import dataclass

from localcloud.aws.autoscaling import notices
from localcloud.aws.autoscaling.lifecycle import Lifecycle
from localcloud.aws.autoscaling.records import Group, Hook, HookAction, Member
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
CONTINUE, ABANDON = "CONTINUE", "ABANDON"
TIMEOUT_S_MIN, TIMEOUT_S_MAX = 30, 7200
GLOBAL_S_MAX = 48 * 3600
GLOBAL_TIMEOUTS_MAX = 100
LAUNCH_WAITS = frozenset({Lifecycle.PENDING_WAIT, Lifecycle.WARMED_PENDING_WAIT})
WAITING = LAUNCH_WAITS | {Lifecycle.TERMINATING_WAIT, Lifecycle.WARMED_TERMINATING_WAIT}


@dataclass(slots=True, frozen=True)
class Verdict:
    """How the hooks of one instance have decided; `token` and `reason` belong to the action that did."""

    abandoned: bool
    token: str
    reason: str


def put(world: World, group: Group, hook: Hook, *, given: frozenset[str] = frozenset()) -> None:
    """Add a hook, or change the given fields of one; instances that are held already keep their terms."""
    old = group.hooks.get(hook.name)
    if old and "transition" not in given:
        hook.transition = old.transition
    if old:
        for field in ("timeout_s", "default_result", "target", "role", "metadata"):
            if field not in given:
                setattr(hook, field, getattr(old, field))
    check(hook)
    if not old and len(group.hooks) >= world.quotas.hooks_per_group:
        raise AwsError("LimitExceeded", f"You already have {len(group.hooks)} lifecycle hooks on {group.name}")
    group.hooks[hook.name] = hook
    world.touch(group)


def check(hook: Hook) -> None:
    """ValidationError for what AWS does not accept."""
    if hook.transition not in {LAUNCHING, TERMINATING}:
        raise ValidationError(
            f"The lifecycle transition {hook.transition or '(none)'} is not valid: {LAUNCHING} or {TERMINATING}"
        )
    if not TIMEOUT_S_MIN <= hook.timeout_s <= TIMEOUT_S_MAX:
        raise ValidationError(
            f"Heartbeat Timeout must be between {TIMEOUT_S_MIN} and {TIMEOUT_S_MAX} seconds: {hook.timeout_s}"
        )
    if hook.default_result not in {CONTINUE, ABANDON}:
        raise ValidationError(f"Lifecycle Action Result must be CONTINUE or ABANDON: {hook.default_result}")


def delete(world: World, group: Group, name: str) -> None:
    """Remove a hook; an instance that it holds goes on as by ABANDON of a launch, CONTINUE of a termination."""
    if name not in group.hooks:
        raise ValidationError(f"No Lifecycle Hook found with name {name}")
    del group.hooks[name]
    for member in group.members.values():
        result = ABANDON if member.lifecycle in LAUNCH_WAITS else CONTINUE
        for action in member.actions:
            if action.hook == name and not action.result:
                action.result, action.reason = result, "Lifecycle hook was deleted"
    world.touch(group)


def hold(world: World, group: Group, member: Member, transition: str) -> bool:
    """Let every hook of the transition hold the instance; whether there is one."""
    now = world.clock.now()
    holding = [hook for hook in group.hooks.values() if hook.transition == transition]
    member.actions = [
        HookAction(
            hook=hook.name,
            token=world.new_id(),
            timeout_s=hook.timeout_s,
            default_result=hook.default_result,
            expires_at=now + hook.timeout_s,
            ends_at=now + min(GLOBAL_S_MAX, GLOBAL_TIMEOUTS_MAX * hook.timeout_s),
        )
        for hook in holding
    ]
    for hook, action in zip(holding, member.actions, strict=True):
        notices.tell_hook(world, group, member, hook, action)
    return bool(member.actions)


def verdict(world: World, member: Member) -> Verdict | None:
    """How the actions have decided, with what has timed out by now; None: still waiting."""
    now = world.clock.now()
    for action in member.actions:
        if not action.result and now >= action.expires_at:
            action.result, action.reason = action.default_result, "Heartbeat Timeout"
    for action in member.actions:
        if action.result == ABANDON:
            member.actions = []
            return Verdict(abandoned=True, token=action.token, reason=action.reason)
    if any(not action.result for action in member.actions):
        return None
    member.actions = []
    return Verdict(abandoned=False, token="", reason="")


def complete(  # noqa: PLR0913  the parameters of CompleteLifecycleAction
    world: World, group: Group, hook: str, *, instance_id: str, token: str, result: str
) -> None:
    """Answer for one action of one instance, found by instance id or token."""
    if result not in {CONTINUE, ABANDON}:
        raise ValidationError(f"Lifecycle Action Result must be CONTINUE or ABANDON: {result}")
    action = _active(group, hook, instance_id, token)
    action.result, action.reason = result, f"Lifecycle Action Completed with {result} Result"
    world.touch(group)


def heartbeat(world: World, group: Group, hook: str, *, instance_id: str, token: str) -> None:
    """Start the timeout of an action anew."""
    action = _active(group, hook, instance_id, token)
    action.expires_at = min(world.clock.now() + action.timeout_s, action.ends_at)
    world.touch(group)


def _active(group: Group, hook: str, instance_id: str, token: str) -> HookAction:
    if hook not in group.hooks:
        raise ValidationError(f"No Lifecycle Hook found with name {hook} for AutoScalingGroup {group.name}")
    for member in group.members.values():
        if member.lifecycle not in WAITING or (instance_id and member.id != instance_id):
            continue
        for action in member.actions:
            if action.hook == hook and not action.result and (not token or action.token == token):
                return action
    raise ValidationError(
        f"No active Lifecycle Action found with instance ID {instance_id}"
        if instance_id
        else f"No active Lifecycle Action found with token {token}"
    )
