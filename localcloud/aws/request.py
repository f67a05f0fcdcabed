"""A request as it came: its body read whole, the service and action that it is for, its headers.

Everything is bounded here: the body's length, the form's, what characters a form may have, how much one call may ask for.
"""

import hashlib
import json
import re
import tempfile
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from localcloud.aws import query_protocol, wire_errors
from localcloud.aws.errors import AwsError

BODY_BYTES_MAX = 1 << 30
BODY_IN_MEMORY_MAX = 8 << 20
COPY_BYTES = 1 << 20
AUTO_SCALING_VERSION = "2011-01-01"
BALANCING_VERSIONS = ("2012-06-01", "2015-12-01")  # of the classic one, and of application and network load balancers
FORM_BYTES_MAX = 4 << 20
INSTANCES_PER_CALL_MAX = 1_000
CREDENTIAL = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/([^/]+)/aws4_request")
Environ = dict[str, Any]


@dataclass(slots=True, frozen=True)
class Asked:
    """A request, recognised."""

    service: str
    action: str
    form: dict[str, str]
    environ: Environ
    body: Any  # a file, read whole
    id: str


def take_body(environ: Environ) -> tuple[Any, int]:
    """The body, read whole, and its length; the request then reads it from memory or a temporary file."""
    body = tempfile.SpooledTemporaryFile(max_size=BODY_IN_MEMORY_MAX)  # noqa: SIM115  it lives as long as the request
    chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    declared = str(environ.get("CONTENT_LENGTH") or "0")
    if not declared.isdigit():
        raise AwsError("InvalidRequest", f"The Content-Length must be a number: {declared[:40]}")
    left = BODY_BYTES_MAX if chunked else int(declared)
    if left > BODY_BYTES_MAX:
        raise AwsError("EntityTooLarge", f"The body is larger than {BODY_BYTES_MAX} bytes", 413)
    length = 0
    while left > 0:
        part = environ["wsgi.input"].read(min(COPY_BYTES, left))
        if not part:
            break
        body.write(part)
        length, left = length + len(part), left - len(part)
    body.seek(0)
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = body, str(length)
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("wsgi.input_terminated", None)
    return body, length


def recognise(environ: Environ, body: Any, length: int) -> tuple[str, str, dict[str, str]]:
    """The service that a request is for, its action, and its form if it is one."""
    found = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    service = found[2].lower() if found else ""
    form: dict[str, str] = {}
    content_type = environ.get("CONTENT_TYPE", "")
    if content_type.startswith("application/x-www-form-urlencoded") and length <= FORM_BYTES_MAX:
        try:
            text = body.read().decode()
        except UnicodeDecodeError as error:
            raise AwsError("MalformedInput", "The body is not UTF-8") from error
        form = dict(parse_qsl(text, keep_blank_values=True))
    elif not found:
        form = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    body.seek(0)
    if not service and form.get("Version") == AUTO_SCALING_VERSION:
        service = query_protocol.SERVICE
    if not service and not form.get("Action") and not environ.get("HTTP_X_AMZ_TARGET"):
        service = "s3"
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    action = form.get("Action") or target.rpartition(".")[2]
    return service, action or (environ["REQUEST_METHOD"] if service == "s3" else ""), form


def check_form(asked: Asked) -> None:
    """AwsError for what no service could answer: characters that its XML can not carry, instances without number."""
    for key, value in asked.form.items():
        if wire_errors.UNWRITABLE.search(key) or wire_errors.UNWRITABLE.search(value):
            raise AwsError("MalformedInput", f"{key}: it has a character that XML can not carry")
    version = asked.form.get("Version", "")
    if asked.service == "elasticloadbalancing" and asked.action and version not in BALANCING_VERSIONS:
        raise AwsError("NoSuchVersion", f"The requested version ({version}) of {asked.service} is not valid.")
    if asked.service == "ec2" and asked.action == "RunInstances":
        for name in ("MinCount", "MaxCount"):
            count = asked.form.get(name, "1")
            if not count.isdigit() or int(count) < 1:
                raise AwsError("InvalidParameterValue", f"{name} must be a number above 0: {count[:40]}")
            if int(count) > INSTANCES_PER_CALL_MAX:
                raise AwsError(
                    "InstanceLimitExceeded", f"{name}: at most {INSTANCES_PER_CALL_MAX} in one call: {count[:40]}"
                )


def check_json(asked: Asked) -> None:
    """SerializationException for a body of the JSON protocol that is no JSON object."""
    if asked.environ.get("HTTP_X_AMZ_TARGET"):
        json_of(asked)


def missing_member(asked: Asked) -> str:
    """A parameter that AWS requires and a request of the JSON protocol lacks; empty: none, or another protocol."""
    if not asked.environ.get("HTTP_X_AMZ_TARGET"):
        return ""
    shape = query_protocol.operation_of(asked.service, asked.action).input_shape
    given = json_of(asked)
    return next((name for name in shape.required_members if given.get(name) is None), "") if shape else ""


def json_of(asked: Asked) -> dict[str, Any]:
    """The body; SerializationException."""
    asked.body.seek(0)
    try:
        found = json.loads(asked.body.read(FORM_BYTES_MAX) or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", f"The body is not JSON: {error}") from error
    finally:
        asked.body.seek(0)
    if not isinstance(found, dict):
        raise AwsError("SerializationException", "The body is not a JSON object.")
    return found


def headers_of(environ: Environ) -> dict[str, str]:
    """A request's headers, their names in lower case."""
    found = {key[5:].replace("_", "-").lower(): str(value) for key, value in environ.items() if key.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            found[name.replace("_", "-").lower()] = str(environ[name])
    return found


def digest(body: Any) -> str:
    """The sha256 of a body, in hex; the body is at its beginning again."""
    body.seek(0)
    found = hashlib.file_digest(body, "sha256").hexdigest()
    body.seek(0)
    return found
