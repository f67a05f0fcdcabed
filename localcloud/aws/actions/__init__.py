"""Auto Scaling's actions: one function each, from parsed parameters to the answer's shape. The table is here.

They translate, and decide nothing: what is allowed and what follows is in `autoscaling/`.
"""

from localcloud.aws.actions import (
    account,
    balancing,
    groups,
    instances,
    lifecycle_hooks,
    metrics,
    notifications,
    policies,
    refreshes,
    schedules,
    tags,
    warm_pools,
)
from localcloud.aws.actions.parameters import Action
from localcloud.aws.errors import AwsError

READS: dict[str, Action] = {
    **account.READS,
    **balancing.READS,
    **groups.READS,
    **instances.READS,
    **lifecycle_hooks.READS,
    **metrics.READS,
    **notifications.READS,
    **policies.READS,
    **refreshes.READS,
    **schedules.READS,
    **tags.READS,
    **warm_pools.READS,
}
WRITES: dict[str, Action] = {
    **account.WRITES,
    **balancing.WRITES,
    **groups.WRITES,
    **instances.WRITES,
    **lifecycle_hooks.WRITES,
    **metrics.WRITES,
    **notifications.WRITES,
    **policies.WRITES,
    **refreshes.WRITES,
    **schedules.WRITES,
    **tags.WRITES,
    **warm_pools.WRITES,
}


def find(action: str, *, known: bool) -> Action:
    """The function of an action; `known`: whether AWS has it at all. AwsError when it can not be done here."""
    found = READS.get(action) or WRITES.get(action)
    if found:
        return found
    if known:
        raise AwsError("InvalidAction", f"{action} is an action of Auto Scaling that this stand-in does not offer yet.")
    raise AwsError("InvalidAction", f"The action {action or '(none)'} is not valid for this web service.")
