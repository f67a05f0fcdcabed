"""Where a stack stands, the bundle store (S3), and join tokens (SSM). boto3 blocks: every call runs in a thread."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from services.provisioner.domain.group import Bundle
from services.provisioner.domain.group_stack import Site
from shared.aws.clients import aws_client, aws_error
from shared.domain.errors import InvalidInput, NotFound, Unavailable

TOKEN_BYTES = 32
READ_BYTES = 1024 * 1024
SUBNETS_MAX = 6
Result = TypeVar("Result")


async def _call(what: str, act: Callable[[], Result]) -> Result:
    try:
        return await asyncio.to_thread(act)
    except (BotoCoreError, ClientError) as e:
        raise aws_error(e, what) from e


class AwsSites:
    """`Sites`: what is configured; the default network for what is not. Looked up once."""

    def __init__(self, site: Site) -> None:
        """`site` with empty `vpc` or `subnets` is completed from the account."""
        self._site = site
        self._known: Site | None = None

    async def site(self) -> Site:
        """Network, image, bucket."""
        if self._known is None:
            self._known = await _call("default network", self._complete)
        return self._known

    def _complete(self) -> Site:
        ec2, given = aws_client("ec2"), self._site
        vpc, cidrs = given.vpc, given.ingress_cidrs
        vpcs = ec2.describe_vpcs(
            **({"VpcIds": [vpc]} if vpc else {"Filters": [{"Name": "isDefault", "Values": ["true"]}]})
        )["Vpcs"]
        if not vpcs:
            raise NotFound("default network: the account has none", remedy="set HEADRACE_VPC and HEADRACE_SUBNETS")
        subnets = given.subnets
        if not subnets:
            found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpcs[0]["VpcId"]]}])["Subnets"]
            subnets = tuple(sorted(s["SubnetId"] for s in found)[:SUBNETS_MAX])
        return Site(
            stack=given.stack,
            vpc=vpcs[0]["VpcId"],
            subnets=subnets,
            image=given.image,
            bucket=given.bucket,
            ingress_cidrs=cidrs or (vpcs[0]["CidrBlock"],),
            egress_cidrs=given.egress_cidrs,
        )


class S3Bundles:
    """`Bundles`: objects with their sha256 in their metadata."""

    def __init__(self, bucket: str) -> None:
        """The bucket is made when it is not there (embedded stack; in production it exists)."""
        self._bucket = bucket
        self._there = False

    async def find(self, key: str) -> Bundle | None:
        """By key."""

        def head() -> Bundle | None:
            try:
                found = aws_client("s3").head_object(Bucket=self._bucket, Key=key)
            except ClientError as e:
                if e.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NoSuchBucket", "NotFound"):
                    return None
                raise
            digest = found.get("Metadata", {}).get("sha256", "")
            return Bundle(self._url(key), digest, found["ContentLength"]) if digest else None

        return await _call(f"s3 object {key}", head)

    async def read(self, url: str, bytes_max: int) -> bytes:
        """The whole object."""
        bucket, _, key = url.removeprefix("s3://").partition("/")

        def get() -> bytes:
            try:
                found = aws_client("s3").get_object(Bucket=bucket, Key=key)
            except ClientError as e:
                if e.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NoSuchBucket", "NotFound"):
                    raise NotFound(f"{url}: there is no such object", remedy="publish it again") from e
                raise
            if found["ContentLength"] > bytes_max:
                raise InvalidInput(f"{url}: {found['ContentLength']} bytes are above {bytes_max}", remedy="send less")
            content: bytes = found["Body"].read()
            return content

        return await _call(url, get)

    async def put_text(self, folder: str, text: str) -> Bundle:
        """Under its own sha256."""
        body = text.encode()
        digest = hashlib.sha256(body).hexdigest()
        key = f"{folder}/{digest}.json"

        def put() -> Bundle:
            self._ensure_bucket()
            aws_client("s3").put_object(Bucket=self._bucket, Key=key, Body=body, Metadata={"sha256": digest})
            return Bundle(self._url(key), digest, len(body))

        return await _call(f"s3 object {key}", put)

    async def put_file(self, key: str, path: Path) -> Bundle:
        """A file."""

        def put() -> Bundle:
            self._ensure_bucket()
            digest, size = _digest_of(path)
            aws_client("s3").upload_file(str(path), self._bucket, key, ExtraArgs={"Metadata": {"sha256": digest}})
            return Bundle(self._url(key), digest, size)

        return await _call(f"s3 object {key}", put)

    def _url(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"

    def _ensure_bucket(self) -> None:
        if self._there:
            return
        s3 = aws_client("s3")
        try:
            s3.head_bucket(Bucket=self._bucket)
        except ClientError as e:
            if e.response.get("Error", {}).get("Code") not in ("404", "NoSuchBucket", "NotFound"):
                raise
            s3.create_bucket(Bucket=self._bucket)
        self._there = True


def _digest_of(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


class SsmJoinTokens:
    """`JoinTokens`: SecureString parameters; we keep only their sha256."""

    def __init__(self, tags: dict[str, str]) -> None:
        """`tags` go onto every parameter."""
        self._tags = [{"Key": k, "Value": v} for k, v in sorted(tags.items())]

    async def ensure(self, parameter: str) -> str:
        """Make or find."""

        def act() -> str:
            ssm = aws_client("ssm")
            try:
                value = _value(ssm.get_parameter(Name=parameter, WithDecryption=True))
            except ClientError as e:
                if e.response.get("Error", {}).get("Code") != "ParameterNotFound":
                    raise
                value = secrets.token_urlsafe(TOKEN_BYTES)
                ssm.put_parameter(Name=parameter, Value=value, Type="SecureString", Tags=self._tags)
            return hashlib.sha256(value.encode()).hexdigest()

        return await _call(f"ssm parameter {parameter}", act)

    async def remove(self, parameter: str) -> None:
        """Gone."""

        def act() -> None:
            try:
                aws_client("ssm").delete_parameter(Name=parameter)
            except ClientError as e:
                if e.response.get("Error", {}).get("Code") != "ParameterNotFound":
                    raise

        await _call(f"ssm parameter {parameter}", act)


def _value(answer: dict[str, Any]) -> str:
    value = answer.get("Parameter", {}).get("Value")
    if not value:
        raise Unavailable("ssm: a parameter came without a value", retry_after_s=1.0)
    return str(value)
