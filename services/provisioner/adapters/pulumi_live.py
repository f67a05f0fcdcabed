"""What Pulumi's refresh says about a resource, spelled as AWS spells it and as `domain.declared` writes it.

So a field that both detectors see is one finding.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from services.provisioner.domain.declared import (
    ASG,
    PROFILE,
    ROLE,
    SECURITY_GROUP,
    TEMPLATE,
    digest,
    document,
    rules_text,
)
from services.provisioner.domain.resources import PortRule

TYPES = {
    "aws:autoscaling/group:Group": ASG,
    "aws:ec2/launchTemplate:LaunchTemplate": TEMPLATE,
    "aws:ec2/securityGroup:SecurityGroup": SECURITY_GROUP,
    "aws:iam/role:Role": ROLE,
    "aws:iam/rolePolicy:RolePolicy": ROLE,
    "aws:iam/instanceProfile:InstanceProfile": PROFILE,
}


def whole(value: Any) -> str:
    """Numbers come as floats."""
    return str(int(value)) if isinstance(value, float | int) else str(value or "")


def rules(value: Any) -> str:
    """A security group's rules."""
    return rules_text(
        tuple(
            PortRule(
                int(r.get("fromPort", 0)), int(r.get("toPort", 0)), tuple(r.get("cidrBlocks") or ()), r["protocol"]
            )
            for r in value or ()
        )
    )


def tags(value: Any) -> str:
    """Tags as an object (most) or as a list of key and value (Auto Scaling Groups); only ours."""
    pairs = {t["key"]: t["value"] for t in value} if isinstance(value, list) else dict(value or {})
    return own_tags(pairs)


def own_tags(pairs: Mapping[str, str]) -> str:
    """Tags of other people are none of our business."""
    return json.dumps({k: v for k, v in pairs.items() if k.startswith("headrace:") or k == "Name"}, sort_keys=True)


def user_data(value: Any) -> str:
    """The digest of the text, which travels in base64."""
    return digest(base64.b64decode(value or "").decode(errors="replace"))


def joined(value: Any) -> str:
    """A list that is a set."""
    return ",".join(sorted(value or ()))


FIELDS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "minSize": ("MinSize", whole),
    "maxSize": ("MaxSize", whole),
    "desiredCapacity": ("DesiredCapacity", whole),
    "vpcZoneIdentifiers": ("VPCZoneIdentifier", joined),
    "suspendedProcesses": ("SuspendedProcesses", joined),
    "tags": ("Tags", tags),
    "ingress": ("Ingress", rules),
    "egress": ("Egress", rules),
    "vpcId": ("VpcId", whole),
    "assumeRolePolicy": ("Trust", document),
    "policy": ("Policy", document),
    "role": ("Role", str),
    "imageId": ("ImageId", str),
    "instanceType": ("InstanceType", str),
    "userData": ("UserData", user_data),
    "metadataOptions": ("HttpTokens", lambda v: str((v or {}).get("httpTokens", ""))),
    "vpcSecurityGroupIds": ("SecurityGroupIds", joined),
    "iamInstanceProfile": ("IamInstanceProfile", lambda v: str((v or {}).get("name", ""))),
}


def resource_of_urn(urn: str, metadata: Any) -> str | None:
    """Our name of a resource; None for a type that we do not declare (the stack itself, providers)."""
    kind = TYPES.get(urn.split("::")[2].rsplit("$", maxsplit=1)[-1])
    state = metadata.old or metadata.new
    if kind is None or state is None:
        return None
    inputs = state.inputs or {}
    return f"{kind} {inputs['role'] if 'rolePolicy' in urn else inputs.get('name', '')}"


# Not part of the world, or known to differ for ever (the provider's own notes): no drift.
UNSEEN = frozenset({"forceDelete", "waitForCapacityTimeout", "initialLifecycleHooks", "tagsAll", "description", "name"})


def aws_fields(metadata: Any) -> tuple[tuple[str, str, str], ...]:
    """(field, declared, live) of every property that differs; one that nobody listed shows under its own name."""
    old = (metadata.old.inputs if metadata.old else None) or {}
    new = (metadata.new.inputs if metadata.new else None) or {}
    told = {re.split(r"[.\[]", path, maxsplit=1)[0] for path in metadata.detailed_diff or {}}
    found = []
    for key in sorted(old.keys() | new.keys()):
        if key in UNSEEN or old.get(key) == new.get(key) or (key not in FIELDS and key not in told):
            continue
        name, spell = FIELDS.get(key, (key[:1].upper() + key[1:], _json))
        declared, live = spell(old.get(key)), spell(new.get(key))
        if declared != live:
            found.append((name, declared, live))
    return tuple(found)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
