"""Whatever is sent, each service answers in the form of its own protocol, in time: never a page for people, never a hung call."""

import http.client
import json
import random
import socket
import xml.etree.ElementTree as ET
from typing import Any

import httpx
import pytest

from tests.localcloud_aws.front import FrontProcess

ANSWER_S_MAX = 60.0
CLIENT = httpx.Client(timeout=ANSWER_S_MAX, trust_env=False)  # making one costs more than all that it sends
QUERY = {"autoscaling": "2011-01-01", "iam": "2010-05-08", "sts": "2011-06-15", "elasticloadbalancing": "2015-12-01"}
ACTIONS = {
    "autoscaling": "CreateAutoScalingGroup",
    "iam": "CreateRole",
    "sts": "AssumeRole",
    "elasticloadbalancing": "CreateTargetGroup",
    "ec2": "RunInstances",
}
TARGETS = {"ssm": "AmazonSSM", "logs": "Logs_20140328", "monitoring": "GraniteServiceVersion20100801"}
BODIES = [
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"%%%",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b'{"Name": 7}',
    b'{"Name": {"a": [1, 2]}}',
    b"<xml",
    b"a" * 100_000,
    b"[" * 20_000,
    b"Action=",
    b"Action=%ff&Version=1",
    b"Action=A&Action=B",
    "Action=Ünicode".encode(),
]


def headers(service: str, content_type: str, **more: str) -> dict[str, str]:
    scope = f"Credential=AKIATEST/20260101/us-east-1/{service}/aws4_request"
    signature = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"
    return {"Authorization": signature, "Content-Type": content_type, **more}


def post(front: FrontProcess, content: bytes, sent: dict[str, str], **more: Any) -> httpx.Response:
    method = more.pop("method", "POST")
    return CLIENT.request(method, front.url + more.pop("path", "/"), content=content, headers=sent)


def is_error_in_xml(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 600, answer.text[:300]
    assert "html" not in answer.text[:200].lower(), answer.text[:300]
    codes = [one.text for one in ET.fromstring(answer.text).iter() if one.tag.rpartition("}")[2] == "Code"]
    assert codes, answer.text[:300]
    assert all(codes), answer.text[:300]


def is_error_in_json(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 600, answer.text[:300]
    assert json.loads(answer.text)["__type"], answer.text[:300]


@pytest.mark.parametrize("service", [*QUERY, "ec2"])
def test_an_unknown_action_of_a_query_service(localcloud_aws: FrontProcess, service: str) -> None:
    form = headers(service, "application/x-www-form-urlencoded")
    answer = post(localcloud_aws, b"Action=DoSomethingElse&Version=2016-11-15", form)
    is_error_in_xml(answer)
    assert answer.status_code < 500, "a client would try a 5xx again"


@pytest.mark.parametrize("service", list(TARGETS))
def test_an_unknown_action_of_a_json_service(localcloud_aws: FrontProcess, service: str) -> None:
    sent = headers(service, "application/x-amz-json-1.1", **{"X-Amz-Target": f"{TARGETS[service]}.DoSomethingElse"})
    answer = post(localcloud_aws, b"{}", sent)
    is_error_in_json(answer)
    assert answer.status_code < 500, "a client would try a 5xx again"


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"{bad", "SerializationException"), (b"[1]", "SerializationException"), (b"{}", "ValidationException")],
)
def test_a_body_that_no_json_service_takes_is_refused_by_its_name(
    localcloud_aws: FrontProcess, content: bytes, code: str
) -> None:
    sent = headers("ssm", "application/x-amz-json-1.1", **{"X-Amz-Target": "AmazonSSM.GetParameter"})
    answer = post(localcloud_aws, content, sent)
    assert (answer.status_code, json.loads(answer.text)["__type"]) == (400, code)


@pytest.mark.parametrize("service", [*QUERY, "ec2"])
def test_bodies_that_are_no_form(localcloud_aws: FrontProcess, service: str) -> None:
    for content in BODIES:
        for kind in ("application/x-www-form-urlencoded", "text/plain"):
            is_error_in_xml(post(localcloud_aws, content, headers(service, kind)))


@pytest.mark.parametrize("service", list(TARGETS))
def test_bodies_that_are_no_json(localcloud_aws: FrontProcess, service: str) -> None:
    target = {"X-Amz-Target": f"{TARGETS[service]}.{'GetParameter' if service == 'ssm' else 'GetMetricData'}"}
    for content in BODIES:
        is_error_in_json(post(localcloud_aws, content, headers(service, "application/x-amz-json-1.1", **target)))


@pytest.mark.parametrize("service", list(ACTIONS))
def test_parameters_of_any_kind(localcloud_aws: FrontProcess, service: str) -> None:
    chance = random.Random(service)
    values = ["", "-1", "9" * 30, "a" * 5000, "%00", "true", "arn:aws:x", "\u2603", "<a>&amp;", "1e400", "nan"]
    names = [
        "MinSize",
        "MaxSize",
        "InstanceId.1",
        "Tags.member.1.Key",
        "RoleName",
        "MinCount",
        "Tags.member.x",
        "Filter.1.Name",
    ]
    names += [
        "AutoScalingGroupName",
        "LaunchTemplate.Version",
        "RoleArn",
        "DurationSeconds",
        "Port",
        "MaxCount",
        "ImageId",
    ]
    for _ in range(25):
        chosen = chance.sample(names, 5)
        fields = "&".join(f"{name}={httpx.QueryParams({'v': chance.choice(values)}).get('v')}" for name in chosen)
        content = f"Action={ACTIONS[service]}&Version={QUERY.get(service, '2016-11-15')}&{fields}".encode()
        answer = post(localcloud_aws, content, headers(service, "application/x-www-form-urlencoded"))
        if answer.is_success:
            assert ET.fromstring(answer.text).tag.endswith("Response")
        else:
            is_error_in_xml(answer)


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("GET", "/no-such-bucket", b""),
        ("GET", "/no-such-bucket/key", b""),
        ("POST", "/no-such-bucket?delete", b"<Delete><Obj"),
        ("PUT", "/no-such-bucket?versioning", b"not xml"),
        ("PATCH", "/no-such-bucket", b""),
        ("POST", "/no-such-bucket/key?uploadId=x", b"<"),
        ("GET", "/%ff%fe/%00", b""),
    ],
)
def test_what_s3_does_not_understand(localcloud_aws: FrontProcess, method: str, path: str, content: bytes) -> None:
    is_error_in_xml(post(localcloud_aws, content, headers("s3", ""), method=method, path=path))


@pytest.mark.parametrize("length", ["-5", "many", "99999999999999"])
def test_a_length_that_is_none(localcloud_aws: FrontProcess, length: str) -> None:
    sent = headers("ec2", "application/x-www-form-urlencoded") | {"Content-Length": length, "Host": "localhost"}
    head = "POST / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent.items()) + "\r\n"
    with socket.create_connection(("127.0.0.1", localcloud_aws.port), timeout=ANSWER_S_MAX) as connection:
        connection.sendall(head.encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert 400 <= answer.status < 500
        assert b"<Code>" in answer.read()


def test_a_service_that_there_is_not(localcloud_aws: FrontProcess) -> None:
    answer = post(
        localcloud_aws, b"{}", headers("telepathy", "application/x-amz-json-1.1", **{"X-Amz-Target": "Mind.Read"})
    )
    is_error_in_json(answer)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "nothing"), ("POST", "faults"), ("PUT", "machines"), ("POST", "machines/i-1/crash"), ("GET", "network/x")],
)
def test_the_control_api_refuses_in_json(localcloud_aws: FrontProcess, method: str, path: str) -> None:
    answer = post(localcloud_aws, b"[]", {}, method=method, path=f"/_localcloud/{path}")
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]
