"""Members of a group as the client sees them, and the table of routes that says who is one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dataplane.client.core.ejection import Record
from dataplane.client.core.latency import Latency

UNKNOWN_S = 0.001  # taken for a member's latency while nobody has answered yet


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A node in service; `zone` is empty where it is not known."""

    address: str  # host:port
    fleet: str
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A group's routes; `generation` only grows. A fleet of weight 0 takes no calls."""

    generation: int = 0
    weights: Mapping[str, int] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(slots=True)
class Member:
    """One endpoint, with what the client has seen of it. `running`: when each call began that has not ended."""

    endpoint: Endpoint
    latency: Latency = field(default_factory=Latency)
    record: Record = field(default_factory=Record)
    running: dict[int, float] = field(default_factory=dict)
    paused_until: float = float("-inf")  # it pushed back

    def load(self, now: float, unknown_s: float) -> float:
        """What a call would have to wait for: calls in hand, this one with them, times the latency of each.

        A call that has been running for longer than answers take is news of its own: a member that hangs is loaded by
        the age of its oldest call, long before the first of them times out.
        """
        estimate_s = self.latency.estimate_s(now)
        each_s = unknown_s if estimate_s is None else estimate_s
        if self.running:
            oldest = next(iter(self.running.values()))
            each_s = max(each_s, now - oldest)
        return (len(self.running) + 1) * each_s
