"""A stack plan as flat fields, resource by resource, spelled as AWS spells them: for printing and for comparing.

>>> changes_between({}, {"security group g": {"GroupName": "g"}})
('create security group g',)
>>> changes_between({"asg a": {"MaxSize": "4"}}, {"asg a": {"MaxSize": "8"}})
('update asg a: MaxSize 4 -> 8',)
"""

import json
from collections.abc import Mapping
from hashlib import sha256

from services.provisioner.domain.resources import AutoScalingGroup, LaunchTemplate, PortRule, StackPlan

ASG = "autoscaling group"
TEMPLATE = "launch template"
SECURITY_GROUP = "security group"
ROLE = "role"
PROFILE = "instance profile"
DeclaredFields = Mapping[str, Mapping[str, str]]  # resource -> field -> value
HIDDEN = frozenset({"UserData", "Policy", "Trust"})  # long: shown as a digest
SHOWN_LENGTH_MAX = 60


def declared_fields(plan: StackPlan) -> dict[str, dict[str, str]]:
    """Every field that the stack declares."""
    fields = {
        f"{SECURITY_GROUP} {plan.security_group.name}": {
            "VpcId": plan.security_group.vpc,
            "Ingress": rules_text(plan.security_group.ingress),
            "Egress": rules_text(plan.security_group.egress),
        },
        f"{ROLE} {plan.role.name}": {"Trust": document(plan.role.trust), "Policy": document(plan.role.policy)},
        f"{PROFILE} {plan.role.name}": {"Role": plan.role.name},
    }
    for fleet in plan.fleets:
        fields[f"{TEMPLATE} {fleet.template.name}"] = template_fields(fleet.template)
        fields[f"{ASG} {fleet.name}"] = asg_fields(fleet)
    return fields


def asg_fields(fleet: AutoScalingGroup) -> dict[str, str]:
    """An Auto Scaling Group's fields."""
    return {
        "MinSize": str(fleet.nodes_min),
        "MaxSize": str(fleet.nodes_max),
        "DesiredCapacity": str(fleet.desired_initial),
        "VPCZoneIdentifier": ",".join(sorted(fleet.subnets)),
        "LaunchTemplate.Name": fleet.template.name,
        "SuspendedProcesses": ",".join(sorted(fleet.suspended)),
        "Tags": json.dumps(dict(fleet.tags), sort_keys=True),
    }


def template_fields(template: LaunchTemplate) -> dict[str, str]:
    """A launch template's fields."""
    return {
        "ImageId": template.image,
        "InstanceType": template.node_type,
        "UserData": digest(template.user_data),
        "HttpTokens": "required",
    }


def rules_text(rules: tuple[PortRule, ...]) -> str:
    """Rules in one order."""
    return "; ".join(sorted(str(r) for r in rules))


def digest(text: str) -> str:
    """The first sixteen digits of a text's sha256: enough to see that it changed."""
    return sha256(text.encode()).hexdigest()[:16]


def document(text: str) -> str:
    """The digest of a JSON document, whatever its spacing and order."""
    return digest(json.dumps(json.loads(text), sort_keys=True))


def changes_between(old: DeclaredFields, new: DeclaredFields) -> tuple[str, ...]:
    """One line a change, for people; empty when nothing would change."""
    lines = [f"create {r}" for r in sorted(new.keys() - old.keys())]
    for resource in sorted(new.keys() & old.keys()):
        was, now = old[resource], new[resource]
        lines.extend(
            f"update {resource}: {field} {_shown(field, was.get(field, ''))} -> {_shown(field, now.get(field, ''))}"
            for field in sorted(was.keys() | now.keys())
            if was.get(field, "") != now.get(field, "") and field != "DesiredCapacity"
        )
    lines.extend(f"delete {r}" for r in sorted(old.keys() - new.keys()))
    return tuple(lines)


def _shown(field: str, value: str) -> str:
    if not value:
        return "(none)"
    if field in HIDDEN or len(value) <= SHOWN_LENGTH_MAX:
        return value
    return value[:SHOWN_LENGTH_MAX] + "..."
