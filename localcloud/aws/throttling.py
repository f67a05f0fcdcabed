"""Token buckets, and those that AWS has published for its APIs.

EC2 has a bucket for each action, whose size and rate follow from the action's category, and for some actions a second one that counts the
machines they are about (EC2's developer guide, "Request throttling for the Amazon EC2 API"). Auto Scaling has one bucket for all its
actions (its API reference, "API request rate"), whose size AWS does not say: here it is that of EC2's reading actions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

EC2, AUTO_SCALING = "ec2", "autoscaling"
READS = ("Describe", "Get", "List", "Search")
COUNTED_MAX = 1_000  # buckets that are kept; a client can name any action


@dataclass(slots=True, frozen=True)
class Rate:
    """How many tokens a bucket holds, and how many come in a second."""

    burst: float
    per_s: float


READING, READING_ALL, CHANGING = Rate(100, 20), Rate(50, 10), Rate(50, 5)
OF_ACTIONS: Mapping[str, Rate] = {
    "RunInstances": Rate(5, 2),
    "StartInstances": Rate(5, 2),
    "TerminateInstances": Rate(100, 5),
}
OF_MACHINES: Mapping[str, Rate] = {
    "RunInstances": Rate(1000, 2),
    "StartInstances": Rate(1000, 2),
    "StopInstances": Rate(1000, 20),
    "TerminateInstances": Rate(1000, 20),
}
READ_WHOLE = frozenset(  # these have a smaller bucket when they are asked without a filter and without a page's size
    {
        "DescribeInstances",
        "DescribeInstanceStatus",
        "DescribeNetworkInterfaces",
        "DescribeSecurityGroups",
        "DescribeSnapshots",
        "DescribeSpotInstanceRequests",
        "DescribeVolumes",
    }
)


class Bucket:
    """Tokens that come at a rate, up to a burst.

    >>> bucket = Bucket(Rate(burst=1, per_s=2), now=0.0)
    >>> bucket.take(0.0), bucket.take(0.1), bucket.take(0.6)
    (True, False, True)
    """

    def __init__(self, rate: Rate, now: float) -> None:
        """It begins full."""
        self._rate, self._tokens, self._at = rate, rate.burst, now

    def take(self, now: float, count: int = 1) -> bool:
        """Whether there were so many tokens; if not, none is taken."""
        self._tokens = min(self._rate.burst, self._tokens + max(0.0, now - self._at) * self._rate.per_s)
        self._at = now
        if self._tokens < count:
            return False
        self._tokens -= count
        return True


class PublishedBuckets:
    """The buckets of one account in one region; not safe for threads."""

    def __init__(self, now: Callable[[], float]) -> None:
        """All are full."""
        self._now = now
        self._buckets: dict[str, Bucket] = {}

    def take(self, service: str, action: str, form: Mapping[str, str]) -> bool:
        """Whether a call passes; a service that has no published buckets lets every call pass."""
        if service == AUTO_SCALING:
            return self._bucket(AUTO_SCALING, READING).take(self._now())
        if service != EC2:
            return True
        whole = action in READ_WHOLE and not any(
            key.startswith(("Filter.", "InstanceId.", "MaxResults")) for key in form
        )
        rate = OF_ACTIONS.get(action) or (READING_ALL if whole else READING if action.startswith(READS) else CHANGING)
        if not self._bucket(f"{action} {rate}", rate).take(self._now()):
            return False
        machines = OF_MACHINES.get(action)
        return machines is None or self._bucket(f"machines of {action}", machines).take(self._now(), counted(form))

    def _bucket(self, name: str, rate: Rate) -> Bucket:
        if name not in self._buckets and len(self._buckets) >= COUNTED_MAX:
            self._buckets.clear()
        return self._buckets.setdefault(name, Bucket(rate, self._now()))


def counted(form: Mapping[str, str]) -> int:
    """How many machines a call is about.

    >>> counted({"MinCount": "1", "MaxCount": "7"}), counted({"InstanceId.1": "i-1", "InstanceId.2": "i-2"}), counted({})
    (7, 2, 1)
    """
    most = form.get("MaxCount", "")
    if most.isdigit():
        return max(1, int(most))
    return max(1, sum(1 for key in form if key.startswith("InstanceId.")))
