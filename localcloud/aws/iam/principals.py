"""Whose access key it is, and which policies apply to him: read from moto's books of IAM and STS.

Session tags and a session policy are kept on moto's record of the session, so they are saved with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.moto_services import MotoServices

SESSION_TAGS = "localcloud_session_tags"
SESSION_POLICIES = "localcloud_session_policies"  # the ARNs of managed ones
SOURCE_INSTANCE = "localcloud_source_instance"


@dataclass(slots=True, frozen=True)
class Principal:
    """Who asks. `boundaries` and `session_policies` only take away."""

    arn: str  # of the session, when it is a role's
    account: str
    kind: str  # "User", "AssumedRole"
    user_id: str
    secret: str
    role_arn: str = ""
    token: str = ""
    expires_at: float = float("inf")
    policies: tuple[Any, ...] = ()
    boundaries: tuple[Any, ...] = ()
    session_policies: tuple[Any, ...] = ()
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, set[str]]:
        """What a trust policy may call him."""
        root = f"arn:aws:iam::{self.account}:root"
        return {"AWS": {self.arn, self.role_arn, self.account, root} - {""}}


ANONYMOUS = Principal("anonymous", "", "Anonymous", "anonymous", "")  # whoever did not sign


def administrator(account: str) -> Principal:
    """The account itself: whoever comes with a key that nobody was given, while that is allowed."""
    everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    return Principal(f"arn:aws:iam::{account}:root", account, "Account", account, "", policies=(everything,))


def find(services: MotoServices, key_id: str) -> Principal | None:
    """The owner of an access key; None when nobody has it. Moto's lock must be held."""
    for user in services.backend("iam").users.values():
        for key in user.access_keys:
            if key.access_key_id == key_id and key.status == "Active":
                return _user(services, user, key)
    session = services.backend("sts").get_assumed_role_from_access_key(key_id)
    return _session(services, session) if session is not None else None


def role_of(services: MotoServices, arn: str) -> Any:
    """Moto's role; None when there is none."""
    return next((role for role in services.backend("iam").roles.values() if role.arn == arn), None)


def note_session(services: MotoServices, form: Mapping[str, str]) -> None:
    """Keep the tags and managed policies of the session that AssumeRole has just made; moto forgets them. Moto's lock must be held."""
    sessions = services.backend("sts").assumed_roles
    if sessions and sessions[-1].session_name == form.get("RoleSessionName"):
        setattr(sessions[-1], SESSION_TAGS, session_tags(form))
        arns = [value for key, value in form.items() if key.startswith("PolicyArns.member.") and key.endswith(".arn")]
        setattr(sessions[-1], SESSION_POLICIES, arns)


def session_tags(form: Mapping[str, str]) -> dict[str, str]:
    """The tags that AssumeRole is to give its session."""
    return {
        value: form.get(f"{key.removesuffix('.Key')}.Value", "")
        for key, value in form.items()
        if key.startswith("Tags.member.") and key.endswith(".Key")
    }


def _user(services: MotoServices, user: Any, key: Any) -> Principal:
    iam = services.backend("iam")
    owners = [user, *(group for group in iam.groups.values() if user in group.users)]
    tags = iam.tagger.get_tag_dict_for_resource(user.arn)
    context = {
        "aws:username": (str(user.name),),
        **{f"aws:principaltag/{name}".lower(): (str(value),) for name, value in tags.items()},
    }
    policies = tuple(document for owner in owners for document in _documents(owner))
    return Principal(
        user.arn, services.account, "User", user.id, key.secret_access_key, policies=policies, context=context
    )


def _session(services: MotoServices, session: Any) -> Principal:
    role = role_of(services, session.role_arn)
    tags = {
        **({tag["Key"]: tag["Value"] for tag in role.tags or ()} if role is not None else {}),
        **getattr(session, SESSION_TAGS, {}),  # a session's tag hides the role's
    }
    context = {f"aws:principaltag/{name}".lower(): (str(value),) for name, value in tags.items()}
    if instance_arn := getattr(session, SOURCE_INSTANCE, ""):
        context["ec2:sourceinstancearn"] = (instance_arn,)
    ends = session.expiration
    return Principal(
        arn=session.arn,
        account=services.account,
        kind="AssumedRole",
        user_id=session.user_id,
        secret=session.secret_access_key,
        role_arn=session.role_arn,
        token=session.session_token,
        expires_at=(ends if ends.tzinfo else ends.replace(tzinfo=UTC)).timestamp(),
        policies=tuple(_documents(role)) if role is not None else (),
        boundaries=_boundary(services, role),
        session_policies=_session_policies(services, session),
        context=context,
    )


def _documents(owner: Any) -> list[Any]:
    """Inline policies first, then the attached ones, each in its default version."""
    return [*owner.policies.values(), *(managed(policy) for policy in owner.managed_policies.values())]


def _session_policies(services: MotoServices, session: Any) -> tuple[Any, ...]:
    """The policy that AssumeRole was given and the managed ones that it named; one that is gone allows nothing."""
    known = services.backend("iam").managed_policies
    named = [managed(known.get(arn)) for arn in getattr(session, SESSION_POLICIES, ())]
    return (*((session.policy,) if session.policy else ()), *named)


def _boundary(services: MotoServices, role: Any) -> tuple[Any, ...]:
    arn = role.permissions_boundary_arn if role is not None else None
    if not arn:
        return ()
    return (managed(services.backend("iam").managed_policies.get(arn)),)


def managed(policy: Any) -> Any:
    """The document of a managed policy's default version; one that is gone allows nothing."""
    versions = policy.versions if policy is not None else ()
    found = next((one for one in versions if one.version_id == policy.default_version_id), None)
    return found.document if found is not None else {"Statement": []}


def utc_stamp(when: float) -> str:
    """A time as condition keys have it."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
