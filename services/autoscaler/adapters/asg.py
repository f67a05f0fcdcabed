"""Desired capacity in AWS: the one place that writes it.

Clients of our own, because a write must be over well before the lease that allows it: one attempt, short timeouts, no
retry inside; Temporal retries the activity, which checks the lease again. `operations.lease.CALL_DEADLINE_S` is
their sum and a margin. A call may wait for a thread, so whether there is time for it is asked in the thread.
"""

import asyncio
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.aws.clients import aws_error
from shared.domain.clock import Clock
from shared.domain.errors import Unavailable

CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 4
ATTEMPT_S_MAX = CONNECT_TIMEOUT_S + READ_TIMEOUT_S
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

    def __init__(self, clock: Clock) -> None:
        """The clock by which a write must be over."""
        self._clock = clock

    async def set_desired(self, asg: str, nodes: int, over_by_s: float) -> None:
        """See `ports.Sizes`. A cooldown of the group is not honoured: ours is the only policy."""
        await asyncio.to_thread(self._set, asg, nodes, over_by_s)

    async def failure(self, asg: str, since_s: float) -> str:
        """See `ports.Sizes`."""
        return await asyncio.to_thread(self._failure, asg, since_s)

    def _set(self, asg: str, nodes: int, over_by_s: float) -> None:
        client, left_s = _client(), over_by_s - self._clock.monotonic()
        if left_s < ATTEMPT_S_MAX:
            raise Unavailable(
                f"SetDesiredCapacity {asg} to {nodes}: {left_s:.1f} s are left of its lease and a call may take "
                f"{ATTEMPT_S_MAX} s: not sent",
                remedy="it is tried again",
                retry_after_s=1.0,
            )
        try:
            client.set_desired_capacity(AutoScalingGroupName=asg, DesiredCapacity=nodes, HonorCooldown=False)
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
