"""Whatever comes over HTTP, in every protocol of AWS: an answer in the form of the service, never a page for people, never none.

The front is these tests' own: what they send may well delete its network. The examples are the same in every run.
"""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import botocore.loaders
import httpx
import pytest
from botocore.model import ServiceModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud import ports
from tests.localcloud_aws.front import FrontProcess
from tests.localcloud_aws.test_protocols import headers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ANSWER_S_MAX = 60.0
CLIENT = httpx.Client(timeout=ANSWER_S_MAX, trust_env=False)
ODD = [
    "",
    "-1",
    "0",
    "1",
    "true",
    "9" * 30,
    "nan",
    "1e400",
    "a" * 300,
    "arn:aws:iam::1:role/x",
    "i-1",
    "%00",
    "\u2603",
    "<a>",
    "$Latest",
]
EXAMPLES = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def front(server_directory: Path) -> Iterator[FrontProcess]:
    one = FrontProcess(ports.choose(), server_directory / "aws-fuzz.log")
    one.start()
    yield one
    one.stop()


@lru_cache(maxsize=16)
def model_of(service: str) -> ServiceModel:
    return ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"), service)


def actions_of(service: str) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(model_of(service).operation_names)) | st.text(max_size=12)


def fields_of(service: str, action: str) -> list[str]:
    """The parameters of an action, and some that it does not have."""
    model = model_of(service)
    shape = model.operation_model(action).input_shape if action in model.operation_names else None
    return [*(shape.members if shape is not None else ()), "Nothing", "Filter.1.Name", "Tags.member.1.Key"]


texts = st.sampled_from(ODD) | st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Name", "Key", "Value", "x"]), inner),
    max_leaves=6,
)


def sent(method: str, url: str, content: bytes, sending: Mapping[str, str]) -> httpx.Response:
    answer = CLIENT.request(method, url, content=content, headers=dict(sending))
    start = answer.content.lstrip()[:9].lower()
    assert start not in {b"<!doctype", b"<html"}, answer.text[:300]
    assert not start.startswith(b"<html"), answer.text[:300]
    return answer


def check_xml(answer: httpx.Response) -> None:
    if answer.status_code >= 400:
        codes = [one.text for one in ET.fromstring(answer.content).iter() if one.tag.rpartition("}")[2] == "Code"]
        assert codes, answer.text[:300]
        assert all(codes), answer.text[:300]
    elif answer.content:
        ET.fromstring(answer.content)


def check_json(answer: httpx.Response) -> None:
    if answer.status_code >= 400:
        assert json.loads(answer.content).get("__type"), answer.text[:300]


@pytest.mark.parametrize(
    ("service", "signed_as", "version"),
    [
        ("autoscaling", "autoscaling", "2011-01-01"),
        ("ec2", "ec2", "2016-11-15"),
        ("iam", "iam", "2010-05-08"),
        ("sts", "sts", "2011-06-15"),
        ("elbv2", "elasticloadbalancing", "2015-12-01"),
    ],
)
def test_query_and_ec2(front: FrontProcess, service: str, signed_as: str, version: str) -> None:
    @EXAMPLES
    @given(st.data())
    def try_it(data: st.DataObject) -> None:
        action = data.draw(actions_of(service))
        names = st.sampled_from(fields_of(service, action)) | texts
        suffixes = st.sampled_from(["", ".1", ".member.1", ".1.Name", ".member.1.Key", ".0", ".x"])
        form = data.draw(st.dictionaries(st.tuples(names, suffixes).map("".join), texts, max_size=6))
        content = urlencode({"Action": action, "Version": version, **form}).encode()
        kind = "application/x-www-form-urlencoded; charset=utf-8"
        check_xml(sent("POST", front.url, content, headers(signed_as, kind)))

    try_it()


@pytest.mark.parametrize(
    ("service", "signed_as", "target", "version"),
    [
        ("ssm", "ssm", "AmazonSSM", "1.1"),
        ("logs", "logs", "Logs_20140328", "1.1"),
        ("pricing", "pricing", "AWSPriceListService", "1.1"),
        ("cloudwatch", "monitoring", "GraniteServiceVersion20100801", "1.0"),
    ],
)
def test_json(front: FrontProcess, service: str, signed_as: str, target: str, version: str) -> None:
    @EXAMPLES
    @given(st.data())
    def try_it(data: st.DataObject) -> None:
        action = data.draw(actions_of(service))
        names = st.sampled_from(fields_of(service, action))
        body = data.draw(
            st.dictionaries(names, values, max_size=5).map(json.dumps).map(str.encode) | st.binary(max_size=40)
        )
        more = {"X-Amz-Target": quote(f"{target}.{action}")}
        check_json(sent("POST", front.url, body, headers(signed_as, f"application/x-amz-json-{version}", **more)))

    try_it()


SUBRESOURCES = [
    "",
    "versioning",
    "policy",
    "tagging",
    "acl",
    "uploads",
    "uploadId=x",
    "delete",
    "list-type=2",
    "location",
    "cors",
    "versions",
]


def test_rest_xml(front: FrontProcess) -> None:
    front.client("s3").create_bucket(Bucket="there")

    @EXAMPLES
    @given(
        st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS"]),
        st.sampled_from(["/", "/there", "/there/", "/there/key", "/nowhere", "/nowhere/key"])
        | st.text(max_size=10).map("/".__add__),
        st.sampled_from(SUBRESOURCES) | texts,
        st.sampled_from([b"", b"<", b"<a/>", b"{}", b"<Delete><Object/></Delete>"]) | st.binary(max_size=40),
    )
    def try_it(method: str, path: str, query: str, content: bytes) -> None:
        url = f"{front.url}{quote(path)}?{quote(query, safe='=&')}"
        answer = sent(method, url, content, headers("s3", "application/xml"))
        if method not in {"HEAD", "OPTIONS"} and answer.status_code >= 400:
            check_xml(answer)

    try_it()


def test_rest_json(front: FrontProcess) -> None:
    @EXAMPLES
    @given(
        st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH"]),
        st.sampled_from(["lambda", "apigateway", "batch", "eks", "nothing"]),
        st.sampled_from(["/", "/2015-03-31/functions/x", "/clusters", "/restapis"])
        | st.text(max_size=10).map("/".__add__),
        values.map(json.dumps).map(str.encode) | st.binary(max_size=40),
    )
    def try_it(method: str, service: str, path: str, content: bytes) -> None:
        check_json(sent(method, f"{front.url}{quote(path)}", content, headers(service, "application/json")))

    try_it()


def test_the_stand_ins_own_paths(front: FrontProcess) -> None:
    parts = [
        "",
        "health",
        "machines",
        "faults",
        "network",
        "reachable",
        "internet",
        "imds",
        "i-1",
        "latest",
        "api",
        "token",
    ]

    @EXAMPLES
    @given(
        st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
        st.lists(st.sampled_from(parts) | st.text(max_size=6), max_size=4),
        st.dictionaries(st.sampled_from(["source", "target", "port", "ip", "subnet"]), texts, max_size=3),
        st.fixed_dictionaries({"kind": st.sampled_from(["throttle", "slow-disk", "x"])}, optional={"seconds": values})
        .map(json.dumps)
        .map(str.encode)
        | st.binary(max_size=40),
    )
    def try_it(method: str, path: list[str], query: dict[str, Any], content: bytes) -> None:
        url = f"{front.url}/_localcloud/{quote('/'.join(path))}?{urlencode(query)}"
        answer = sent(method, url, content, {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        assert answer.status_code < 500, answer.text[:300]
        front.ask("faults", "DELETE")

    try_it()
