"""Names of the things a group's stack makes: chosen by us, so that a thing half made can be found again.

AWS limits a role's name to 64 characters and a launch template's to 128; a longer one keeps its head and gets the first
eight digits of its sha256, so two long names never meet.
"""

from hashlib import sha256

from shared.domain.names import FleetId, GroupName, Workspace

ROLE_NAME_LENGTH_MAX = 64
TEMPLATE_NAME_LENGTH_MAX = 128
SECURITY_GROUP_NAME_LENGTH_MAX = 255
DIGEST_LENGTH = 8


def fitted(name: str, length_max: int) -> str:
    """The name itself, or its head and a digest.

    >>> fitted("abc", 64)
    'abc'
    >>> len(fitted("a" * 100, 64))
    64
    """
    if len(name) <= length_max:
        return name
    digest = sha256(name.encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{name[: length_max - DIGEST_LENGTH - 1]}-{digest}"


def asg_name(workspace: Workspace, fleet: FleetId) -> str:
    """The Auto Scaling Group of a fleet.

    >>> asg_name(Workspace("default"), FleetId("delays-r1"))
    'default-delays-r1'
    """
    return f"{workspace}-{fleet}"


def stack_name(workspace: Workspace, group: GroupName) -> str:
    """The Pulumi stack of a group."""
    return f"{workspace}-{group}"


def role_name(workspace: Workspace, group: GroupName) -> str:
    """The role of a group's machines; their instance profile has the same name."""
    return fitted(f"headrace-{workspace}-{group}", ROLE_NAME_LENGTH_MAX)


def security_group_name(workspace: Workspace, group: GroupName) -> str:
    """The security group of a group's machines."""
    return fitted(f"headrace-{workspace}-{group}", SECURITY_GROUP_NAME_LENGTH_MAX)


def template_name(workspace: Workspace, fleet: FleetId) -> str:
    """The launch template of a fleet."""
    return fitted(f"headrace-{workspace}-{fleet}", TEMPLATE_NAME_LENGTH_MAX)


def token_parameter(stack: str, workspace: Workspace, fleet: FleetId) -> str:
    """The SSM parameter that holds a fleet's join token.

    >>> token_parameter("dev", Workspace("default"), FleetId("delays-r1"))
    '/headrace/dev/default/delays-r1/join-token'
    """
    return f"/headrace/{stack}/{workspace}/{fleet}/join-token"


def rehearsal_prefix(copied: GroupName) -> str:
    """How the names of the topics of a group's copy begin: no pipeline's do.

    >>> rehearsal_prefix(GroupName("rating-departures-normalize"))
    'headrace-rating.rating-departures-normalize.'
    """
    return f"headrace-rating.{copied}."
