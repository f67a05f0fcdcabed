"""The front: one WSGI application that is the endpoint of every AWS service.

A request's service is named in its signature. Auto Scaling goes to our model; machines' metadata and the control API
are paths of their own; everything else goes to moto. Whatever goes wrong is answered in the error format of the
service's own protocol. A request's body is read whole before any lock is taken.
"""

import logging
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.model import OperationNotFoundError

from localcloud.aws import imds, query_protocol, wire_errors
from localcloud.aws.cloud import Cloud, new_id
from localcloud.aws.control_api import ControlApi
from localcloud.aws.errors import AwsError
from localcloud.aws.iam import principals
from localcloud.aws.iam.resources import Call
from localcloud.aws.iam.signature import Received
from localcloud.aws.moto_services import is_read
from localcloud.aws.pricing import price_list, spot_history
from localcloud.aws.request import (
    CREDENTIAL,
    FORM_BYTES_MAX,
    Asked,
    Environ,
    check_form,
    check_json,
    digest,
    headers_of,
    missing_member,
    recognise,
    take_body,
)

log = logging.getLogger(__name__)
CONTROL_PREFIX = "/_localcloud/"
JSON = "application/x-amz-json-1.1"
ERROR_STATUS_MIN = 400
FOLLOWED = ("RunInstances", "TerminateInstances", "StopInstances", "StartInstances", "RebootInstances")
MOTO_NAMES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}
StartResponse = Callable[..., Any]


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
                answer = self._control.reply(
                    environ["REQUEST_METHOD"], path, body.read(FORM_BYTES_MAX), environ.get("QUERY_STRING", "")
                )
                return respond(start_response, answer.status, answer.body, answer.content_type)
            reply = self._obey(Asked(service, action, form, environ, body, request_id))
        except AwsError as error:
            failure = error
        except ConnectionError:
            raise  # the reply is lost: the server closes the connection
        except NotImplementedError as error:
            failure = AwsError("InvalidAction", f"{service} {action} is not offered by this stand-in: {error}")
        except Exception:
            log.exception("%s %s failed", service, action)
            failure = AwsError("InternalFailure", "The request failed inside this stand-in; its log says why.", 500)
        else:
            start_response(reply.status, reply.headers)
            return [reply.content]
        text, content_type = wire_errors.write(service, failure, request_id)
        return respond(start_response, failure.status, text, content_type)

    def _obey(self, asked: Asked) -> "Reply":
        """Do what is asked, as far as faults and permissions let it."""
        plight = self._cloud.faults.check_call(asked.service, asked.action, asked.form)
        if plight.delay_s:
            time.sleep(plight.delay_s)
        self._check_access(asked)
        check_form(asked)
        check_json(asked)
        reply = self._answer(asked)
        if plight.reply_lost:
            hang_up(asked.environ)
        if plight.error_after:
            raise AwsError("InternalFailure", "An internal error occurred.", 500)
        return reply

    def _answer(self, asked: Asked) -> "Reply":
        """By whoever knows: our models, or moto."""
        match asked.service, asked.action:
            case query_protocol.SERVICE, _:
                return self._auto_scaling(asked)
            case price_list.SERVICE, action:
                return whole("200 OK", price_list.reply(action, asked.body.read(FORM_BYTES_MAX)), JSON)
            case "ec2", "GetConsoleOutput":
                said = self._cloud.direct.console_answer(asked.form.get("InstanceId", ""), asked.id)
                return whole("200 OK", said, "text/xml")
            case "ec2", "DescribeSpotPriceHistory":
                zones, factor = self._cloud.services.zones(), self._cloud.faults.spot_factor
                return whole("200 OK", spot_history.answer(asked.form, zones, factor, asked.id), "text/xml")
            case "elasticloadbalancing", "DescribeTargetHealth":
                return self._target_health(asked)
            case "elasticloadbalancing", "CreateTargetGroup" | "ModifyTargetGroup":  # its checks rely on the bounds
                query_protocol.parse(query_protocol.operation_of(MOTO_NAMES[asked.service], asked.action), asked.form)
                return self._moto(asked)
            case "monitoring", action if action.startswith("DescribeAlarms"):
                self._cloud.alarms.judge_all()
                return self._moto(asked)
            case _:
                return self._moto(asked)

    def _check_access(self, asked: Asked) -> None:
        """AwsError when whoever signed the request may not make it."""
        access, environ = self._cloud.access, asked.environ
        if not access.looks_at(asked.service, asked.action):
            return
        target, _, query = str(environ.get("REQUEST_URI") or environ.get("PATH_INFO", "/")).partition("?")
        path = urlsplit(target).path if "://" in target else target
        query, method = query or str(environ.get("QUERY_STRING", "")), str(environ["REQUEST_METHOD"])
        content = asked.body.read(FORM_BYTES_MAX) if environ.get("HTTP_X_AMZ_TARGET") else b""
        received = Received(method, path, query, headers_of(environ), digest(asked.body))
        access.check(received, Call(asked.service, asked.action, asked.form, method, path, query, content))

    def _auto_scaling(self, asked: Asked) -> "Reply":
        action = asked.action
        found = CREDENTIAL.search(asked.environ.get("HTTP_AUTHORIZATION", ""))
        if found and found[1] != self._cloud.settings.region:
            raise AwsError(
                "ValidationError", f"Groups are kept in {self._cloud.settings.region} only, not in {found[1]}"
            )
        model = query_protocol.operation(action)
        parameters = query_protocol.parse(model, asked.form) if model else {}
        answer = self._cloud.call(action, parameters, known=model is not None)
        if model is None:
            raise AssertionError(f"{action} was answered but is unknown")
        return whole("200 OK", query_protocol.answer(model, answer, asked.id), "text/xml")

    def _moto(self, asked: Asked) -> "Reply":
        service, action, form, environ = asked.service, asked.action, asked.form, asked.environ
        asked.body.seek(0)
        seen: list[tuple[str, list[tuple[str, str]]]] = []

        def keep(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            seen.append((status, headers))

        name = MOTO_NAMES.get(service, service)
        changed = not is_read(name, action, environ["REQUEST_METHOD"])
        view = nullcontext() if changed else self._cloud.late.reading(name)
        with self._cloud.services.lock_of(name), view:
            if action == "DeleteSecurityGroup" and form.get("GroupId"):
                self._cloud.compute.check_unused(form["GroupId"])
            parts = self._ask_moto(asked, keep)
            content = b"".join(parts)
            succeeded = bool(seen) and seen[-1][0].startswith("2")
            if service == "ec2" and action == "RunInstances" and succeeded:
                content = self._cloud.direct.adopt(content)
            if changed:
                self._cloud.services.mark({name} | ({"ec2", "elb"} if name == "elbv2" else set()))
            if service == "sts" and action == "AssumeRole" and succeeded:
                principals.note_session(self._cloud.services, form)
        status, headers = seen[-1]
        if changed:
            self._cloud.save_services()
            if succeeded:
                self._follow_machines(service, action, form)
        if is_formless(status, headers, content) and environ["REQUEST_METHOD"] != "HEAD":
            raise not_understood(service, action, status)
        headers = [(key, value) for key, value in headers if key.lower() != "content-length"]
        return Reply(status, [*headers, ("Content-Length", str(len(content)))], content)

    def _ask_moto(self, asked: Asked, start_response: StartResponse) -> Iterable[bytes]:
        """Its answer, or the refusal where it breaks at what AWS refuses."""
        try:
            parts: Iterable[bytes] = self._cloud.services.application(asked.environ, start_response)
        except OperationNotFoundError as error:
            raise AwsError("InvalidAction", f"The action {asked.action} is not valid for this web service.") from error
        except (AttributeError, KeyError, TypeError) as error:  # it takes for granted what AWS requires
            if not (name := missing_member(asked)):
                raise
            raise AwsError("ValidationException", f"{asked.action}: {name} is required") from error
        return parts

    def _follow_machines(self, service: str, action: str, form: dict[str, str]) -> None:
        """EC2 calls that change an instance's state behind its group's back reach the machine, and the group."""
        if service in MOTO_NAMES:
            self._cloud.hurry()  # a target may have to be checked
        if service != "ec2" or action not in FOLLOWED:
            return
        for key, instance_id in form.items():
            if key.startswith("InstanceId."):
                match action:
                    case "TerminateInstances":
                        self._cloud.machines.end(instance_id)
                    case "StopInstances":
                        self._cloud.machines.stop(instance_id)
                    case "StartInstances":
                        self._cloud.direct.start_again(instance_id)
                    case _:
                        pass
                self._cloud.machine_changed(instance_id)
        self._cloud.hurry()

    def _target_health(self, asked: Asked) -> "Reply":
        model = query_protocol.operation_of(MOTO_NAMES[asked.service], asked.action)
        parameters = query_protocol.parse(model, asked.form)
        found = self._cloud.checks.describe(parameters["TargetGroupArn"], parameters.get("Targets") or [])
        answer = query_protocol.answer(model, {"TargetHealthDescriptions": found}, asked.id)
        return whole("200 OK", answer, "text/xml")

    def _metadata(self, path: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        reply = self._cloud.metadata.reply(environ["REQUEST_METHOD"], path.removeprefix(imds.PREFIX), environ)
        if reply.lost:
            hang_up(environ)
        extra = (
            [("X-aws-ec2-metadata-token-ttl-seconds", str(reply.token_ttl_s))] if reply.token_ttl_s is not None else []
        )
        return respond(start_response, reply.status, reply.body, reply.content_type, extra)


@dataclass(slots=True, frozen=True)
class Reply:
    """An answer that is ready to go."""

    status: str
    headers: list[tuple[str, str]]
    content: bytes


def whole(status: str, text: str, content_type: str) -> Reply:
    """An answer of text."""
    content = text.encode()
    return Reply(status, [("Content-Type", content_type), ("Content-Length", str(len(content)))], content)


def hang_up(environ: Environ) -> None:
    """Close the connection without an answer; raises ConnectionError, which ends the request."""
    if connection := environ.get("werkzeug.socket"):
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("this reply does not arrive")


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


def is_formless(status: str, headers: Iterable[tuple[str, str]], content: bytes) -> bool:
    """Whether moto refused with nothing, or with a page for people."""
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    page = "html" in kind and content.lstrip()[:9].lower() in {b"<!doctype", b"<html"}
    return (page or not content.strip()) and int(status.split(maxsplit=1)[0]) >= ERROR_STATUS_MIN


def not_understood(service: str, action: str, status: str) -> AwsError:
    """The error in the place of such an answer."""
    if not action and service != "s3":
        return AwsError("MissingAction", f"The request to {service or 'no service'} names no action.")
    if status.startswith("5") and service == "s3":
        return AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate.")
    return AwsError(
        "InvalidAction", f"{service} {action} is not offered by this stand-in, or not with such parameters."
    )
