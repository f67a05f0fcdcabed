"""The front: one WSGI application that is the endpoint of every AWS service.

A request's service is named in its signature. Auto Scaling goes to our model; machines' metadata and the control API
are paths of their own; everything else goes to moto. Whatever goes wrong is answered in the error format of the
service's own protocol. A request's body is read whole before any lock is taken.
"""

import logging
import re
import tempfile
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from localcloud.aws import imds, query_protocol, wire_errors
from localcloud.aws.cloud import Cloud, new_id
from localcloud.aws.control_api import ControlApi
from localcloud.aws.errors import AwsError
from localcloud.aws.moto_services import is_read

log = logging.getLogger(__name__)
CONTROL_PREFIX = "/_localcloud/"
BODY_BYTES_MAX = 1 << 30
BODY_IN_MEMORY_MAX = 8 << 20
COPY_BYTES = 1 << 20
FORM_BYTES_MAX = 4 << 20
HTML_STATUS_MIN = 400
CREDENTIAL = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/([^/]+)/aws4_request")
AUTO_SCALING_VERSION = "2011-01-01"
STATES_OF_MACHINES = {
    "TerminateInstances": "end",
    "StopInstances": "stop",
    "StartInstances": "",
    "RebootInstances": "",
}
MOTO_NAMES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}
StartResponse = Callable[..., Any]
Environ = dict[str, Any]


class Front:
    """The WSGI application."""

    def __init__(self, cloud: Cloud) -> None:
        """`cloud` does the work."""
        self._cloud = cloud
        self._control = ControlApi(cloud)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        path = str(environ.get("PATH_INFO", "/"))
        if path.startswith(imds.PREFIX):
            return self._metadata(path, environ, start_response)
        service, action, request_id = "", "", new_id()
        try:
            body, length = take_body(environ)
            service, action, form = recognise(environ, body, length)
            if path.startswith(CONTROL_PREFIX):
                body.seek(0)
                answer = self._control.reply(environ["REQUEST_METHOD"], path, body.read(FORM_BYTES_MAX))
                return respond(start_response, answer.status, answer.body, answer.content_type)
            self._cloud.faults.check_call(service, action)
            if service == query_protocol.SERVICE:
                return self._auto_scaling(action, form, environ, request_id, start_response)
            return self._moto(service, action, form, environ, body, start_response)
        except AwsError as error:
            failure = error
        except NotImplementedError as error:
            failure = AwsError("InvalidAction", f"{service} {action} is not offered by this stand-in: {error}")
        except Exception:
            log.exception("%s %s failed", service, action)
            failure = AwsError("InternalFailure", "The request failed inside this stand-in; its log says why.", 500)
        text, content_type = wire_errors.write(service, failure, request_id)
        return respond(start_response, failure.status, text, content_type)

    def _auto_scaling(
        self, action: str, form: dict[str, str], environ: Environ, request_id: str, start_response: StartResponse
    ) -> Iterable[bytes]:
        found = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if found and found[1] != self._cloud.settings.region:
            raise AwsError(
                "ValidationError", f"Groups are kept in {self._cloud.settings.region} only, not in {found[1]}"
            )
        model = query_protocol.operation(action)
        parameters = query_protocol.parse(model, form) if model else {}
        answer = self._cloud.call(action, parameters, known=model is not None)
        if model is None:
            raise AssertionError(f"{action} was answered but is unknown")
        return respond(start_response, 200, query_protocol.answer(model, answer, request_id), "text/xml")

    def _moto(  # noqa: PLR0913  a request has that many sides
        self,
        service: str,
        action: str,
        form: dict[str, str],
        environ: Environ,
        body: Any,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        body.seek(0)
        seen: list[tuple[str, list[tuple[str, str]]]] = []

        def keep(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            seen.append((status, headers))

        name = MOTO_NAMES.get(service, service)
        with self._cloud.services.lock_of(name):
            if action == "DeleteSecurityGroup" and form.get("GroupId"):
                self._cloud.compute.check_unused(form["GroupId"])
            parts = self._cloud.services.application(environ, keep)
            content = b"".join(parts)
            changed = not is_read(name, action, environ["REQUEST_METHOD"])
            if changed:
                self._cloud.services.mark({name} | ({"ec2", "elb"} if name == "elbv2" else set()))
        status, headers = seen[-1]
        if changed:
            self._cloud.save_services()
            self._follow_machines(service, action, form)
        if is_html(status, headers, content):
            raise AwsError("InvalidAction", f"{service} {action} is not offered by this stand-in.")
        start_response(status, headers)
        return [content]

    def _follow_machines(self, service: str, action: str, form: dict[str, str]) -> None:
        """EC2 calls that change an instance's state behind its group's back reach the machine, and the group."""
        if service != "ec2" or action not in STATES_OF_MACHINES:
            return
        for key, instance_id in form.items():
            if key.startswith("InstanceId."):
                if verb := STATES_OF_MACHINES[action]:
                    getattr(self._cloud.machines, verb)(instance_id)
                self._cloud.machine_changed(instance_id)

    def _metadata(self, path: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        reply = self._cloud.metadata.reply(environ["REQUEST_METHOD"], path.removeprefix(imds.PREFIX), environ)
        extra = (
            [("X-aws-ec2-metadata-token-ttl-seconds", str(reply.token_ttl_s))] if reply.token_ttl_s is not None else []
        )
        return respond(start_response, reply.status, reply.body, reply.content_type, extra)


def respond(
    start_response: StartResponse,
    status: int,
    text: str,
    content_type: str,
    extra: Iterable[tuple[str, str]] = (),
) -> Iterable[bytes]:
    """A whole answer."""
    content = text.encode()
    reasons = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
    headers = [("Content-Type", content_type), ("Content-Length", str(len(content))), *extra]
    start_response(f"{status} {reasons.get(status, 'Answer')}", headers)
    return [content]


def take_body(environ: Environ) -> tuple[Any, int]:
    """The body, read whole, and its length; the request then reads it from memory or a temporary file."""
    body = tempfile.SpooledTemporaryFile(max_size=BODY_IN_MEMORY_MAX)  # noqa: SIM115  it lives as long as the request
    chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    left = BODY_BYTES_MAX if chunked else int(environ.get("CONTENT_LENGTH") or 0)
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


def is_html(status: str, headers: Iterable[tuple[str, str]], content: bytes) -> bool:
    """Whether moto answered with a page for people."""
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    page = "html" in kind and content.lstrip()[:9].lower() in {b"<!doctype", b"<html"}
    return page and int(status.split(maxsplit=1)[0]) >= HTML_STATUS_MIN
