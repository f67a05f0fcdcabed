"""Code bundles in S3, under their own digest: written once, never changed."""

import asyncio

from botocore.exceptions import BotoCoreError, ClientError

from shared.aws.clients import aws_client, aws_error
from shared.contracts.apply import CODE_KEY
from shared.contracts.rating import SAMPLE_KEY
from shared.domain.errors import NotFound


class S3CodeStore:
    """`CodeStore`."""

    def __init__(self, bucket: str) -> None:
        """`bucket` is shared with the Provisioner; it is made when it is not there."""
        self._bucket = bucket

    async def put(self, sha256: str, content: bytes) -> str:
        """Publish; gives `s3://bucket/key`."""
        return await asyncio.to_thread(self._put, CODE_KEY.format(sha256=sha256), content, "application/gzip")

    async def put_sample(self, sha256: str, content: bytes) -> str:
        """Keep; gives `s3://bucket/key`."""
        return await asyncio.to_thread(self._put, SAMPLE_KEY.format(sha256=sha256), content, "application/x-ndjson")

    def _put(self, key: str, content: bytes, kind: str) -> str:
        s3 = aws_client("s3")
        what = f"s3://{self._bucket}/{key}"
        try:
            s3.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=kind)
        except ClientError as e:
            if e.response.get("Error", {}).get("Code") != "NoSuchBucket":
                raise aws_error(e, what) from e
            self._make_bucket()
            return self._put(key, content, kind)
        except BotoCoreError as e:
            raise aws_error(e, what) from e
        return what

    def _make_bucket(self) -> None:
        try:
            aws_client("s3").create_bucket(Bucket=self._bucket)
        except ClientError as e:
            if e.response.get("Error", {}).get("Code") not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise NotFound(f"bucket {self._bucket!r} does not exist and cannot be made: {e}") from e
