"""The bundle store: S3, or what speaks like it."""

import asyncio

from botocore.exceptions import BotoCoreError, ClientError

from services.deployer.domain.revision import Artifact
from shared.aws.clients import aws_client, aws_error
from shared.domain.errors import InvalidInput

GONE = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchBucket"})


class S3Artifacts:
    """Asks for the head of an object; boto3 blocks, so it asks in a thread."""

    async def exists(self, artifact: Artifact) -> bool:
        """Whether it is there; Unavailable when S3 does not answer."""
        return await asyncio.to_thread(_exists, artifact.url)


def bucket_and_key(url: str) -> tuple[str, str]:
    """Read `s3://bucket/key`.

    >>> bucket_and_key("s3://bundles/code/ab.tar.gz")
    ('bundles', 'code/ab.tar.gz')
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket or not key:
        raise InvalidInput(f"artifact: {url!r} is not an S3 address", field="url", remedy="use s3://bucket/key")
    return bucket, key


def _exists(url: str) -> bool:
    bucket, key = bucket_and_key(url)
    try:
        aws_client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as e:
        if e.response.get("Error", {}).get("Code", "") in GONE:
            return False
        raise aws_error(e, f"looking for {url}") from e
    except BotoCoreError as e:
        raise aws_error(e, f"looking for {url}") from e
    return True
