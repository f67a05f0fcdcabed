"""Which roles a call hands to a service of AWS: whoever makes it needs `iam:PassRole` for each.

After the IAM user guide, "Granting a user permissions to pass a role to an AWS service". A launch template alone passes nothing: it is
looked at when something is to be launched from it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

EC2, AUTO_SCALING = "ec2.amazonaws.com", "autoscaling.amazonaws.com"
PROFILE_KEYS = ("IamInstanceProfile.Name", "IamInstanceProfile.Arn")
LAUNCHING = {  # service -> actions that launch, or will
    "ec2": frozenset({"RunInstances", "AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"}),
    "autoscaling": frozenset({"CreateAutoScalingGroup", "UpdateAutoScalingGroup", "StartInstanceRefresh"}),
}
HANDED = {"autoscaling": ("RoleARN", "ServiceLinkedRoleARN")}  # roles that are named themselves


def passed(
    service: str,
    form: Mapping[str, str],
    roles_of: Callable[[str], list[str]],
    template_profile: Callable[[str, str, str], str],
) -> Iterator[tuple[str, str]]:
    """The ARN of each role that a call hands over, and to which service.

    `roles_of` gives the roles of an instance profile (by name or ARN), `template_profile` the profile in a launch template (id, name,
    version); empty when there is none.
    """
    for key, value in form.items():
        if key.rpartition(".")[2] in HANDED.get(service, ()) and value:
            yield value, AUTO_SCALING
    if form.get("Action") not in LAUNCHING.get(service, frozenset()):
        return
    profiles = [form[key] for key in PROFILE_KEYS if form.get(key)] if service == "ec2" else []
    for key, value in form.items():
        place, _, what = key.rpartition(".")
        if what in {"LaunchTemplateId", "LaunchTemplateName"} and value:
            by_id = what == "LaunchTemplateId"
            version = form.get(f"{place}.Version", "$Default")
            profiles.append(template_profile(value if by_id else "", "" if by_id else value, version))
    for profile in dict.fromkeys(filter(None, profiles)):
        for role in roles_of(profile):
            yield role, EC2


def roles_of_profile(iam: Any, profile: str) -> list[str]:
    """The roles of an instance profile by its name or ARN, from moto's books."""
    found = (one for one in iam.instance_profiles.values() if profile in {one.name, one.arn})
    return [str(role.arn) for one in found for role in one.roles]


def profile_of_template(ec2: Any, template_id: str, name: str, version: str) -> str:
    """The instance profile in a version of a launch template, from moto's books; empty when there is none, or no such template."""
    templates = ec2.launch_templates.values()
    found = next((one for one in templates if one.id == template_id or (name and one.name == name)), None)
    known = version.lower() in {"$latest", "$default"} or (
        version.isdigit() and found is not None and 1 <= int(version) <= len(found.versions)
    )
    if found is None or not known:
        return ""
    profile = found.get_version(version).data.get("IamInstanceProfile") or {}
    return str(profile.get("Name") or profile.get("Arn") or "")
