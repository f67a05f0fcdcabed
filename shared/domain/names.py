"""Typed names and ids: a bare `str` or `int` does not cross a function boundary.

A name is 1-63 of `a-z 0-9 -`, starts with a letter and does not end with a dash.
"""

import re
from hashlib import sha256
from typing import NewType

from shared.domain.errors import InvalidInput

Workspace = NewType("Workspace", str)
EnvironmentName = NewType("EnvironmentName", str)
GroupName = NewType("GroupName", str)
PipelineName = NewType("PipelineName", str)
StageName = NewType("StageName", str)
FleetId = NewType("FleetId", str)  # "<group>-r<revision>": also the ASG's name, after the stack's prefix
NodeId = NewType("NodeId", str)  # the EC2 instance id
RevisionNumber = NewType("RevisionNumber", int)
DeploymentId = NewType("DeploymentId", str)
ActivityId = NewType("ActivityId", str)
FencingToken = NewType("FencingToken", int)
RequestId = NewType("RequestId", str)  # one per intention, kept over retries and crashes

NAME_LENGTH_MAX = 63
_DIGEST_LENGTH = 8
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_LIKE_A_FLEET = re.compile(r"(^|-)r[1-9]")


def checked_name(value: str, field: str) -> str:
    """Give `value` back if it is a name.

    >>> checked_name("fraud-env", "environment.name")
    'fraud-env'
    """
    if not _NAME.fullmatch(value):
        raise InvalidInput(
            f"{field}: {value!r} is not a name",
            field=field,
            remedy="use 1-63 of a-z, 0-9 and '-', starting with a letter and not ending with '-'",
        )
    return value


def checked_new_group(name: str) -> str:
    """Give the name of a group back if it may be given to a new one: none that reads like a fleet of another group.

    What the machines of `delays` may do is limited to its fleets, `delays-r1*` to `delays-r9*`: those of a group
    `delays-r1x` would be among them. A group that stands keeps its name.

    >>> checked_new_group("delays-rated")
    'delays-rated'
    """
    found = _LIKE_A_FLEET.search(name)
    if found:
        other = name[: found.start()]
        whose = f"a fleet of group {other!r}" if other else "a fleet"
        raise InvalidInput(
            f"name: {name!r} reads like {whose}: {found[0].strip('-')!r} stands for a revision",
            field="name",
            remedy="choose a name without a part that begins with 'r' and a digit from 1 to 9",
        )
    return name


def rating_copy(group: GroupName) -> GroupName:
    """The group that stands beside `group` while it is rated; a long name keeps its head and gets a digest.

    The word comes first: what the machines of `delays` may do is limited to names that begin with `delays-r`.

    >>> rating_copy(GroupName("delays"))
    'rating-delays'
    """
    return _fitted(f"rating-{group}")


def called_copy(group: GroupName) -> GroupName:
    """The group that the copy of `group` calls while it is rated, where its nodes call a transform group.

    >>> called_copy(GroupName("alerts-score"))
    'called-by-rating-alerts-score'
    """
    return _fitted(f"called-by-rating-{group}")


def _fitted(name: str) -> GroupName:
    if len(name) <= NAME_LENGTH_MAX:
        return GroupName(name)
    digest = sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
    return GroupName(f"{name[: NAME_LENGTH_MAX - _DIGEST_LENGTH - 1]}-{digest}")


def fleet_id(group: GroupName, revision: RevisionNumber) -> FleetId:
    """The fleet of a group on a revision.

    >>> fleet_id(GroupName("fraud"), RevisionNumber(3))
    'fraud-r3'
    """
    return FleetId(f"{group}-r{revision}")
