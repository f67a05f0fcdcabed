"""Whether a call may be made: its signature, then the policies of whoever signed it, then (AssumeRole) the role's trust.

off       keys are not looked at; only a role's trust policy is
roles     whoever has a key of IAM or STS is held to his policies; a key that nobody was given is the account's own
enforce   as `roles`, and a key that nobody was given is refused
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote

from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.errors import AwsError
from localcloud.aws.iam import passing, principals, signature
from localcloud.aws.iam.decision import permits
from localcloud.aws.iam.policy import Effect, Question, evaluate_trust
from localcloud.aws.iam.principals import Principal
from localcloud.aws.iam.resources import Call, Namer, Subject
from localcloud.aws.iam.signature import Received, Signed
from localcloud.aws.moto_services import MotoServices

OFF, ROLES, ENFORCE = "off", "roles", "enforce"
MODES = (OFF, ROLES, ENFORCE)
ALWAYS_ALLOWED = frozenset({"sts:GetCallerIdentity"})  # whatever policies say
ASSUME, TAG_SESSION = "sts:AssumeRole", "sts:TagSession"
SESSION_TAGS_MAX = 50
S3_ARN = "arn:aws:s3:::"


@dataclass(slots=True, frozen=True)
class Refusals:
    """How a service words what IAM refuses."""

    unsigned: tuple[str, int]
    unknown_key: tuple[str, int]
    bad_signature: tuple[str, int]
    denied: tuple[str, int]


QUERY = Refusals(
    ("MissingAuthenticationToken", 403),
    ("InvalidClientTokenId", 403),
    ("SignatureDoesNotMatch", 403),
    ("AccessDenied", 403),
)
OF_JSON = Refusals(
    ("MissingAuthenticationTokenException", 400),
    ("UnrecognizedClientException", 400),
    ("InvalidSignatureException", 400),
    ("AccessDeniedException", 400),
)
REFUSALS: Mapping[str, Refusals] = {
    "ec2": Refusals(
        ("MissingAuthenticationToken", 401), ("AuthFailure", 401), ("AuthFailure", 401), ("UnauthorizedOperation", 403)
    ),
    "s3": Refusals(
        ("AccessDenied", 403), ("InvalidAccessKeyId", 403), ("SignatureDoesNotMatch", 403), ("AccessDenied", 403)
    ),
    "ssm": OF_JSON,
    "logs": OF_JSON,
    "pricing": OF_JSON,
}


class Access:
    """Judges calls. `tags_of` gives the tags of a resource by its ARN."""

    def __init__(  # noqa: PLR0913  what a judgement rests on
        self,
        mode: str,
        services: MotoServices,
        namer: Namer,
        tags_of: Callable[[str], Mapping[str, str]],
        clock: Clock,
        root: tuple[str, str] | None = None,
    ) -> None:
        """`mode`: one of MODES; `root`: access key and secret of the account itself, which may do everything."""
        self._root = root
        self.mode, self._services, self._namer = mode, services, namer
        self._tags_of, self._clock = tags_of, clock

    def looks_at(self, service: str, action: str) -> bool:
        """Whether `check` has anything to say of such a call."""
        return self.mode != OFF or (service == "sts" and action == "AssumeRole")

    def check(self, received: Received, call: Call) -> None:
        """AwsError as the service words it when the call may not be made."""
        assumes = call.service == "sts" and call.action == "AssumeRole"
        signed = signature.read(received)
        caller = self._caller(signed, received, call.service)
        subject = self._namer.subject(call)
        if self.mode != OFF and subject.action not in ALWAYS_ALLOWED:
            for resource in subject.resources:
                self._permit(caller, call, subject, resource)
            for also in (*self._copied(received, call), *self._passed(call)):
                self._permit(caller, call, also, also.resources[0])
        if assumes:
            self._trust(caller, call)

    def may_take(self, role_arn: str, service: str) -> bool:
        """Whether a role's trust policy lets a service of AWS take it, as EC2 does for an instance's profile."""
        with self._services.lock:
            role = principals.role_of(self._services, role_arn)
        if role is None:
            return False
        question = Question(ASSUME, role_arn, self._moment())
        return evaluate_trust(role.assume_role_policy_document, question, {"Service": {service}}) is Effect.ALLOWED

    def _caller(self, signed: Signed | None, received: Received, service: str) -> Principal:
        words = REFUSALS.get(service, QUERY)
        nobody = principals.administrator(self._services.account)
        if signed is None:
            if self.mode == ENFORCE and service == "s3":
                return principals.ANONYMOUS
            if self.mode == ENFORCE:
                raise AwsError(words.unsigned[0], "Request is missing Authentication Token", words.unsigned[1])
            return nobody
        if self._root is not None and signed.key_id == self._root[0]:
            caller: Principal | None = replace(nobody, secret=self._root[1])
        else:
            with self._services.lock:
                caller = principals.find(self._services, signed.key_id)
        if caller is None:
            if self.mode == ENFORCE:
                raise AwsError(
                    words.unknown_key[0], "The security token included in the request is invalid.", words.unknown_key[1]
                )
            return nobody
        if self.mode != OFF:
            self._authenticate(caller, signed, received, service)
        return caller

    def _authenticate(self, caller: Principal, signed: Signed, received: Received, service: str) -> None:
        """AwsError when the signature is not his, or not of now."""
        words = REFUSALS.get(service, QUERY)
        if signed.token != caller.token:
            raise AwsError(
                words.unknown_key[0], "The security token included in the request is invalid.", words.unknown_key[1]
            )
        if self._clock.now() >= caller.expires_at:
            code = "ExpiredTokenException" if words is OF_JSON else "ExpiredToken"
            raise AwsError(code, "The security token included in the request is expired", words.bad_signature[1])
        if not signature.is_timely(signed, self._clock.now()):
            code = "RequestTimeTooSkewed" if service == "s3" else words.bad_signature[0]
            raise AwsError(code, "Signature expired, or not yet current: check the clock.", words.bad_signature[1])
        if not signature.is_genuine(signed, received, caller.secret):
            raise AwsError(
                words.bad_signature[0],
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
                "Access Key and signing method.",
                words.bad_signature[1],
            )

    def _permit(self, caller: Principal, call: Call, subject: Subject, resource: str) -> None:
        context = {**self._context(caller, subject, resource), **subject.context}
        if not permits(caller, Question(subject.action, resource, context), self._policy_of(call, resource)):
            code, status = REFUSALS.get(call.service, QUERY).denied
            raise AwsError(
                code,
                f"User: {caller.arn} is not authorized to perform: {subject.action} on resource: {resource}",
                status,
            )

    def _policy_of(self, call: Call, resource: str) -> str | None:
        """The policy of the bucket that a resource is, or is in."""
        name = resource.removeprefix(S3_ARN).partition("/")[0]
        bucket = self._services.backend("s3").buckets.get(name) if call.service == "s3" else None
        return bucket.policy.decode(errors="replace") if bucket is not None and bucket.policy is not None else None

    @staticmethod
    def _copied(received: Received, call: Call) -> list[Subject]:
        """What a copy reads."""
        source = unquote(received.headers.get("x-amz-copy-source", "")).lstrip("/").partition("?")[0]
        return [Subject("s3:GetObject", (S3_ARN + source,), {})] if call.service == "s3" and source else []

    def _passed(self, call: Call) -> list[Subject]:
        """The roles that a call hands to a service, each with what a condition may look at."""
        iam, ec2 = self._services.backend("iam"), self._services.backend("ec2")
        with self._services.lock:
            found = list(
                passing.passed(
                    call.service,
                    call.form,
                    lambda profile: passing.roles_of_profile(iam, profile),
                    lambda key, name, version: passing.profile_of_template(ec2, key, name, version),
                )
            )
        return [Subject("iam:PassRole", (role,), {}, {"iam:passedtoservice": (service,)}) for role, service in found]

    def _trust(self, caller: Principal, call: Call) -> None:
        """The role's own word on who may take it: ExternalId, session name and session tags are conditions of it."""
        arn = call.form.get("RoleArn", "")
        with self._services.lock:
            role = principals.role_of(self._services, arn)
        tags = principals.session_tags(call.form)
        if len(tags) > SESSION_TAGS_MAX:
            raise AwsError("ValidationError", f"A session has at most {SESSION_TAGS_MAX} tags: {len(tags)}")
        context = {
            **self._context(caller, Subject(ASSUME, (arn,), tags), arn),
            "sts:rolesessionname": (call.form.get("RoleSessionName", ""),),
        }
        if "ExternalId" in call.form:
            context["sts:externalid"] = (call.form["ExternalId"],)
        if tags:
            context["aws:tagkeys"] = tuple(tags)
        document = role.assume_role_policy_document if role is not None else {"Statement": []}
        for action in (ASSUME, TAG_SESSION) if tags else (ASSUME,):
            if evaluate_trust(document, Question(action, arn, context), caller.names) is not Effect.ALLOWED:
                raise AwsError(
                    "AccessDenied", f"User: {caller.arn} is not authorized to perform: {action} on resource: {arn}", 403
                )

    def _context(self, caller: Principal, subject: Subject, resource: str) -> dict[str, tuple[str, ...]]:
        tags = self._tags_of(resource)
        return {
            **self._moment(),
            **{f"aws:resourcetag/{name}".lower(): (value,) for name, value in tags.items()},
            **{f"aws:requesttag/{name}".lower(): (value,) for name, value in subject.tags.items()},
            **{f"autoscaling:resourcetag/{name}".lower(): (value,) for name, value in tags.items()},
            **{f"ec2:resourcetag/{name}".lower(): (value,) for name, value in tags.items()},
            "aws:principalarn": (caller.role_arn or caller.arn,),
            "aws:principalaccount": (caller.account,),
            "aws:principaltype": (caller.kind,),
            "aws:userid": (caller.user_id,),
            **caller.context,
        }

    def _moment(self) -> dict[str, tuple[str, ...]]:
        now = self._clock.now()
        return {
            "aws:currenttime": (principals.utc_stamp(now),),
            "aws:epochtime": (str(int(now)),),
            "aws:requestedregion": (self._services.region,),
            "aws:securetransport": ("false",),
            "aws:sourceip": ("127.0.0.1",),
        }
