"""AWS, reading: the inventory of fleets, one fleet, one machine, and the live shape of declared resources.

boto3 blocks, so every call runs in a thread. Shapes of all groups come from a few paged calls, never one per group.
"""

import asyncio
import base64
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from services.provisioner.adapters.pulumi_live import own_tags
from services.provisioner.domain.declared import ASG, SECURITY_GROUP, TEMPLATE, DeclaredFields, digest, rules_text
from services.provisioner.domain.group import FleetState, Inventory, Machine
from services.provisioner.domain.ports import LiveFields
from services.provisioner.domain.resources import PortRule
from shared.aws.clients import aws_client, aws_error
from shared.aws.groups import MANAGED, AsgInventory, AsgState
from shared.domain.clock import Clock
from shared.domain.names import FleetId, GroupName

PAGE = 100
TEMPLATE_PAGE = 200
LAUNCHED = ("Pending", "Pending:Wait", "Pending:Proceed", "InService")
Result = TypeVar("Result")


class AwsMachines:
    """`Machines`, of one stack of Headrace in the account."""

    def __init__(self, stack: str, clock: Clock) -> None:
        """`stack` is the value of the tag `headrace:stack`."""
        self._stack = stack
        self._clock = clock
        self._groups = AsgInventory()
        self._describing = asyncio.Lock()

    async def inventory(self) -> Inventory:
        """Every fleet of ours; the clients' address cache is not for two threads at once."""
        async with self._describing:
            now = self._clock.now()
            states = await asyncio.to_thread(self._groups.describe)
        ours = tuple(_fleet(s) for s in states if s.tags.get("headrace:stack") == self._stack)
        return Inventory(now, ours)

    async def fleet(self, asg: str) -> FleetState | None:
        """One fleet, read now."""

        def read() -> FleetState | None:
            answer = aws_client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[asg])
            return next((_raw_fleet(g) for g in answer["AutoScalingGroups"]), None)

        return await _call(f"autoscaling group {asg}", read)

    async def fleet_of(self, machine: str) -> FleetId | None:
        """The fleet of a machine that is launched."""

        def read() -> FleetId | None:
            autoscaling = aws_client("autoscaling")
            found = autoscaling.describe_auto_scaling_instances(InstanceIds=[machine])["AutoScalingInstances"]
            if not found or found[0]["LifecycleState"] not in LAUNCHED:
                return None
            name = found[0]["AutoScalingGroupName"]
            groups = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
            tags = {t["Key"]: t["Value"] for g in groups for t in g.get("Tags", ())}
            return FleetId(tags["headrace:fleet"]) if tags.get("headrace:stack") == self._stack else None

        return await _call(f"machine {machine}", read)

    async def last_failure(self, asg: str) -> str:
        """Why the newest scaling activity failed."""

        def read() -> str:
            answer = aws_client("autoscaling").describe_scaling_activities(AutoScalingGroupName=asg, MaxRecords=1)
            newest = next(iter(answer["Activities"]), None)
            if newest is None or newest["StatusCode"] not in ("Failed", "Cancelled"):
                return ""
            return str(newest.get("StatusMessage") or newest.get("Description") or newest["StatusCode"])

        return await _call(f"scaling activities of {asg}", read)

    async def shapes(self, declared: Mapping[GroupName, DeclaredFields]) -> Mapping[GroupName, LiveFields]:
        """Auto Scaling Groups, security groups and launch templates of every group that is declared."""
        live: dict[str, Mapping[str, str]] = {}
        for what, read in (("groups", self._asg_shapes), ("security groups", _security_shapes)):
            live |= await _call(f"shapes of {what}", read)
        templates = sorted(
            r.removeprefix(f"{TEMPLATE} ") for fields in declared.values() for r in fields if r.startswith(TEMPLATE)
        )
        live |= await _call("shapes of launch templates", lambda: _template_shapes(templates))
        looked_at = (ASG, SECURITY_GROUP, TEMPLATE)
        return {
            group: {r: live.get(r) for r in fields if r.startswith(looked_at)} for group, fields in declared.items()
        }

    def _asg_shapes(self) -> dict[str, Mapping[str, str]]:
        pages = aws_client("autoscaling").get_paginator("describe_auto_scaling_groups")
        found = pages.paginate(
            Filters=[{"Name": f"tag:{MANAGED}", "Values": ["true"]}], PaginationConfig={"PageSize": PAGE}
        )
        return {
            f"{ASG} {g['AutoScalingGroupName']}": _asg_shape(g) for page in found for g in page["AutoScalingGroups"]
        }


async def _call(what: str, read: Callable[[], Result]) -> Result:
    try:
        return await asyncio.to_thread(read)
    except (BotoCoreError, ClientError) as e:
        raise aws_error(e, what) from e


def _fleet(state: AsgState) -> FleetState:
    return FleetState(
        asg=state.name,
        fleet=FleetId(state.fleet),
        group=GroupName(state.group),
        minimum=state.min,
        maximum=state.max,
        desired=state.desired,
        machines=tuple(
            Machine(i.id, FleetId(state.fleet), i.address, i.in_service, i.pending, i.zone) for i in state.instances
        ),
    )


def _raw_fleet(g: dict[str, Any]) -> FleetState:
    tags = {t["Key"]: t["Value"] for t in g.get("Tags", ())}
    fleet = FleetId(tags.get("headrace:fleet", ""))
    return FleetState(
        asg=g["AutoScalingGroupName"],
        fleet=fleet,
        group=GroupName(tags.get("headrace:group", "")),
        minimum=g["MinSize"],
        maximum=g["MaxSize"],
        desired=g["DesiredCapacity"],
        machines=tuple(
            Machine(
                id=i["InstanceId"],
                fleet=fleet,
                address="",
                in_service=i["LifecycleState"] == "InService" and i["HealthStatus"] == "Healthy",
                pending=i["LifecycleState"].startswith("Pending"),
            )
            for i in g.get("Instances", ())
        ),
    )


def _asg_shape(g: dict[str, Any]) -> Mapping[str, str]:
    template = g.get("LaunchTemplate") or {}
    return {
        "MinSize": str(g["MinSize"]),
        "MaxSize": str(g["MaxSize"]),
        "DesiredCapacity": str(g["DesiredCapacity"]),
        "VPCZoneIdentifier": ",".join(sorted(filter(None, g.get("VPCZoneIdentifier", "").split(",")))),
        "SuspendedProcesses": ",".join(sorted(p["ProcessName"] for p in g.get("SuspendedProcesses", ()))),
        "Tags": own_tags({t["Key"]: t["Value"] for t in g.get("Tags", ())}),
        **({"LaunchTemplate.Name": template["LaunchTemplateName"]} if template.get("LaunchTemplateName") else {}),
    }


def _security_shapes() -> dict[str, Mapping[str, str]]:
    pages = aws_client("ec2").get_paginator("describe_security_groups")
    found = pages.paginate(Filters=[{"Name": f"tag:{MANAGED}", "Values": ["true"]}])
    return {
        f"{SECURITY_GROUP} {g['GroupName']}": {
            "VpcId": g.get("VpcId", ""),
            "Ingress": _permissions(g["IpPermissions"]),
            "Egress": _permissions(g["IpPermissionsEgress"]),
        }
        for page in found
        for g in page["SecurityGroups"]
    }


def _permissions(permissions: list[dict[str, Any]]) -> str:
    return rules_text(
        tuple(
            PortRule(
                port_from=p.get("FromPort", 0),
                port_to=p.get("ToPort", 0),
                cidrs=(
                    *(r["CidrIp"] for r in p.get("IpRanges", ())),
                    *(r["CidrIpv6"] for r in p.get("Ipv6Ranges", ())),
                    *(pair["GroupId"] for pair in p.get("UserIdGroupPairs", ())),
                ),
                protocol=p["IpProtocol"],
            )
            for p in permissions
        )
    )


def _template_shapes(names: list[str]) -> dict[str, Mapping[str, str]]:
    """One call for the ids of up to 200 names, and one per template for its newest version."""
    ec2, shapes = aws_client("ec2"), {}
    for start in range(0, len(names), TEMPLATE_PAGE):
        wanted = names[start : start + TEMPLATE_PAGE]
        answer = ec2.describe_launch_templates(Filters=[{"Name": "launch-template-name", "Values": wanted}])
        for template in answer["LaunchTemplates"]:
            versions = ec2.describe_launch_template_versions(
                LaunchTemplateId=template["LaunchTemplateId"], Versions=["$Latest"]
            )["LaunchTemplateVersions"]
            shapes[f"{TEMPLATE} {template['LaunchTemplateName']}"] = _template_shape(versions[0]["LaunchTemplateData"])
    return shapes


def _template_shape(data: dict[str, Any]) -> Mapping[str, str]:
    return {
        "ImageId": data.get("ImageId", ""),
        "InstanceType": data.get("InstanceType", ""),
        "UserData": digest(base64.b64decode(data.get("UserData", "")).decode(errors="replace")),
        **({"HttpTokens": data["MetadataOptions"].get("HttpTokens", "")} if data.get("MetadataOptions") else {}),
    }
