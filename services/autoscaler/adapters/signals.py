"""Signals from Prometheus: one query a signal for all groups, all as of one instant.

Stream groups are measured at the broker, through the offsets the Observer exports: end offsets are what arrives,
committed offsets are what is finished, and neither depends on a node being alive to tell. Other groups are measured at
their nodes. A query that fails makes its signal FAILED for every group; a group that is not in an answer is MISSING.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.signals import FAILED, MISSING, Sample, Signals, judged
from shared.domain.errors import InvalidInput
from shared.domain.names import GroupName, Workspace
from shared.prometheus import PrometheusClient, QueryFailed

QUERY_DEADLINE_S = 3.0
METRICS_MAX = 50  # named metrics of all groups in one tick
METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}")
COUNTER_SUFFIX = "_total"
Answers = Mapping[str, Mapping[GroupName, float] | None]


def queries(workspace: Workspace, window_s: float) -> dict[str, str]:
    """Every query by the name of its answer. `max by` folds series that two exporters give of one partition."""
    of, w = f'{{workspace="{workspace}",group!=""}}', f"{window_s:g}s"
    end = f"max by (group, partition) (headrace_topic_end_offset{of})"
    committed = f"max by (group, partition) (headrace_group_committed_offset{of})"
    end_rate = f"max by (group, partition) (rate(headrace_topic_end_offset{of}[{w}]))"
    committed_rate = f"max by (group, partition) (rate(headrace_group_committed_offset{of}[{w}]))"
    waiting = f"clamp_min(({end} - on (group, partition) {committed}) or {end}, 0)"  # nothing committed: all waits
    cpu = f"sum by (group, node) (rate(process_cpu_seconds_total{of}[{w}]))"
    return {
        "stream_arrival": f"sum by (group) ({end_rate})",
        "stream_arrival_partitions": f"count by (group) ({end_rate})",
        "stream_throughput": f"sum by (group) ({committed_rate})",
        "backlog": f"sum by (group) ({waiting})",
        "backlog_worst": f"max by (group) ({waiting})",
        "backlog_partitions": f"count by (group) ({end})",
        "stream_at": f"min by (group) (max by (group, partition) (timestamp(headrace_topic_end_offset{of})))",
        "node_arrival": f"sum by (group) (rate(headrace_messages_in_total{of}[{w}]))",
        "node_throughput": f"sum by (group) (rate(headrace_messages_out_total{of}[{w}]))",
        "nodes": f"count by (group) (count by (group, node) (headrace_node_info{of}))",
        "node_at": f"max by (group) (timestamp(headrace_node_info{of}))",
        "cpu_cores": f"sum by (group) ({cpu})",
        "cpu_nodes": f"count by (group) ({cpu})",
        "busy": f"avg by (group) (headrace_busy_ratio{of})",
    }


def metric_query(workspace: Workspace, metric: str, window_s: float) -> str:
    """The sum of a group's own metric over its nodes; of a counter, its rate.

    >>> metric_query(Workspace("w"), "queue_length", 60.0)
    'sum by (group) (queue_length{workspace="w",group!=""})'
    """
    if not METRIC_NAME.fullmatch(metric):
        raise InvalidInput(
            f"metric {metric!r} is not the name of a Prometheus metric",
            field="scaling.targets.metric",
            remedy="use letters, digits, '_' and ':'",
        )
    series = f'{metric}{{workspace="{workspace}",group!=""}}'
    return f"sum by (group) ({f'rate({series}[{window_s:g}s])' if metric.endswith(COUNTER_SUFFIX) else series})"


@dataclass(frozen=True, slots=True)
class _Reading:
    """The answers of one instant, and how to judge them."""

    answers: Answers
    now_s: float
    stale_after_s: float

    def sample(self, name: str, group: GroupName, at: str, *, whole: bool = True) -> Sample:
        """One group's sample; `at` names the answer with its time of measurement."""
        values, times = self.answers.get(name), self.answers.get(at)
        if values is None or times is None:
            return FAILED
        if group not in values or group not in times:
            return MISSING
        return judged(values[group], times[group], self.now_s, self.stale_after_s, whole=whole)

    def count(self, name: str, group: GroupName) -> float:
        """A plain count, 0 where there is none."""
        return (self.answers.get(name) or {}).get(group, 0.0)


class PrometheusSignals:
    """Implements `ports.SignalSource`."""

    def __init__(self, client: PrometheusClient, workspace: str, window_s: float, stale_after_s: float) -> None:
        """Rates are taken over `window_s`; a sample older than `stale_after_s` is stale."""
        self._client, self._workspace = client, Workspace(workspace)
        self._window_s, self._stale_after_s = window_s, stale_after_s

    async def read(self, groups: Sequence[GroupSnapshot], now_s: float) -> Mapping[GroupName, Signals]:
        """See `ports.SignalSource`."""
        if not groups:
            return {}
        wanted = queries(self._workspace, self._window_s)
        names = sorted({m.metric for g in groups for m in g.policy.metrics if METRIC_NAME.fullmatch(m.metric)})
        for name in names[:METRICS_MAX]:
            wanted[f"metric:{name}"] = metric_query(self._workspace, name, self._window_s)
        found = await asyncio.gather(*(self._ask(q, now_s) for q in wanted.values()))
        reading = _Reading(dict(zip(wanted, found, strict=True)), now_s, self._stale_after_s)
        return {g.group: signals_of(g, reading) for g in groups}

    async def _ask(self, query: str, now_s: float) -> Mapping[GroupName, float] | None:
        answer = await self._client.instant(query, at=now_s, deadline_s=QUERY_DEADLINE_S)
        if isinstance(answer, QueryFailed):
            return None
        return {GroupName(group): value for group, value in answer.by("group").items()}


def signals_of(group: GroupSnapshot, reading: _Reading) -> Signals:
    """A group's signals, by where it is measured."""
    name = group.group
    reporting = reading.count("nodes", name) >= group.ready
    own = {
        m.metric: reading.sample(f"metric:{m.metric}", name, "node_at", whole=reporting) for m in group.policy.metrics
    }
    at_nodes = Signals(
        arrival=reading.sample("node_arrival", name, "node_at", whole=reporting),
        throughput=reading.sample("node_throughput", name, "node_at", whole=reporting),
        cpu_cores=reading.sample("cpu_cores", name, "node_at"),
        cpu_nodes=reading.sample("cpu_nodes", name, "node_at"),
        busy=reading.sample("busy", name, "node_at", whole=reporting),
        metrics=own,
    )
    if not group.stream:
        return at_nodes
    moving = reading.count("stream_arrival_partitions", name) >= group.partitions
    counted = reading.count("backlog_partitions", name) >= group.partitions
    return Signals(
        arrival=reading.sample("stream_arrival", name, "stream_at", whole=moving),
        throughput=reading.sample("stream_throughput", name, "stream_at"),
        backlog=reading.sample("backlog", name, "stream_at", whole=counted),
        backlog_worst=reading.sample("backlog_worst", name, "stream_at"),
        cpu_cores=at_nodes.cpu_cores,
        cpu_nodes=at_nodes.cpu_nodes,
        busy=at_nodes.busy,
        metrics=own,
    )
