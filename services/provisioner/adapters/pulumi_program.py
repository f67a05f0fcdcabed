"""A stack plan as a Pulumi program. The only module that imports `pulumi_aws` (its types take half a minute to check).

Classes are imported by name, because the SDK's own modules load lazily, and two threads must not do that at once.

Names are ours and explicit, so that a resource half made before a crash can be found again. The engine ignores what
others own: desired capacity (the Autoscaler) and the launch template's version in use (the Deployer).
"""

import base64
from collections.abc import Callable

import pulumi
from pulumi_aws.autoscaling import Group
from pulumi_aws.ec2 import LaunchTemplate, SecurityGroup, SecurityGroupEgressArgs, SecurityGroupIngressArgs
from pulumi_aws.iam import InstanceProfile, Role, RolePolicy

from services.provisioner.domain.resources import AutoScalingGroup, PortRule, StackPlan
from shared.contracts.node import HOOK_LAUNCHING, HOOK_TERMINATING

OWNED_BY_OTHERS = ["desiredCapacity", "launchTemplate.version"]
HOP_LIMIT = 1  # a container on a machine cannot reach the metadata service
GRACE_S = 60  # health checks leave a booting machine alone for so long


def program(plan: StackPlan) -> Callable[[], None]:
    """What the engine runs."""

    def declare() -> None:
        tags = dict(plan.tags)
        group = SecurityGroup(
            "security-group",
            name=plan.security_group.name,
            description=f"Headrace: machines of {plan.group}",
            vpc_id=plan.security_group.vpc,
            ingress=[_ingress(r) for r in plan.security_group.ingress],
            egress=[_egress(r) for r in plan.security_group.egress],
            tags=dict(plan.security_group.tags),
        )
        role = Role("role", name=plan.role.name, assume_role_policy=plan.role.trust, tags=tags)
        policy = RolePolicy("policy", name="node", role=role.name, policy=plan.role.policy)
        profile = InstanceProfile("profile", name=plan.role.name, role=role.name)
        for fleet in plan.fleets:
            _fleet(fleet, group.id, profile.name, policy)

    return declare


def _fleet(
    fleet: AutoScalingGroup,
    security_group: pulumi.Output[str],
    profile: pulumi.Output[str],
    policy: pulumi.Resource,
) -> None:
    template = LaunchTemplate(
        f"template-{fleet.fleet}",
        name=fleet.template.name,
        image_id=fleet.template.image,
        instance_type=fleet.template.node_type,
        user_data=base64.b64encode(fleet.template.user_data.encode()).decode(),
        iam_instance_profile={"name": profile},
        vpc_security_group_ids=[security_group],
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": HOP_LIMIT,
        },
        tags=dict(fleet.template.tags),
    )
    Group(
        f"fleet-{fleet.fleet}",
        name=fleet.name,
        min_size=fleet.nodes_min,
        max_size=fleet.nodes_max,
        desired_capacity=fleet.desired_initial,
        launch_template={"id": template.id, "version": template.latest_version.apply(str)},
        vpc_zone_identifiers=list(fleet.subnets),
        health_check_type="EC2",
        health_check_grace_period=GRACE_S,
        default_instance_warmup=fleet.warmup_s,
        suspended_processes=list(fleet.suspended),
        initial_lifecycle_hooks=[
            {
                "name": HOOK_LAUNCHING,
                "lifecycle_transition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                "default_result": "ABANDON",
                "heartbeat_timeout": fleet.launch_timeout_s,
            },
            {
                "name": HOOK_TERMINATING,
                "lifecycle_transition": "autoscaling:EC2_INSTANCE_TERMINATING",
                "default_result": "CONTINUE",
                "heartbeat_timeout": fleet.drain_timeout_s,
            },
        ],
        tags=[{"key": k, "value": v, "propagate_at_launch": True} for k, v in fleet.tags],
        force_delete=True,
        wait_for_capacity_timeout="0",
        opts=pulumi.ResourceOptions(ignore_changes=OWNED_BY_OTHERS, depends_on=[policy]),
    )


def _ingress(rule: PortRule) -> SecurityGroupIngressArgs:
    return SecurityGroupIngressArgs(
        protocol=rule.protocol,
        from_port=rule.port_from,
        to_port=rule.port_to,
        cidr_blocks=list(rule.cidrs),
        description=rule.description,
    )


def _egress(rule: PortRule) -> SecurityGroupEgressArgs:
    return SecurityGroupEgressArgs(
        protocol=rule.protocol,
        from_port=rule.port_from,
        to_port=rule.port_to,
        cidr_blocks=list(rule.cidrs),
        description=rule.description,
    )
