"""Signature version 4 of a request, computed anew and compared (IAM user guide, "Create a signed AWS API request").

The date is checked too: AWS refuses a signature that is more than 15 minutes off.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

from botocore.utils import normalize_url_path

SKEW_S_MAX = 900.0
HEADER = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<scope>[^,\s]+),\s*SignedHeaders=(?P<headers>[^,\s]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
SCOPE = re.compile(r"(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
UNSIGNED = "UNSIGNED-PAYLOAD"
STAMP = "%Y%m%dT%H%M%SZ"
UNRESERVED = "-_.~"


@dataclass(slots=True, frozen=True)
class Signed:
    """What a signature says of itself."""

    key_id: str
    scope: str  # day/region/service/aws4_request
    service: str
    token: str
    headers: tuple[str, ...]
    signature: str
    stamp: str
    valid_s: float = SKEW_S_MAX
    in_query: bool = False


@dataclass(slots=True, frozen=True)
class Received:
    """A request as it came: `headers` in lower case, `path` as it was on the wire, `body_sha256` in hex."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body_sha256: str


def read(request: Received) -> Signed | None:
    """The signature of a request, from its header or its query; None when there is none that can be read."""
    if found := HEADER.search(request.headers.get("authorization", "")):
        scope, names, signature = found["scope"], found["headers"], found["signature"]
        query = {name: request.headers.get(name.lower(), "") for name in ("X-Amz-Security-Token", "X-Amz-Date")}
    else:
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        scope, names = query.get("X-Amz-Credential", ""), query.get("X-Amz-SignedHeaders", "")
        signature = query.get("X-Amz-Signature", "")
    parts = SCOPE.fullmatch(scope)
    if parts is None:
        return None
    expires = query.get("X-Amz-Expires", "")
    return Signed(
        key_id=parts["key"],
        scope=scope.partition("/")[2],
        service=parts["service"],
        token=query.get("X-Amz-Security-Token", ""),
        headers=tuple(sorted(names.lower().split(";"))),
        signature=signature,
        stamp=query.get("X-Amz-Date", ""),
        valid_s=float(expires) if expires.isdigit() else SKEW_S_MAX,
        in_query=found is None,
    )


def is_timely(signed: Signed, now: float) -> bool:
    """Whether it was made neither too long ago nor in a future too far."""
    try:
        made = datetime.strptime(signed.stamp, STAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return False
    return made - SKEW_S_MAX <= now <= made + signed.valid_s


def is_genuine(signed: Signed, request: Received, secret: str) -> bool:
    """Whether the secret makes the same signature of the same request, body included."""
    declared = UNSIGNED if signed.in_query else request.headers.get("x-amz-content-sha256", request.body_sha256)
    is_hash = re.fullmatch("[0-9a-f]{64}", declared) is not None  # else it is a streaming or unsigned body
    if is_hash and declared != request.body_sha256:
        return False
    canonical = "\n".join(
        [
            request.method,
            _path(request.path, signed.service),
            _query(request.query),
            *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in signed.headers),
            "",
            ";".join(signed.headers),
            declared,
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{signed.stamp}\n{signed.scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for part in signed.scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signed.signature)


def _path(path: str, service: str) -> str:
    """S3 signs a path as it is sent; the other services without empty parts and dots, and encode it once more."""
    return (path or "/") if service == "s3" else quote(normalize_url_path(path or "/"), safe="/" + UNRESERVED)


def _query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    encoded = sorted(
        (quote(name, safe=UNRESERVED), quote(value, safe=UNRESERVED))
        for name, value in pairs
        if name != "X-Amz-Signature"
    )
    return "&".join(f"{name}={value}" for name, value in encoded)
