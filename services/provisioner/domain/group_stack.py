"""From a group and its fleets to the resources of its stack: a pure function, the same plan for the same facts.

Bounds of a fleet: at most the group's `nodes_max`; at least `nodes_min` while it is the only fleet, and 0 while there
are two or more, because then the Autoscaler splits the group's total and a floor protects each part of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from services.provisioner.domain.group import Fleet, Group
from services.provisioner.domain.names import (
    asg_name,
    role_name,
    security_group_name,
    stack_name,
    template_name,
    token_parameter,
)
from services.provisioner.domain.resources import (
    AutoScalingGroup,
    LaunchTemplate,
    PortRule,
    Role,
    SecurityGroup,
    StackPlan,
)
from shared.domain.errors import InvalidInput
from shared.domain.names import FleetId

PORT_SERVE, PORT_HEALTH = 7400, 7401
LAUNCH_TIMEOUT_S = 300  # a machine that is not ready by then is given up and replaced
DRAIN_TIMEOUT_S = 120  # a machine that has not drained by then goes anyway
WARMUP_S = 30
USER_DATA_BYTES_MAX = 16 * 1024
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass(frozen=True, slots=True)
class Site:
    """Where the stack stands."""

    stack: str
    vpc: str
    subnets: tuple[str, ...]
    image: str
    bucket: str
    ingress_cidrs: tuple[str, ...]
    egress_cidrs: tuple[str, ...] = ()


def plan_stack(group: Group, site: Site, user_data: Mapping[FleetId, str]) -> StackPlan:
    """Everything the group's stack declares; `user_data` is each standing fleet's JSON text."""
    intent = group.intent
    tags = group_tags(group, site)
    fleets = tuple(
        _fleet(group, fleet, site, user_data[fleet.id], alone=len(group.standing) == 1) for fleet in group.standing
    )
    return StackPlan(
        stack=stack_name(intent.workspace, intent.name),
        workspace=intent.workspace,
        group=intent.name,
        security_group=SecurityGroup(
            name=security_group_name(intent.workspace, intent.name),
            vpc=site.vpc,
            ingress=(PortRule(PORT_SERVE, PORT_HEALTH, site.ingress_cidrs, description="serving, health and metrics"),),
            egress=(PortRule(0, 65535, site.egress_cidrs, description="declared"),) if site.egress_cidrs else (),
            tags=tags,
        ),
        role=Role(
            name=role_name(intent.workspace, intent.name),
            trust=json.dumps(TRUST, sort_keys=True),
            policy=json.dumps(node_policy(group, site), sort_keys=True),
            tags=tags,
        ),
        fleets=fleets,
        tags=tags,
    )


def group_tags(group: Group, site: Site) -> tuple[tuple[str, str], ...]:
    """The tags of every resource of the group, sorted."""
    tags = {
        "headrace:managed": "true",
        "headrace:stack": site.stack,
        "headrace:workspace": group.intent.workspace,
        "headrace:group": group.intent.name,
    }
    if group.seat:
        tags |= {"headrace:pipeline": group.seat.pipeline, "headrace:stage": group.seat.stage}
    if group.intent.owner:
        tags["headrace:owner"] = group.intent.owner
    return tuple(sorted(tags.items()))


def node_policy(group: Group, site: Site) -> dict[str, object]:
    """What a machine may do: read bundles and its join token, complete its own hooks, and nothing that grows.

    The last statement stands in for a permissions boundary: whatever else is attached later, these stay denied.
    """
    workspace, name = group.intent.workspace, group.intent.name
    fleets = [
        FleetId(f"{name}-r{digit}*") for digit in range(1, 10)
    ]  # no more: `delays-r*` is `delays-realtime` too; no new group is `delays-r1x`
    own = [f"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/{asg_name(workspace, f)}" for f in fleets]
    tokens = [f"arn:aws:ssm:*:*:parameter{token_parameter(site.stack, workspace, f)}" for f in fleets]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{site.bucket}/*"]},
            {"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": tokens},
            {
                "Effect": "Allow",
                "Action": ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
                "Resource": own,
            },
            {
                "Effect": "Deny",
                "Action": [
                    "iam:*",
                    "ec2:*",
                    "autoscaling:Set*",
                    "autoscaling:Update*",
                    "autoscaling:Create*",
                    "s3:Put*",
                ],
                "Resource": ["*"],
            },
        ],
    }


def fleet_bounds(group: Group, *, alone: bool) -> tuple[int, int]:
    """Smallest and largest size of one of the group's fleets."""
    return (group.intent.nodes_min if alone else 0), group.intent.nodes_max


def _fleet(group: Group, fleet: Fleet, site: Site, user_data: str, *, alone: bool) -> AutoScalingGroup:
    if len(user_data.encode()) > USER_DATA_BYTES_MAX:
        raise InvalidInput(
            f"fleet {fleet.id}: user data of {len(user_data.encode())} bytes is above {USER_DATA_BYTES_MAX}",
            remedy="put variables and certificates that grow into the bundle",
        )
    minimum, maximum = fleet_bounds(group, alone=alone)
    name = asg_name(group.intent.workspace, fleet.id)
    own_tags = {"Name": name, "headrace:fleet": fleet.id, "headrace:revision": str(fleet.revision)}
    tags = tuple(sorted({**dict(group_tags(group, site)), **own_tags}.items()))
    return AutoScalingGroup(
        name=name,
        fleet=fleet.id,
        template=LaunchTemplate(
            name=template_name(group.intent.workspace, fleet.id),
            image=site.image,
            node_type=fleet.node_type,
            user_data=user_data,
            tags=tags,
        ),
        nodes_min=minimum,
        nodes_max=maximum,
        desired_initial=max(minimum, min(maximum, fleet.desired_initial)),
        subnets=site.subnets,
        tags=tags,
        launch_timeout_s=LAUNCH_TIMEOUT_S,
        drain_timeout_s=DRAIN_TIMEOUT_S,
        warmup_s=WARMUP_S,
    )
