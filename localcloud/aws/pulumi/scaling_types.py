"""Auto Scaling groups and lifecycle hooks."""

import re
import time
from typing import Any

from localcloud.aws.pulumi.resource import Change, Context, Seen, pause
from localcloud.aws.pulumi.values import Inputs, given

DELETE_S_MAX = 600.0
CAPACITY_WAIT_DEFAULT = "10m"
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
UNSET = -1

SCALARS = (
    ("minSize", "MinSize"),
    ("maxSize", "MaxSize"),
    ("desiredCapacity", "DesiredCapacity"),
    ("defaultCooldown", "DefaultCooldown"),
    ("defaultInstanceWarmup", "DefaultInstanceWarmup"),
    ("healthCheckType", "HealthCheckType"),
    ("healthCheckGracePeriod", "HealthCheckGracePeriod"),
    ("protectFromScaleIn", "NewInstancesProtectedFromScaleIn"),
    ("terminationPolicies", "TerminationPolicies"),
    ("maxInstanceLifetime", "MaxInstanceLifetime"),
    ("capacityRebalance", "CapacityRebalance"),
)
NOT_READ = {"forceDelete", "waitForCapacityTimeout", "initialLifecycleHooks"}
HOOK = (
    ("lifecycleTransition", "LifecycleTransition"),
    ("defaultResult", "DefaultResult"),
    ("heartbeatTimeout", "HeartbeatTimeout"),
    ("notificationMetadata", "NotificationMetadata"),
    ("notificationTargetArn", "NotificationTargetARN"),
    ("roleArn", "RoleARN"),
)


class Group:
    """aws:autoscaling/group:Group. Waits for capacity as pulumi-aws does, unless waitForCapacityTimeout is "0"."""

    known = frozenset(
        {name for name, _ in SCALARS}
        | NOT_READ
        | {
            "name",
            "launchTemplate",
            "vpcZoneIdentifiers",
            "tags",
            "suspendedProcesses",
            "targetGroupArns",
            "instanceMaintenancePolicy",
        }
    )
    replaced_by = frozenset({"name"})

    def create(self, aws: Context, inputs: Inputs) -> str:
        """With hooks from the start; processes are suspended at once after."""
        scaling, name = aws.clients["autoscaling"], inputs["name"]
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            Tags=tags_of(name, inputs.get("tags")),
            LifecycleHookSpecificationList=[
                {"LifecycleHookName": hook["name"], **hook_of(hook)}
                for hook in inputs.get("initialLifecycleHooks") or []
            ],
            TargetGroupARNs=inputs.get("targetGroupArns") or [],
            **self._settings(inputs, self.known),
        )
        if inputs.get("suspendedProcesses"):
            scaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=inputs["suspendedProcesses"])
        self._await_capacity(aws, name, inputs)
        return str(name)

    def find(self, aws: Context, inputs: Inputs) -> str | None:
        """By name."""
        return inputs["name"] if self._describe(aws, inputs["name"]) else None

    def read(self, aws: Context, resource_id: str, inputs: Inputs) -> Seen | None:  # noqa: ARG002
        """By name; one that is being deleted is gone."""
        group = self._describe(aws, resource_id)
        if group is None or group.get("Status"):
            return None
        template = group.get("LaunchTemplate")
        policy = group.get("InstanceMaintenancePolicy")
        seen = {ours: group.get(theirs) for ours, theirs in SCALARS}
        seen |= {
            "name": resource_id,
            "launchTemplate": template and {"id": template["LaunchTemplateId"], "version": template["Version"]},
            "vpcZoneIdentifiers": [one for one in group.get("VPCZoneIdentifier", "").split(",") if one],
            "targetGroupArns": group.get("TargetGroupARNs", []),
            "suspendedProcesses": [one["ProcessName"] for one in group.get("SuspendedProcesses", [])],
            "instanceMaintenancePolicy": policy
            and {
                "minHealthyPercentage": policy["MinHealthyPercentage"],
                "maxHealthyPercentage": policy["MaxHealthyPercentage"],
            },
            "tags": [
                {"key": tag["Key"], "value": tag["Value"], "propagateAtLaunch": tag["PropagateAtLaunch"]}
                for tag in group.get("Tags", [])
            ],
        }
        return Seen(seen, {"arn": group["AutoScalingGroupARN"], "availabilityZones": group["AvailabilityZones"]})

    def update(self, aws: Context, resource_id: str, change: Change) -> None:
        """Only what differs is sent: what others own stays as it is."""
        scaling, named = aws.clients["autoscaling"], {"AutoScalingGroupName": resource_id}
        settings = self._settings(change.new, change.names)
        if settings:
            scaling.update_auto_scaling_group(**named, **settings)
        if "suspendedProcesses" in change.names:
            gone, fresh = gone_and_fresh(change, "suspendedProcesses")
            if gone:
                scaling.resume_processes(**named, ScalingProcesses=gone)
            if fresh:
                scaling.suspend_processes(**named, ScalingProcesses=fresh)
        if "targetGroupArns" in change.names:
            gone, fresh = gone_and_fresh(change, "targetGroupArns")
            if gone:
                scaling.detach_load_balancer_target_groups(**named, TargetGroupARNs=gone)
            if fresh:
                scaling.attach_load_balancer_target_groups(**named, TargetGroupARNs=fresh)
        if "tags" in change.names:
            bring_tags(aws, resource_id, change)
        if change.names & {"minSize", "desiredCapacity"}:
            self._await_capacity(aws, resource_id, change.new)

    def delete(self, aws: Context, resource_id: str, inputs: Inputs) -> None:
        """By force if the program said so, else emptied first; returns when it is gone."""
        scaling, named = aws.clients["autoscaling"], {"AutoScalingGroupName": resource_id}
        deadline = time.monotonic() + DELETE_S_MAX
        if not inputs.get("forceDelete"):
            scaling.update_auto_scaling_group(**named, MinSize=0, MaxSize=0, DesiredCapacity=0)
            while (group := self._describe(aws, resource_id)) and group["Instances"]:
                pause(aws, deadline, f"instances of {resource_id} to be terminated")
        scaling.delete_auto_scaling_group(**named, ForceDelete=bool(inputs.get("forceDelete")))
        while self._describe(aws, resource_id):
            pause(aws, deadline, f"group {resource_id} to be deleted")

    def _settings(self, inputs: Inputs, names: frozenset[str]) -> dict[str, Any]:
        settings = {theirs: inputs[ours] for ours, theirs in SCALARS if ours in names and inputs.get(ours) is not None}
        if "launchTemplate" in names and (template := inputs.get("launchTemplate")):
            version = template.get("version") or "$Default"
            settings["LaunchTemplate"] = given(
                {
                    "LaunchTemplateId": template.get("id"),
                    "LaunchTemplateName": template.get("name") if not template.get("id") else None,
                    "Version": str(version),
                }
            )
        if "vpcZoneIdentifiers" in names and inputs.get("vpcZoneIdentifiers"):
            settings["VPCZoneIdentifier"] = ",".join(inputs["vpcZoneIdentifiers"])
        if "instanceMaintenancePolicy" in names:
            policy = inputs.get("instanceMaintenancePolicy")
            settings["InstanceMaintenancePolicy"] = {
                "MinHealthyPercentage": policy["minHealthyPercentage"] if policy else UNSET,
                "MaxHealthyPercentage": policy["maxHealthyPercentage"] if policy else UNSET,
            }
            if not policy and names == self.known:
                del settings["InstanceMaintenancePolicy"]
        return settings

    def _await_capacity(self, aws: Context, name: str, inputs: Inputs) -> None:
        wanted = inputs.get("desiredCapacity") or inputs.get("minSize") or 0
        limit_s = seconds(inputs.get("waitForCapacityTimeout") or CAPACITY_WAIT_DEFAULT)
        if not limit_s or not wanted:
            return
        deadline = time.monotonic() + limit_s
        while True:
            group = self._describe(aws, name) or {"Instances": []}
            if sum(one["LifecycleState"] == "InService" for one in group["Instances"]) >= wanted:
                return
            pause(aws, deadline, f"{wanted} instances of {name} in service")

    def _describe(self, aws: Context, name: str) -> dict[str, Any] | None:
        answer = aws.clients["autoscaling"].describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        found: list[dict[str, Any]] = answer["AutoScalingGroups"]
        return found[0] if found else None


class LifecycleHook:
    """aws:autoscaling/lifecycleHook:LifecycleHook; its id is its name."""

    known = frozenset({"name", "autoscalingGroupName"} | {name for name, _ in HOOK})
    replaced_by = frozenset({"name", "autoscalingGroupName"})

    def create(self, aws: Context, inputs: Inputs) -> str:
        """Putting one that is there changes it."""
        aws.clients["autoscaling"].put_lifecycle_hook(
            AutoScalingGroupName=inputs["autoscalingGroupName"], LifecycleHookName=inputs["name"], **hook_of(inputs)
        )
        return str(inputs["name"])

    def find(self, aws: Context, inputs: Inputs) -> str | None:  # noqa: ARG002
        """Never asked: creating is putting."""
        return str(inputs["name"])

    def read(self, aws: Context, resource_id: str, inputs: Inputs) -> Seen | None:
        """By group and name."""
        group = inputs.get("autoscalingGroupName")
        if not group:
            return None
        found = aws.clients["autoscaling"].describe_lifecycle_hooks(
            AutoScalingGroupName=group, LifecycleHookNames=[resource_id]
        )["LifecycleHooks"]
        if not found:
            return None
        seen = {ours: found[0].get(theirs) for ours, theirs in HOOK}
        return Seen({"name": resource_id, "autoscalingGroupName": group, **seen}, {})

    def update(self, aws: Context, resource_id: str, change: Change) -> None:  # noqa: ARG002
        """Put the new one."""
        self.create(aws, change.new)

    def delete(self, aws: Context, resource_id: str, inputs: Inputs) -> None:
        """Remove it."""
        aws.clients["autoscaling"].delete_lifecycle_hook(
            AutoScalingGroupName=inputs["autoscalingGroupName"], LifecycleHookName=resource_id
        )


def tags_of(name: str, tags: list[Inputs] | None) -> list[dict[str, Any]]:
    """A group's tags as AWS takes them."""
    return [
        {
            "ResourceId": name,
            "ResourceType": "auto-scaling-group",
            "Key": tag["key"],
            "Value": tag["value"],
            "PropagateAtLaunch": tag.get("propagateAtLaunch", False),
        }
        for tag in tags or []
    ]


def bring_tags(aws: Context, name: str, change: Change) -> None:
    """Bring a group's tags to what is wanted."""
    kept = {tag["key"] for tag in change.new.get("tags") or []}
    gone = [tag for tag in change.old.get("tags") or [] if tag["key"] not in kept]
    if gone:
        aws.clients["autoscaling"].delete_tags(Tags=tags_of(name, gone))
    if change.new.get("tags"):
        aws.clients["autoscaling"].create_or_update_tags(Tags=tags_of(name, change.new["tags"]))


def gone_and_fresh(change: Change, name: str) -> tuple[list[str], list[str]]:
    """What an update takes away from a list, and what it adds."""
    old, new = set(change.old.get(name) or []), set(change.new.get(name) or [])
    return sorted(old - new), sorted(new - old)


def hook_of(inputs: Inputs) -> dict[str, Any]:
    """A hook as AWS takes it."""
    return {theirs: inputs[ours] for ours, theirs in HOOK if inputs.get(ours) is not None}


def seconds(duration: str) -> float:
    """A duration of Go.

    >>> seconds("10m"), seconds("1h30m"), seconds("0")
    (600.0, 5400.0, 0.0)
    """
    return sum((float(number) * SECONDS[unit] for number, unit in DURATION.findall(duration)), 0.0)
