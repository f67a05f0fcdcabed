"""Desired capacity in AWS: the one place that writes it.

Clients of our own, because a write must be over well before the lease that allows it: one attempt, short timeouts, no
retry inside; Temporal retries the activity, which checks the lease again. `operations.lease.CALL_DEADLINE_S` is
their sum and a margin.
"""

import asyncio
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.aws.clients import aws_error

CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 4
FAILURES_LOOKED_AT = 20
FAILED = frozenset({"Failed", "Cancelled"})


@cache
def _client() -> Any:
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
    return boto3.client("autoscaling", config=config)


class AsgSizes:
    """Implements `ports.Sizes`; calls run in threads."""

    async def set_desired(self, asg: str, nodes: int) -> None:
        """See `ports.Sizes`. A cooldown of the group is not honoured: ours is the only policy."""
        await asyncio.to_thread(self._set, asg, nodes)

    async def failure(self, asg: str, since_s: float) -> str:
        """See `ports.Sizes`."""
        return await asyncio.to_thread(self._failure, asg, since_s)

    def _set(self, asg: str, nodes: int) -> None:
        try:
            _client().set_desired_capacity(AutoScalingGroupName=asg, DesiredCapacity=nodes, HonorCooldown=False)
        except (BotoCoreError, ClientError) as e:
            raise aws_error(e, f"SetDesiredCapacity {asg} to {nodes}") from e

    def _failure(self, asg: str, since_s: float) -> str:
        try:
            answer = _client().describe_scaling_activities(AutoScalingGroupName=asg, MaxRecords=FAILURES_LOOKED_AT)
        except (BotoCoreError, ClientError) as e:
            raise aws_error(e, f"DescribeScalingActivities {asg}") from e
        failed = [
            a for a in answer["Activities"] if a["StatusCode"] in FAILED and a["StartTime"].timestamp() >= since_s
        ]
        if not failed:
            return ""
        newest = max(failed, key=lambda a: a["StartTime"])
        return f"{asg}: {newest.get('StatusMessage') or newest.get('Description') or newest['StatusCode']}"
