"""Reading resources back, where AWS may show a write some seconds late: who has made or changed one waits until it is seen."""

import logging
import time

from botocore.exceptions import ClientError

from localcloud.aws.pulumi.resource import Change, Context, Resource, Seen, TimedOutError, pause
from localcloud.aws.pulumi.values import Inputs, same, shaped_like, without

log = logging.getLogger(__name__)
DEFAULTS = "__defaults"
GONE = ("NotFound", "NoSuchEntity", "DoesNotExist")
EXISTS = ("AlreadyExists", "Duplicate")
SEEN_S_MAX = 120.0  # IAM's reads have been later than a minute; pulumi-aws waits two
SAME_S_MAX = 30.0


def code_of(error: ClientError, parts: tuple[str, ...]) -> bool:
    """Whether the error's code has one of the parts in it."""
    code: str = error.response.get("Error", {}).get("Code", "")
    return any(part in code for part in parts)


def is_gone(error: ClientError) -> bool:
    """Whether an error says that there is no such resource."""
    return code_of(error, GONE) or "name not found" in str(error)  # Auto Scaling has no code of its own for it


def look(aws: Context, resource: Resource, resource_id: str, inputs: Inputs) -> Seen | None:
    """The resource as AWS shows it; None when it shows none."""
    try:
        return resource.read(aws, resource_id, inputs)
    except ClientError as error:
        if is_gone(error):
            return None
        raise


def differing(old: Inputs, new: Inputs) -> frozenset[str]:
    """The names of the inputs that differ."""
    return frozenset(name for name in (set(old) | set(new)) - {DEFAULTS} if not same(old.get(name), new.get(name)))


def settled(aws: Context, resource: Resource, resource_id: str, inputs: Inputs, names: frozenset[str]) -> Inputs:
    """The properties after a write, once AWS shows it: that the resource is there, and what was written to `names`.

    TimedOutError when it does not show the resource. What differs for too long is no longer waited for: others may have written.
    """
    began = time.monotonic()
    while True:
        seen = look(aws, resource, resource_id, inputs)
        left = unlike(seen, inputs) & names if seen else names
        if seen and (not left or time.monotonic() > began + SAME_S_MAX):
            break
        pause(aws, began + SEEN_S_MAX, f"AWS to show {resource_id} as it was written")
    if left:
        log.warning("%s still differs in %s after %s s", resource_id, ", ".join(sorted(left)), SAME_S_MAX)
    known = {**seen.inputs, **seen.outputs}
    readable = {name: value for name, value in known.items() if value is not None}
    return {**without(inputs, [DEFAULTS]), **readable, "id": resource_id}


def unlike(seen: Seen, inputs: Inputs) -> frozenset[str]:
    """The names of the readable inputs that AWS shows otherwise."""
    live = {name: shaped_like(seen.inputs.get(name), value) for name, value in inputs.items() if name in seen.inputs}
    return differing(live, {name: inputs[name] for name in live})


def adopt(aws: Context, resource: Resource, inputs: Inputs, refusal: ClientError) -> str:
    """Bring what exists under our name to what is wanted; the refusal stands if that would need another one."""
    resource_id, seen = _find(aws, resource, inputs, refusal)
    names = unlike(seen, inputs)
    if names & resource.replaced_by:
        raise refusal
    resource.update(aws, resource_id, Change(seen.inputs, inputs, names))
    return resource_id


def _find(aws: Context, resource: Resource, inputs: Inputs, refusal: ClientError) -> tuple[str, Seen]:
    """What was refused because it exists, as soon as AWS shows it; the refusal when it does not."""
    deadline = time.monotonic() + SEEN_S_MAX
    while True:
        try:
            resource_id = resource.find(aws, inputs)
        except ClientError as error:
            if not is_gone(error):
                raise
            resource_id = None
        seen = look(aws, resource, resource_id, inputs) if resource_id else None
        if resource_id and seen:
            return resource_id, seen
        try:
            pause(aws, deadline, "AWS to show what it says exists")
        except TimedOutError:
            raise refusal from None
