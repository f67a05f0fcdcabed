"""What a request is about: IAM's name of its action, the ARNs of its resources, and the tags that conditions look at.

After the service authorization reference, for the services and actions that Headrace and its nodes use; any other action is
about `*`, so that a policy that names resources does not allow it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

PREFIXES = {"monitoring": "cloudwatch"}  # where a signature's service is not the prefix of its actions
S3_ACTIONS = {  # method, is it an object -> action, when no sub-resource says otherwise
    ("GET", True): "GetObject",
    ("HEAD", True): "GetObject",
    ("PUT", True): "PutObject",
    ("POST", True): "PutObject",
    ("DELETE", True): "DeleteObject",
    ("GET", False): "ListBucket",
    ("HEAD", False): "ListBucket",
    ("PUT", False): "CreateBucket",
    ("POST", False): "DeleteObject",
    ("DELETE", False): "DeleteBucket",
}
S3_SUBRESOURCES = {
    "versioning": "BucketVersioning",
    "policy": "BucketPolicy",
    "tagging": "BucketTagging",
    "encryption": "EncryptionConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "acl": "BucketAcl",
    "publicAccessBlock": "BucketPublicAccessBlock",
}
S3_LISTINGS = {
    "versions": "ListBucketVersions",
    "uploads": "ListBucketMultipartUploads",
    "location": "GetBucketLocation",
}
VERBS = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "DELETE": "Delete", "POST": "Put"}
IAM_NAMES = {
    "RoleName": "role",
    "InstanceProfileName": "instance-profile",
    "UserName": "user",
    "GroupName": "group",
}
EC2_NAMES = {
    "InstanceId": "instance",
    "GroupId": "security-group",
    "LaunchTemplateId": "launch-template",
    "SubnetId": "subnet",
    "VpcId": "vpc",
    "VolumeId": "volume",
}


@dataclass(slots=True, frozen=True)
class Subject:
    """An action in IAM's words, and the ARNs that it is about."""

    action: str
    resources: tuple[str, ...]
    tags: Mapping[str, str]  # of the request: what is to be tagged
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # condition keys of this action alone


@dataclass(slots=True, frozen=True)
class Call:
    """A call as the front has read it."""

    service: str  # as the signature names it
    action: str
    form: Mapping[str, str]
    method: str
    path: str
    query: str
    body: bytes  # of JSON calls; empty otherwise
    host: str = ""


class Namer:
    """Names the resources of calls; `group_arn` and `owner` know Auto Scaling groups and whose an instance is."""

    def __init__(
        self, account: str, region: str, group_arn: Callable[[str], str | None], owner: Callable[[str], str | None]
    ) -> None:
        """For one account in one region."""
        self._account, self._region = account, region
        self._group_arn, self._owner = group_arn, owner

    def subject(self, call: Call) -> Subject:
        """What a call is about."""
        prefix = PREFIXES.get(call.service, call.service)
        if call.service == "s3":
            action, resources = s3_subject(call)
            return Subject(f"s3:{action}", resources, {}, s3_context(call))
        found: tuple[str, ...]
        match call.service:
            case "autoscaling":
                found = self._groups(call.form)
            case "iam":
                found = self._identities(call.form)
            case "sts":
                found = (call.form["RoleArn"],) if call.form.get("RoleArn") else ()
            case "ec2":
                found = self._machines(call.form)
            case "ssm":
                found = self._parameters(call.body)
            case _:
                found = ()
        return Subject(f"{prefix}:{call.action}", found or ("*",), request_tags(call.form))

    def _groups(self, form: Mapping[str, str]) -> tuple[str, ...]:
        named = [form.get("AutoScalingGroupName", "")]
        named += [value for key, value in form.items() if key.startswith("Tags.") and key.endswith(".ResourceId")]
        named += [self._owner(form[key]) or "" for key in ("InstanceId",) if key in form and not named[0]]
        made = f"arn:aws:autoscaling:{self._region}:{self._account}:autoScalingGroup:*:autoScalingGroupName/"
        return tuple(self._group_arn(name) or made + name for name in named if name)

    def _identities(self, form: Mapping[str, str]) -> tuple[str, ...]:
        for name, kind in IAM_NAMES.items():
            if form.get(name):
                return (f"arn:aws:iam::{self._account}:{kind}{form.get('Path', '/')}{form[name]}",)
        return (form["PolicyArn"],) if form.get("PolicyArn") else ()

    def _machines(self, form: Mapping[str, str]) -> tuple[str, ...]:
        if form.get("Action", "").startswith("Describe"):
            return ()
        return tuple(
            f"arn:aws:ec2:{self._region}:{self._account}:{kind}/{value}"
            for name, kind in EC2_NAMES.items()
            for key, value in form.items()
            if key == name or key.startswith(f"{name}.")
        )

    def _parameters(self, body: bytes) -> tuple[str, ...]:
        try:
            asked = json.loads(body or b"{}")
        except ValueError:
            return ()
        if not isinstance(asked, dict):
            return ()
        names = [asked.get("Name"), asked.get("Path"), *(asked.get("Names") or [])]
        arn = f"arn:aws:ssm:{self._region}:{self._account}:parameter/"
        return tuple(arn + str(name).lstrip("/") for name in names if name)


def s3_subject(call: Call) -> tuple[str, tuple[str, ...]]:
    """Action and resource of a call of S3's REST API.

    >>> s3_subject(Call("s3", "", {}, "GET", "/bucket/a/b", "", b""))
    ('GetObject', ('arn:aws:s3:::bucket/a/b',))
    >>> s3_subject(Call("s3", "", {}, "GET", "/bucket", "versioning", b""))
    ('GetBucketVersioning', ('arn:aws:s3:::bucket',))
    """
    bucket, _, key = unquote(call.path).lstrip("/").partition("/")
    if not bucket:
        return "ListAllMyBuckets", ("*",)
    arn = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
    asked = dict(parse_qsl(call.query, keep_blank_values=True))
    action = S3_ACTIONS.get((call.method, bool(key)), f"{call.method}Unknown")
    if key and "tagging" in asked:
        action = f"{VERBS.get(call.method, '')}ObjectTagging"
    elif key and "versionId" in asked and call.method in VERBS:
        action = f"{VERBS[call.method]}ObjectVersion"
    elif not key:
        for name, what in S3_SUBRESOURCES.items():
            if name in asked:
                action = f"{'Put' if call.method == 'DELETE' else VERBS.get(call.method, '')}{what}"
        action = next((what for name, what in S3_LISTINGS.items() if name in asked), action)
    return action, (arn,)


def s3_context(call: Call) -> dict[str, tuple[str, ...]]:
    """The condition keys that S3 takes from a listing's query.

    >>> s3_context(Call("s3", "", {}, "GET", "/bucket", "list-type=2&prefix=a%2F", b""))
    {'s3:prefix': ('a/',)}
    """
    asked = dict(parse_qsl(call.query, keep_blank_values=True))
    return {f"s3:{name}": (asked[name],) for name in ("prefix", "delimiter", "max-keys") if name in asked}


def request_tags(form: Mapping[str, str]) -> dict[str, str]:
    """The tags that a query call carries, in any of the forms in which the services write them."""
    tags = {}
    for key, name in form.items():
        if ".Tag" in f".{key}" and key.endswith(".Key"):
            tags[name] = form.get(f"{key.removesuffix('.Key')}.Value", "")
    return tags
