"""What fleets did, from Prometheus: one query a number, for all fleets asked about.

A counter's growth in a window is its last value in it less its value when the window began, or all of it for a series
that was born in the window. `increase` will not do: it extrapolates, so counts are no counts any more, and it sees a new
series only from its first scrape on, when the failures of a bad version have often come already. A counter that started
anew (a node's agent did) is counted too low, which makes a judgement hold, not roll back.
"""

import asyncio
from collections.abc import Sequence

from services.deployer.domain.judge import FleetSample
from services.deployer.domain.ports import Unreadable
from shared.domain.names import FleetId, GroupName
from shared.prometheus import PrometheusClient, QueryFailed

DEADLINE_S = 5.0


def growth(metric: str, selector: str, window_s: float) -> str:
    """PromQL: growth of a counter by fleet over a window."""
    series, span = f"{metric}{{{selector}}}", f"{max(1, round(window_s * 1000))}ms"
    last, before = f"last_over_time({series}[{span}])", f"{series} offset {span}"
    grown, born = f"sum by (fleet) (clamp_min({last} - {before}, 0))", f"sum by (fleet) ({last} unless {before})"
    return f"({grown} + {born}) or {grown} or {born}"


class PrometheusMeasurements:
    """Of the groups of one workspace."""

    def __init__(self, prometheus: PrometheusClient, workspace: str) -> None:
        """`workspace` is a label of every series of a node."""
        self._prometheus, self._workspace = prometheus, workspace

    async def read(
        self, group: GroupName, fleets: Sequence[FleetId], since_s: float, until_s: float
    ) -> dict[FleetId, FleetSample] | Unreadable:
        """Unreadable when any of the queries failed: half an answer judges nobody."""
        selector = f'workspace="{self._workspace}",group="{group}",fleet=~"{"|".join(fleets)}"'
        window_s = until_s - since_s
        queries = [
            growth("headrace_messages_out_total", selector, window_s),
            growth("headrace_messages_failed_total", selector, window_s),
            growth("headrace_transform_seconds_sum", selector, window_s),
            growth("headrace_transform_seconds_count", selector, window_s),
            f"count by (fleet) (count by (fleet, node) (headrace_node_info{{{selector}}}))",
        ]
        answers = await asyncio.gather(*(self._prometheus.instant(q, until_s, DEADLINE_S) for q in queries))
        read: list[dict[str, float]] = []
        for answer in answers:
            if isinstance(answer, QueryFailed):
                return Unreadable(answer.why)
            read.append(answer.by("fleet"))
        out, failed, seconds, count, nodes = read
        return {
            fleet: FleetSample(
                fleet,
                processed=out.get(fleet, 0.0),
                failed=failed.get(fleet, 0.0),
                seconds_per_message=seconds.get(fleet, 0.0) / count[fleet] if count.get(fleet, 0.0) > 0 else None,
                nodes=int(nodes.get(fleet, 0.0)),
            )
            for fleet in fleets
        }
