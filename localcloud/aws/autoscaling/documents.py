"""A group as a JSON document and back, for the state file."""

import json
from dataclasses import asdict
from typing import Any

from localcloud.aws.autoscaling.lifecycle import Lifecycle
from localcloud.aws.autoscaling.records import Activity, Group, Hook, HookAction, Member, Tag, TemplateRef


def write(group: Group) -> str:
    """The document."""
    return json.dumps(asdict(group), separators=(",", ":"))


def read(document: str) -> Group:
    """The group; raises TypeError or KeyError when the document is of another version of this program."""
    plain: dict[str, Any] = json.loads(document)
    return Group(
        **{
            **plain,
            "template": TemplateRef(**plain["template"]),
            "tags": {key: Tag(**tag) for key, tag in plain["tags"].items()},
            "hooks": {name: Hook(**hook) for name, hook in plain["hooks"].items()},
            "members": {member_id: _member(member) for member_id, member in plain["members"].items()},
            "activities": [Activity(**activity) for activity in plain["activities"]],
        }
    )


def _member(plain: dict[str, Any]) -> Member:
    return Member(
        **{
            **plain,
            "template": TemplateRef(**plain["template"]),
            "lifecycle": Lifecycle(plain["lifecycle"]),
            "actions": [HookAction(**action) for action in plain["actions"]],
        }
    )
