"""Policies, conditions and signatures without a server: tables after the IAM user guide."""

import hashlib
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from localcloud.aws.iam import signature
from localcloud.aws.iam.policy import Effect, Question, evaluate, evaluate_trust
from localcloud.aws.iam.resources import Call, s3_subject
from localcloud.aws.iam.signature import Received

READ = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::own/*"}
OBJECT = "arn:aws:s3:::own/a"
POLICIES = [
    ("allowed", [READ], "s3:GetObject", OBJECT, Effect.ALLOWED),
    ("action in any case", [{**READ, "Action": "S3:getobject"}], "s3:GetObject", OBJECT, Effect.ALLOWED),
    ("other action", [READ], "s3:PutObject", OBJECT, Effect.SILENT),
    ("other resource", [READ], "s3:GetObject", "arn:aws:s3:::others/a", Effect.SILENT),
    ("resource's case counts", [READ], "s3:GetObject", "arn:aws:s3:::Own/a", Effect.SILENT),
    (
        "explicit deny",
        [READ, {"Effect": "Deny", "Action": "*", "Resource": "*"}],
        "s3:GetObject",
        OBJECT,
        Effect.DENIED,
    ),
    ("deny first", [{"Effect": "Deny", "Action": "*", "Resource": "*"}, READ], "s3:GetObject", OBJECT, Effect.DENIED),
    ("all but", [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], "s3:GetObject", OBJECT, Effect.ALLOWED),
    (
        "all but this",
        [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}],
        "s3:GetObject",
        OBJECT,
        Effect.SILENT,
    ),
    (
        "not resource",
        [{"Effect": "Allow", "Action": "*", "NotResource": OBJECT}],
        "s3:GetObject",
        OBJECT,
        Effect.SILENT,
    ),
    ("no resource", [{"Effect": "Allow", "Action": "s3:*"}], "s3:GetObject", OBJECT, Effect.SILENT),
    (
        "unknown operator of a deny",
        [READ, {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringSomehow": {"a": "b"}}}],
        "s3:GetObject",
        OBJECT,
        Effect.DENIED,
    ),
    (
        "unknown operator of an allow",
        [{**READ, "Condition": {"StringSomehow": {"a": "b"}}}],
        "s3:GetObject",
        OBJECT,
        Effect.SILENT,
    ),
    (
        "variable",
        [{**READ, "Resource": "arn:aws:s3:::${aws:PrincipalTag/team}/*"}],
        "s3:GetObject",
        OBJECT,
        Effect.ALLOWED,
    ),
    (
        "variable without value",
        [{**READ, "Resource": "arn:aws:s3:::own/${aws:nothing}*"}],
        "s3:GetObject",
        OBJECT,
        Effect.SILENT,
    ),
]
CONTEXT = {
    "aws:principaltag/team": ("own",),
    "aws:sourceip": ("10.1.2.3",),
    "aws:currenttime": ("2026-03-01T00:00:00Z",),
    "aws:tagkeys": ("team", "cost"),
    "s3:max-keys": ("10",),
    "aws:securetransport": ("false",),
    "aws:principalarn": ("arn:aws:iam::1:role/web",),
}
CONDITIONS: list[tuple[str, dict[str, Any], bool]] = [
    ("equals", {"StringEquals": {"aws:PrincipalTag/team": ["x", "own"]}}, True),
    ("equals not", {"StringEquals": {"aws:PrincipalTag/team": "x"}}, False),
    ("not equals", {"StringNotEquals": {"aws:PrincipalTag/team": ["x", "y"]}}, True),
    ("not equals one of them", {"StringNotEquals": {"aws:PrincipalTag/team": ["x", "own"]}}, False),
    ("like", {"StringLike": {"aws:PrincipalTag/team": "o?n*"}}, True),
    ("ignore case", {"StringEqualsIgnoreCase": {"aws:PrincipalTag/team": "OWN"}}, True),
    ("missing key", {"StringEquals": {"aws:nothing": "x"}}, False),
    ("missing key, negated", {"StringNotEquals": {"aws:nothing": "x"}}, True),
    ("missing key, if exists", {"StringEqualsIfExists": {"aws:nothing": "x"}}, True),
    ("null", {"Null": {"aws:nothing": "true"}}, True),
    ("not null", {"Null": {"aws:sourceip": False}}, True),
    ("ip", {"IpAddress": {"aws:SourceIp": "10.1.0.0/16"}}, True),
    ("not ip", {"NotIpAddress": {"aws:SourceIp": "10.1.0.0/16"}}, False),
    ("date", {"DateGreaterThan": {"aws:CurrentTime": "2026-02-01T00:00:00Z"}}, True),
    ("date over", {"DateLessThan": {"aws:CurrentTime": "2026-02-01T00:00:00Z"}}, False),
    ("number", {"NumericLessThanEquals": {"s3:max-keys": "10"}}, True),
    ("no number", {"NumericLessThan": {"s3:max-keys": "many"}}, False),
    ("bool", {"Bool": {"aws:SecureTransport": "false"}}, True),
    ("arn", {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}, True),
    ("arn over colons", {"ArnLike": {"aws:PrincipalArn": "arn:*"}}, False),
    ("any value", {"ForAnyValue:StringEquals": {"aws:TagKeys": "cost"}}, True),
    ("all values", {"ForAllValues:StringEquals": {"aws:TagKeys": ["cost", "team", "x"]}}, True),
    ("not all values", {"ForAllValues:StringEquals": {"aws:TagKeys": ["cost"]}}, False),
    ("all values of none", {"ForAllValues:StringEquals": {"aws:nothing": ["cost"]}}, True),
    ("any value of none", {"ForAnyValue:StringEquals": {"aws:nothing": ["cost"]}}, False),
    ("two keys", {"StringEquals": {"aws:PrincipalTag/team": "own", "aws:SourceIp": "x"}}, False),
    (
        "two operators",
        {"StringEquals": {"aws:PrincipalTag/team": "own"}, "Bool": {"aws:SecureTransport": "true"}},
        False,
    ),
]


@pytest.mark.parametrize(
    ("statements", "action", "resource", "effect"), [row[1:] for row in POLICIES], ids=[row[0] for row in POLICIES]
)
def test_policies(statements: list[dict[str, Any]], action: str, resource: str, effect: Effect) -> None:
    assert evaluate([{"Statement": statements}], Question(action, resource, CONTEXT)) is effect


@pytest.mark.parametrize(("block", "holds"), [row[1:] for row in CONDITIONS], ids=[row[0] for row in CONDITIONS])
def test_conditions(block: dict[str, Any], holds: bool) -> None:
    question = Question("s3:GetObject", OBJECT, CONTEXT)
    found = evaluate([{"Statement": {**READ, "Condition": block}}], question)
    assert found is (Effect.ALLOWED if holds else Effect.SILENT)


@pytest.mark.parametrize("document", ["", "{}", "[]", '{"Statement": ["x"]}', '{"Statement": 7}'])
def test_what_is_no_policy_allows_nothing(document: str) -> None:
    question = Question("s3:GetObject", OBJECT, CONTEXT)
    assert evaluate([document, {"Statement": READ}], question) is Effect.DENIED


def test_a_trust_policy_names_who_may_take_the_role() -> None:
    trust = {
        "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::1:role/a"}}
    }
    question = Question("sts:AssumeRole", "arn:aws:iam::1:role/b", {})
    assert evaluate_trust(trust, question, {"AWS": {"arn:aws:iam::1:role/a"}}) is Effect.ALLOWED
    assert evaluate_trust(trust, question, {"AWS": {"arn:aws:iam::1:role/c"}}) is Effect.SILENT
    assert evaluate_trust(trust, question, {"Service": {"ec2.amazonaws.com"}}) is Effect.SILENT


@pytest.mark.parametrize(
    ("method", "path", "query", "action", "resource"),
    [
        ("GET", "/b/k", "", "GetObject", "arn:aws:s3:::b/k"),
        ("GET", "/b/k%20x", "", "GetObject", "arn:aws:s3:::b/k x"),
        ("GET", "/b/k", "versionId=1", "GetObjectVersion", "arn:aws:s3:::b/k"),
        ("PUT", "/b/k", "partNumber=1&uploadId=x", "PutObject", "arn:aws:s3:::b/k"),
        ("GET", "/b", "list-type=2&prefix=x", "ListBucket", "arn:aws:s3:::b"),
        ("HEAD", "/b", "", "ListBucket", "arn:aws:s3:::b"),
        ("PUT", "/b", "policy", "PutBucketPolicy", "arn:aws:s3:::b"),
        ("GET", "/b", "versions", "ListBucketVersions", "arn:aws:s3:::b"),
        ("PUT", "/b", "", "CreateBucket", "arn:aws:s3:::b"),
        ("GET", "/", "", "ListAllMyBuckets", "*"),
    ],
)
def test_what_a_call_of_s3_is_about(method: str, path: str, query: str, action: str, resource: str) -> None:
    assert s3_subject(Call("s3", "", {}, method, path, query, b"")) == (action, (resource,))


@pytest.mark.parametrize(
    ("service", "method", "url", "body"),
    [
        ("ssm", "POST", "/", b'{"Name": "x"}'),
        ("autoscaling", "POST", "/", b"Action=DescribeTags&Version=2011-01-01"),
        ("s3", "GET", "/bucket/a%20b%2Bc?list-type=2&prefix=a%2Fb&empty=", b""),
        ("iam", "GET", "/a%20b//c?z=1&a=%20b", b""),
    ],
)
def test_what_botocore_has_signed_is_genuine_and_nothing_else(service: str, method: str, url: str, body: bytes) -> None:
    request = AWSRequest(
        method=method, url=f"http://127.0.0.1:5000{url}", data=body, headers={"Host": "127.0.0.1:5000"}
    )
    request.context["payload_signing_enabled"] = True
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(Credentials("AKIA1", "secret", "token"), service, "us-east-1").add_auth(request)
    sent = request.prepare()
    path, _, query = sent.url.removeprefix("http://127.0.0.1:5000").partition("?")
    headers = {name.lower(): text_of(value) for name, value in sent.headers.items()}
    received = Received(method, path, query, headers, hashlib.sha256(body).hexdigest())
    signed = signature.read(received)
    assert signed is not None
    assert (signed.key_id, signed.token, signed.service) == ("AKIA1", "token", service)
    assert signature.is_genuine(signed, received, "secret")
    assert not signature.is_genuine(signed, received, "other")
    forged = Received(method, path + "x", query, headers, received.body_sha256)
    assert not signature.is_genuine(signed, forged, "secret")
    changed = Received(method, path, query, headers, hashlib.sha256(b"other").hexdigest())
    assert not signature.is_genuine(signed, changed, "secret")


def text_of(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
