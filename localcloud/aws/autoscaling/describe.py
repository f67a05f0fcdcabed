"""Groups, instances, hooks, tags and activities as Auto Scaling describes them: botocore's output shapes, as dicts."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from localcloud.aws.autoscaling.hooks import GLOBAL_S_MAX, GLOBAL_TIMEOUTS_MAX
from localcloud.aws.autoscaling.plans import TemplateRef, WarmPool
from localcloud.aws.autoscaling.records import Activity, Group, Hook, Member, Tag
from localcloud.aws.errors import AwsError, ValidationError

Item = TypeVar("Item")


def page(items: Sequence[Item], token: str | None, records: int | None, *, default: int, most: int) -> dict[str, Any]:
    """One page of items, and the token of the next one.

    >>> first = page("abc", None, 2, default=50, most=100)
    >>> first["items"], page("abc", first["NextToken"], 2, default=50, most=100)
    ('ab', {'items': 'c', 'NextToken': None})
    """
    size = default if records is None else records
    if not 1 <= size <= most:
        raise ValidationError(f"MaxRecords must be 1 to {most}: {size}")
    start = _offset(token) if token else 0
    end = start + size
    more = base64.urlsafe_b64encode(f"at:{end}".encode()).decode() if end < len(items) else None
    return {"items": items[start:end], "NextToken": more}


def _offset(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("at:"))
    except (ValueError, binascii.Error, UnicodeDecodeError) as error:
        raise AwsError("InvalidNextToken", f"The token '{token}' is invalid.") from error


def time(when: float) -> datetime:
    """A time as the serialiser takes it."""
    return datetime.fromtimestamp(when, UTC)


def template(ref: TemplateRef) -> dict[str, str]:
    """A LaunchTemplateSpecification."""
    return {"LaunchTemplateId": ref.id, "LaunchTemplateName": ref.name, "Version": ref.version}


def group(one: Group, *, instances: bool = True) -> dict[str, Any]:
    """An AutoScalingGroup."""
    described: dict[str, Any] = {
        **one.stored,
        "AutoScalingGroupName": one.name,
        "AutoScalingGroupARN": one.arn,
        "MinSize": one.min,
        "MaxSize": one.max,
        "DesiredCapacity": one.desired,
        "DefaultCooldown": one.cooldown_s,
        "AvailabilityZones": one.zones,
        "LoadBalancerNames": one.load_balancers,
        "TargetGroupARNs": one.target_groups,
        "HealthCheckType": one.health_check_type,
        "HealthCheckGracePeriod": one.grace_s,
        "Instances": [member(m) for m in one.members.values() if not m.warm] if instances else [],
        "CreatedTime": time(one.created_at),
        "SuspendedProcesses": [
            {"ProcessName": process, "SuspensionReason": reason} for process, reason in sorted(one.suspended.items())
        ],
        "VPCZoneIdentifier": ",".join(one.subnets),
        "EnabledMetrics": [{"Metric": name, "Granularity": "1Minute"} for name in one.metrics],
        "Tags": [tag(one.name, t) for t in one.tags.values()],
        "TerminationPolicies": one.termination_policies,
        "NewInstancesProtectedFromScaleIn": one.protect_new,
        "TrafficSources": [
            *({"Identifier": arn, "Type": "elbv2"} for arn in one.target_groups),
            *({"Identifier": name, "Type": "elb"} for name in one.load_balancers),
        ],
    }
    if one.mixed is None:
        described["LaunchTemplate"] = template(one.template)
    else:
        described["MixedInstancesPolicy"] = one.mixed
    if one.warm_pool:
        described["WarmPoolConfiguration"], described["WarmPoolSize"] = warm_pool(one.warm_pool), len(one.warm)
    if one.deleting:
        described["Status"] = "Delete in progress"
    return described


def warm_pool(one: WarmPool) -> dict[str, Any]:
    """A WarmPoolConfiguration."""
    return {
        "MaxGroupPreparedCapacity": one.prepared_max,
        "MinSize": one.min,
        "PoolState": one.state,
        "Status": "PendingDelete" if one.deleting else None,
        "InstanceReusePolicy": {"ReuseOnScaleIn": one.reuse},
    }


def member(one: Member) -> dict[str, Any]:
    """An Instance of a group's description."""
    return {
        "InstanceId": one.id,
        "InstanceType": one.instance_type,
        "AvailabilityZone": one.zone,
        "LifecycleState": one.lifecycle.value,
        "HealthStatus": "Healthy" if one.healthy else "Unhealthy",
        "LaunchTemplate": template(one.template) if one.template.id else None,
        "ProtectedFromScaleIn": one.protected,
        "WeightedCapacity": str(one.weight) if one.weighted else None,
    }


def instance(group_name: str, one: Member) -> dict[str, Any]:
    """An AutoScalingInstanceDetails: here health is written in capitals."""
    return {
        **member(one),
        "AutoScalingGroupName": group_name,
        "HealthStatus": "HEALTHY" if one.healthy else "UNHEALTHY",
    }


def tag(group_name: str, one: Tag) -> dict[str, Any]:
    """A TagDescription."""
    return {
        "ResourceId": group_name,
        "ResourceType": "auto-scaling-group",
        "Key": one.key,
        "Value": one.value,
        "PropagateAtLaunch": one.propagate,
    }


def hook(group_name: str, one: Hook) -> dict[str, Any]:
    """A LifecycleHook."""
    return {
        "LifecycleHookName": one.name,
        "AutoScalingGroupName": group_name,
        "LifecycleTransition": one.transition,
        "NotificationTargetARN": one.target or None,
        "RoleARN": one.role or None,
        "NotificationMetadata": one.metadata or None,
        "HeartbeatTimeout": one.timeout_s,
        "GlobalTimeout": min(GLOBAL_S_MAX, GLOBAL_TIMEOUTS_MAX * one.timeout_s),
        "DefaultResult": one.default_result,
    }


def activity(owner: Group, one: Activity) -> dict[str, Any]:
    """An Activity."""
    return {
        "ActivityId": one.id,
        "AutoScalingGroupName": owner.name,
        "AutoScalingGroupARN": owner.arn,
        "AutoScalingGroupState": "Deleted" if owner.deleted_at else None,
        "Description": one.description,
        "Cause": one.cause,
        "StartTime": time(one.started_at),
        "EndTime": time(one.ended_at) if one.ended_at else None,
        "StatusCode": one.status,
        "StatusMessage": one.message or None,
        "Progress": one.progress,
        "Details": f'{{"Subnet ID":"{one.subnet}","Availability Zone":"{one.zone}"}}',
    }
