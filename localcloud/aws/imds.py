"""The instance metadata service, as each machine sees its own: IMDSv2 with tokens, below a path that names the machine.

Tokens are signed, not kept, so they outlive a restart. A template that says HttpTokens=required gets no answer without
one; HttpEndpoint=disabled gets none at all. The answer to a request for a token goes no further than the template's
HttpPutResponseHopLimit. Credentials are of the role in the instance's profile and are renewed before they end.
"""

import base64
import binascii
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localcloud.aws import hops
from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.direct_machines import DirectMachines
from localcloud.aws.ec2_compute import Ec2Compute
from localcloud.aws.iam.access import OFF, Access
from localcloud.aws.iam.principals import SOURCE_INSTANCE
from localcloud.aws.moto_services import MotoServices

PREFIX = "/_localcloud/imds/"
TOKEN_S_MIN, TOKEN_S_MAX = 1, 21_600
CREDENTIALS_S = 3600
EC2_SERVICE = "ec2.amazonaws.com"
RENEW_BEFORE_S = 900.0
TTL_HEADER, TOKEN_HEADER = "HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS", "HTTP_X_AWS_EC2_METADATA_TOKEN"
JSON, TEXT = "application/json", "text/plain"


@dataclass(slots=True, frozen=True)
class Reply:
    """What is answered."""

    status: int
    body: str = ""
    content_type: str = TEXT
    token_ttl_s: int | None = None
    lost: bool = False  # it is sent, and does not arrive


@dataclass(slots=True, frozen=True)
class _Credentials:
    document: str
    ends_at: float


class MetadataService:
    """Answers for all machines; `target_state` tells where an instance is going in its group."""

    def __init__(  # noqa: PLR0913  it knows a little of everything
        self,
        services: MotoServices,
        compute: Ec2Compute,
        clock: Clock,
        secret: str,
        target_state: Callable[[str], str | None],
        save: Callable[[], None],
        access: Access,
        direct: DirectMachines,
        uid_of: Callable[[str], int | None],
    ) -> None:
        """`secret` signs tokens, `save` writes down that credentials were issued, `uid_of` says whose a machine's processes are."""
        self._uid_of = uid_of
        self._services, self._compute, self._clock = services, compute, clock
        self._secret, self._target_state, self._save = secret.encode(), target_state, save
        self._access, self._direct = access, direct
        self._credentials: dict[str, _Credentials] = {}
        self._lock = threading.Lock()

    def reply(self, method: str, path: str, headers: dict[str, Any]) -> Reply:
        """`path` begins after PREFIX: the instance's id, then what a machine asks 169.254.169.254 for."""
        instance_id, _, rest = path.partition("/")
        instance = self._compute.instance(instance_id)
        if instance is None or instance.state == "terminated":
            return Reply(404, f"There is no instance {instance_id}.")
        if instance.metadata_options.http_endpoint == "disabled":
            return Reply(403)
        version, _, what = rest.lstrip("/").partition("/")
        if not version:
            return Reply(200, "latest")
        if what == "api/token":
            return self._token(method, instance, headers)
        if method not in {"GET", "HEAD"}:
            return Reply(405)
        token = headers.get(TOKEN_HEADER)
        if token is None and instance.metadata_options.http_tokens == "required":
            return Reply(401)
        if token is not None and not self._is_valid(token, instance_id):
            return Reply(401)
        return self._data(instance, what.rstrip("/") if what.count("/") > 1 else what)

    def _token(self, method: str, instance: Any, headers: dict[str, Any]) -> Reply:
        if method != "PUT":
            return Reply(405)
        if "HTTP_X_FORWARDED_FOR" in headers:
            return Reply(403)
        text = str(headers.get(TTL_HEADER, ""))
        if not text.isdigit() or not TOKEN_S_MIN <= int(text) <= TOKEN_S_MAX:
            return Reply(400)
        ends_at = int(self._clock.now()) + int(text)
        content = f"{instance.id}|{ends_at}"
        token = base64.urlsafe_b64encode(f"{content}|{self._sign(content)}".encode()).decode()
        return Reply(200, token, token_ttl_s=int(text), lost=self._distance(instance.id, headers) > hop_limit(instance))

    def _distance(self, instance_id: str, headers: dict[str, Any]) -> int:
        client = (str(headers.get("REMOTE_ADDR", "127.0.0.1")), int(headers.get("REMOTE_PORT", 0)))
        server = (client[0], int(headers.get("SERVER_PORT", 0)))
        return hops.distance(self._uid_of(instance_id), client, server)

    def _is_valid(self, token: str, instance_id: str) -> bool:
        try:
            owner, ends_at, signature = base64.urlsafe_b64decode(token).decode().split("|")
        except (ValueError, binascii.Error, UnicodeDecodeError):
            return False
        signed = hmac.compare_digest(signature, self._sign(f"{owner}|{ends_at}"))
        return signed and owner == instance_id and int(ends_at) > self._clock.now()

    def _sign(self, content: str) -> str:
        return hmac.new(self._secret, content.encode(), hashlib.sha256).hexdigest()

    def _data(self, instance: Any, what: str) -> Reply:
        if what == "user-data":
            user_data = instance.user_data
            return Reply(200, user_data.decode(), "application/octet-stream") if user_data else Reply(404)
        if what == "dynamic/instance-identity/document":
            return Reply(200, json.dumps(self._identity(instance)), JSON)
        if not what.startswith("meta-data"):
            return Reply(404)
        leaf = what.removeprefix("meta-data").strip("/")
        if leaf.startswith("iam"):
            return self._iam(instance, leaf)
        values = self._values(instance)
        if leaf in values:
            value = values[leaf]
            return Reply(404) if value is None else Reply(200, value)
        below = leaf + "/" if leaf else ""
        names = {key[len(below) :].split("/")[0] for key in values if key.startswith(below)}
        return Reply(200, "\n".join(sorted(names))) if names else Reply(404)

    def _values(self, instance: Any) -> dict[str, str | None]:
        zone = instance.availability_zone
        values = {
            "ami-id": instance.image_id,
            "instance-id": instance.id,
            "instance-type": instance.instance_type,
            "local-hostname": instance.private_dns_name,
            "local-ipv4": instance.private_ip,
            "placement/availability-zone": zone,
            "placement/region": self._services.region,
            "autoscaling/target-lifecycle-state": self._target_state(instance.id),
        }
        if (taken_at := self._direct.taken_at(instance.id)) is not None:
            values["spot/instance-action"] = json.dumps({"action": "terminate", "time": _stamp(taken_at)})
            values["spot/termination-time"] = _stamp(taken_at)
        if (advised_at := self._compute.risky.get(instance.id)) is not None:
            values["events/recommendations/rebalance"] = json.dumps({"noticeTime": _stamp(advised_at)})
        if instance.metadata_options.instance_metadata_tags == "enabled":
            values |= {f"tags/instance/{tag['key']}": tag["value"] for tag in instance.get_tags()}
        return values

    def _identity(self, instance: Any) -> dict[str, Any]:
        return {
            "accountId": self._services.account,
            "availabilityZone": instance.availability_zone,
            "imageId": instance.image_id,
            "instanceId": instance.id,
            "instanceType": instance.instance_type,
            "privateIp": instance.private_ip,
            "region": self._services.region,
        }

    def _iam(self, instance: Any, leaf: str) -> Reply:
        with self._services.lock:
            association = self._services.backend("ec2").iam_instance_profile_associations.get(instance.id)
            profile = association.iam_instance_profile if association else None
            role = profile.roles[0] if profile and profile.roles else None
        if profile is None or role is None:
            return Reply(404)
        if leaf == "iam/info":
            return Reply(200, json.dumps({"Code": "Success", "InstanceProfileArn": profile.arn}), JSON)
        match leaf.split("/"):
            case ["iam", "security-credentials"]:
                return Reply(200, role.name)
            case ["iam", "security-credentials", name] if name == role.name:
                if self._access.mode != OFF and not self._access.may_take(role.arn, EC2_SERVICE):
                    return Reply(200, untrusted(role.name), JSON)
                return Reply(200, self._credentials_of(instance.id, role.arn), JSON)
            case _:
                return Reply(404)

    def _credentials_of(self, instance_id: str, role_arn: str) -> str:
        with self._lock:
            known = self._credentials.get(instance_id)
            now = self._clock.now()
            if known and known.ends_at - RENEW_BEFORE_S > now:
                return known.document
            with self._services.lock:
                assumed = self._services.backend("sts").assume_role(
                    region_name=self._services.region,
                    role_session_name=instance_id,
                    role_arn=role_arn,
                    policy=None,
                    duration=CREDENTIALS_S,
                    external_id=None,
                )
                setattr(
                    assumed,
                    SOURCE_INSTANCE,
                    f"arn:aws:ec2:{self._services.region}:{self._services.account}:instance/{instance_id}",
                )
                self._services.mark(["sts", "iam"])
            document = json.dumps(
                {
                    "Code": "Success",
                    "Type": "AWS-HMAC",
                    "LastUpdated": _stamp(now),
                    "AccessKeyId": assumed.access_key_id,
                    "SecretAccessKey": assumed.secret_access_key,
                    "Token": assumed.session_token,
                    "Expiration": _stamp(now + CREDENTIALS_S),
                }
            )
            self._credentials[instance_id] = _Credentials(document, now + CREDENTIALS_S)
        self._save()
        return document


def hop_limit(instance: Any) -> int:
    """What the template says; 1 when it says nothing."""
    return int(instance.metadata_options.http_put_response_hop_limit or 1)


def untrusted(role: str) -> str:
    """What stands in the place of credentials when the role does not trust EC2."""
    message = f"EC2 cannot assume the role {role}. Please see documentation at https://docs.aws.amazon.com/IAM/latest/UserGuide/"
    return json.dumps({"Code": "AssumeRoleUnauthorizedAccess", "Message": message})


def _stamp(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
