"""Tags of groups."""

from collections.abc import Callable

from localcloud.aws.actions.parameters import RESOURCE_TYPE, Action, Answer, Parameters, tag
from localcloud.aws.autoscaling import describe, tags
from localcloud.aws.autoscaling.records import Group, Tag
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import ValidationError


def _owner(tag: Parameters) -> str:
    if tag.get("ResourceType", RESOURCE_TYPE) != RESOURCE_TYPE:
        raise ValidationError(f"Invalid resource type {tag['ResourceType']}: {RESOURCE_TYPE}")
    return str(tag.get("ResourceId", ""))


def put_tags(world: World, p: Parameters) -> Answer:
    """CreateOrUpdateTags."""
    tags.put(world, [(_owner(t), tag(t)) for t in p["Tags"]])
    return {}


def delete_tags(world: World, p: Parameters) -> Answer:
    """DeleteTags."""
    tags.delete(world, [(_owner(t), t.get("Key", "")) for t in p["Tags"]])
    return {}


TAG_FILTERS: dict[str, Callable[[Group, Tag], str]] = {
    "auto-scaling-group": lambda group, _tag: group.name,
    "key": lambda _group, tag: tag.key,
    "value": lambda _group, tag: tag.value,
    "propagate-at-launch": lambda _group, tag: str(tag.propagate).lower(),
}


def describe_tags(world: World, p: Parameters) -> Answer:
    """DescribeTags."""
    found = [(g, t) for g in world.groups.values() for t in g.tags.values()]
    for one in p.get("Filters", []):
        read = TAG_FILTERS.get(one.get("Name", ""))
        if read is None:
            raise ValidationError(f"Filter type {one.get('Name')} is not correct. Allowed: {', '.join(TAG_FILTERS)}")
        found = [(g, t) for g, t in found if read(g, t) in one.get("Values", [])]
    page = describe.page(found, p.get("NextToken"), p.get("MaxRecords"), default=50, most=100)
    return {"Tags": [describe.tag(g.name, t) for g, t in page["items"]], "NextToken": page["NextToken"]}


READS: dict[str, Action] = {
    "DescribeTags": describe_tags,
}
WRITES: dict[str, Action] = {
    "CreateOrUpdateTags": put_tags,
    "DeleteTags": delete_tags,
}
