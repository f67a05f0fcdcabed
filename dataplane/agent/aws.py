"""The three calls that a node makes to AWS, signed by hand (Signature Version 4).

botocore would be 30 MB of memory on every node for one GET, one parameter and one lifecycle hook.
"""

import hashlib
import hmac
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from dataplane.agent.machine import Credentials
from dataplane.stages.http_bodies import blocks_of, read_whole
from shared.contracts.provisioning import Artifact
from shared.domain.errors import Denied, HeadraceError, InvalidInput, NotFound, Unavailable

CONNECT_AND_READ_S = 20.0
ATTEMPTS_MAX = 4
FIRST_BACKOFF_S = 0.3
BLOCK_BYTES = 1024 * 1024
ERROR_BYTES_MAX = 16 * 1024
ARTIFACT_BYTES_MAX = 2 * 1024**3
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
SERVER_ERROR, TOO_MANY = 500, 429


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request before it is signed."""

    service: str
    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""


def signed(request: Request, keys: Credentials, region: str, now: datetime) -> dict[str, str]:
    """The headers to send, with `Authorization`; as AWS documents Signature Version 4."""
    parts = urlsplit(request.url)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    digest = hashlib.sha256(request.body).hexdigest()
    headers = {k.lower(): v for k, v in request.headers.items()}
    headers |= {"host": parts.netloc, "x-amz-date": stamp, "x-amz-security-token": keys.token}
    if request.service == "s3":
        headers["x-amz-content-sha256"] = digest
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            request.method,
            parts.path or "/",
            parts.query,
            *(f"{name}:{headers[name].strip()}" for name in sorted(headers)),
            "",
            names,
            digest,
        ]
    )
    scope = f"{day}/{region}/{request.service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{keys.secret_key}".encode()
    for part in (day, region, request.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"Credential={keys.access_key}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    return headers


class NodeAws:
    """AWS with the rights of this machine's role."""

    def __init__(self, endpoint: str, region: Callable[[], str], keys: Callable[[], Credentials]) -> None:
        """`endpoint` empty: the region's own endpoints. `keys` is asked for each call: they rotate."""
        self._endpoint = endpoint.rstrip("/")
        self._region = region
        self._keys = keys
        handlers = [urllib.request.ProxyHandler({})] if endpoint else []
        self._open = urllib.request.build_opener(*handlers).open

    def parameter(self, name: str) -> str:
        """A SecureString of the parameter store."""
        body = json.dumps({"Name": name, "WithDecryption": True}).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM.GetParameter"}
        answer = self._call(Request("ssm", "POST", self._base("ssm") + "/", headers, body), f"parameter {name}")
        return str(json.loads(answer)["Parameter"]["Value"])

    def complete_hook(self, asg: str, hook: str, instance: str, result: str) -> None:
        """CompleteLifecycleAction with CONTINUE or ABANDON; InvalidInput when no action waits."""
        fields = {
            "Action": "CompleteLifecycleAction",
            "Version": "2011-01-01",
            "AutoScalingGroupName": asg,
            "LifecycleHookName": hook,
            "InstanceId": instance,
            "LifecycleActionResult": result,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        request = Request("autoscaling", "POST", self._base("autoscaling") + "/", headers, urlencode(fields).encode())
        self._call(request, f"hook {hook} of {instance}")

    def fetch(self, artifact: Artifact, place: Path) -> None:
        """An object of the bundle store into a file; InvalidInput when its sha256 is not the artifact's."""
        self._call(Request("s3", "GET", self._object(artifact.url), {}), f"artifact {artifact.url}", place)
        digest = hashlib.sha256()
        with place.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
        if digest.hexdigest() != artifact.sha256:
            place.unlink()
            raise InvalidInput(
                f"artifact {artifact.url}: its sha256 is {digest.hexdigest()}, declared is {artifact.sha256}",
                field="sha256",
                remedy="it was changed after it was published: publish it again, and deploy that",
            )

    def read(self, url: str, bytes_max: int) -> bytes:
        """An object of the bundle store; InvalidInput when it is larger."""
        return self._call(Request("s3", "GET", self._object(url), {}), f"object {url}", bytes_max=bytes_max)

    def _object(self, url: str) -> str:
        found = re.fullmatch(r"s3://([^/]+)/(.+)", url)
        if not found:
            raise InvalidInput(f"artifact {url!r}: not an s3://bucket/key address", field="url")
        bucket, key = found.group(1), quote(found.group(2), safe="/-_.~")
        base = f"{self._endpoint}/{bucket}" if self._endpoint else f"https://{bucket}.s3.{self._region()}.amazonaws.com"
        return f"{base}/{key}"

    def _base(self, service: str) -> str:
        return self._endpoint or f"https://{service}.{self._region()}.amazonaws.com"

    def _call(self, request: Request, what: str, place: Path | None = None, bytes_max: int = BLOCK_BYTES) -> bytes:
        for attempt in range(ATTEMPTS_MAX):
            try:
                return self._once(request, what, place, bytes_max)
            except Unavailable:
                if attempt == ATTEMPTS_MAX - 1:
                    raise
                time.sleep(FIRST_BACKOFF_S * 2**attempt)
        raise Unavailable(f"{what}: no attempt was made")

    def _once(self, request: Request, what: str, place: Path | None, bytes_max: int) -> bytes:
        headers = signed(request, self._keys(), self._region(), datetime.now(UTC))
        body = request.body if request.method == "POST" else None
        out = urllib.request.Request(request.url, body, headers, method=request.method)  # noqa: S310  ours or AWS' own
        try:
            with self._open(out, timeout=CONNECT_AND_READ_S) as answer:
                if place is None:
                    return read_whole(answer, what, bytes_max)
                with place.open("wb") as file:
                    for block in blocks_of(answer, what, ARTIFACT_BYTES_MAX):
                        file.write(block)
                return b""
        except urllib.error.HTTPError as e:
            raise _failure(e, what) from e
        except (OSError, HTTPException) as e:
            raise Unavailable(f"{what}: {type(e).__name__}: {e}", retry_after_s=1.0) from e


def _failure(error: urllib.error.HTTPError, what: str) -> HeadraceError:
    text = error.read(ERROR_BYTES_MAX).decode(errors="replace")
    code = re.search(r"<Code>([^<]+)</Code>", text) or re.search(r'"__type"\s*:\s*"([^"]+)"', text)
    name = code.group(1).rpartition("#")[2] if code else str(error.code)
    message = re.search(r"<Message>([^<]*)</Message>", text)
    said = f"{what}: AWS answered {name}" + (f": {message.group(1)}" if message else "")
    if error.code >= SERVER_ERROR or error.code == TOO_MANY or "Throttl" in name:
        return Unavailable(said, retry_after_s=1.0)
    if name in ("NoSuchKey", "NoSuchBucket", "ParameterNotFound", "404"):
        return NotFound(said)
    return (Denied if error.code in (401, 403) else InvalidInput)(said)
