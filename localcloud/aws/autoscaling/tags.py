"""Tags of groups, and the filters that find groups by them."""

from collections.abc import Iterable, Mapping, Sequence

from localcloud.aws.autoscaling.records import Group, Tag
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import ValidationError

TAGS_MAX = 50
KEY_CHARACTERS_MAX, VALUE_CHARACTERS_MAX = 128, 256


def put(world: World, wanted: Iterable[tuple[str, Tag]]) -> None:
    """Create or change tags: pairs of group name and tag. Instances that run keep the tags they have."""
    pairs = [(world.group(name), tag) for name, tag in wanted]
    for name in {group.name for group, _ in pairs}:
        check([*world.group(name).tags.values(), *(tag for group, tag in pairs if group.name == name)])
    for group, tag in pairs:
        group.tags[tag.key] = tag
        world.touch(group)


def delete(world: World, unwanted: Iterable[tuple[str, str]]) -> None:
    """Remove tags: pairs of group name and key."""
    for name, key in unwanted:
        group = world.group(name)
        group.tags.pop(key, None)
        world.touch(group)


def check(tags: Sequence[Tag]) -> None:
    """ValidationError for what AWS does not accept."""
    if len({tag.key for tag in tags}) > TAGS_MAX:
        raise ValidationError(f"More than {TAGS_MAX} tags")
    for tag in tags:
        if not 1 <= len(tag.key) <= KEY_CHARACTERS_MAX or tag.key.startswith("aws:"):
            raise ValidationError(f"Invalid tag key: {tag.key!r}")
        if len(tag.value) > VALUE_CHARACTERS_MAX:
            raise ValidationError(f"The value of tag {tag.key} is longer than {VALUE_CHARACTERS_MAX} characters")


def matches(group: Group, filters: Sequence[Mapping[str, object]]) -> bool:
    """Whether a group passes every filter of DescribeAutoScalingGroups."""
    return all(_matches_one(group, str(f.get("Name", "")), [str(v) for v in _values(f)]) for f in filters)


def _values(one: Mapping[str, object]) -> Sequence[object]:
    values = one.get("Values", ())
    return values if isinstance(values, list | tuple) else (values,)


def _matches_one(group: Group, name: str, values: Sequence[str]) -> bool:
    match name:
        case "tag-key":
            return any(value in group.tags for value in values)
        case "tag-value":
            return any(tag.value in values for tag in group.tags.values())
        case _ if name.startswith("tag:"):
            tag = group.tags.get(name.removeprefix("tag:"))
            return tag is not None and tag.value in values
        case _:
            raise ValidationError(f"Filter type {name} is not correct. Allowed: tag-key, tag-value, tag:<key>")
