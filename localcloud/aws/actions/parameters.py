"""What a parsed call carries, and the parts of it that several actions share."""

from collections.abc import Callable, Mapping
from typing import Any

from localcloud.aws.autoscaling import validation
from localcloud.aws.autoscaling.plans import Configuration, TemplateRef
from localcloud.aws.autoscaling.records import Hook, Tag
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import ValidationError

Parameters = Mapping[str, Any]


Answer = dict[str, Any]


Action = Callable[[World, Parameters], Answer]


def template(spec: Parameters | None) -> TemplateRef | None:
    """A launch template as a call names it; None when it names none."""
    if not spec:
        return None
    template_id, name = spec.get("LaunchTemplateId", ""), spec.get("LaunchTemplateName", "")
    if bool(template_id) == bool(name):
        raise ValidationError(
            "Valid requests must contain either launchTemplateId or LaunchTemplateName, and not both of them"
        )
    return TemplateRef(template_id, name, spec.get("Version", "$Default"))


def tag(plain: Parameters) -> Tag:
    """A tag of a group."""
    return Tag(plain.get("Key", ""), plain.get("Value", ""), plain.get("PropagateAtLaunch", False))


def hook(plain: Parameters) -> Hook:
    """A lifecycle hook."""
    made = Hook(plain.get("LifecycleHookName", ""), plain.get("LifecycleTransition", ""))
    made.timeout_s = plain.get("HeartbeatTimeout", made.timeout_s)
    made.default_result = plain.get("DefaultResult", made.default_result)
    made.target = plain.get("NotificationTargetARN", "")
    made.role = plain.get("RoleARN", "")
    made.metadata = plain.get("NotificationMetadata", "")
    return made


RESOURCE_TYPE = "auto-scaling-group"


def configuration(p: Parameters) -> Configuration | None:
    """The template or mixed instances policy of a call, one of them; None when it has neither."""
    mixed = p.get("MixedInstancesPolicy")
    one = template(p.get("LaunchTemplate"))
    if mixed and one:
        raise ValidationError("Valid requests contain either LaunchTemplate or MixedInstancesPolicy, not both of them")
    if mixed:
        one = template((mixed.get("LaunchTemplate") or {}).get("LaunchTemplateSpecification"))
        if one is None:
            raise ValidationError("MixedInstancesPolicy needs LaunchTemplate.LaunchTemplateSpecification")
        validation.mixed(mixed)
    return Configuration(one, mixed) if one else None
