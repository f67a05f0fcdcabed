"""Signals from Prometheus: one grouped query per signal for *all* groups, all as of one instant."""

import asyncio
import math

from services.observer.domain.evidence import Failed, FleetRates, Readings, Windowed
from shared.prometheus import PrometheusClient, QueryFailed, Vector

DEADLINE_S = 4.0


class PrometheusSignals:
    """Windows are the settings' fast and slow ones, seconds."""

    def __init__(self, client: PrometheusClient, workspace: str, fast_s: float, slow_s: float) -> None:
        """Only this workspace's series are read."""
        self._client = client
        self._match = f'workspace="{workspace}"'
        self._fast_s, self._slow_s = fast_s, slow_s

    async def read(self, at: float) -> Readings:
        """Ten queries side by side; each failure is its own."""
        m = self._match
        fast, slow, reporting, oldest, busy, cpu = await asyncio.gather(
            self._windowed(at, self._fast_s),
            self._windowed(at, self._slow_s),
            self._ask(f"timestamp(headrace_node_info{{{m}}})", at),
            self._ask(f"min by (group) (headrace_oldest_unprocessed_timestamp_seconds{{{m}}})", at),
            self._ask(f"avg by (group) (headrace_busy_ratio{{{m}}})", at),
            self._ask(f"sum by (group) (rate(process_cpu_seconds_total{{{m}}}[{_span(self._fast_s)}]))", at),
        )
        nodes: dict[str, dict[str, float]] | Failed
        if isinstance(reporting, QueryFailed):
            nodes = Failed(reporting.why)
        else:
            nodes = {}
            for s in reporting.samples:
                nodes.setdefault(s.labels.get("group", ""), {})[s.labels.get("node", "")] = s.value
        return Readings(
            at=at,
            fast=fast,
            slow=slow,
            reporting=nodes,
            oldest=Failed(oldest.why) if isinstance(oldest, QueryFailed) else oldest.by("group"),
            busy={} if isinstance(busy, QueryFailed) else busy.by("group"),
            cpu={} if isinstance(cpu, QueryFailed) else cpu.by("group"),
        )

    async def _windowed(self, at: float, window_s: float) -> Windowed | Failed:
        m, w = self._match, _span(window_s)
        lag, processed, failed = await asyncio.gather(
            self._ask(f"sum by (group, le) (rate(headrace_lag_out_seconds_bucket{{{m}}}[{w}]))", at),
            self._ask(f"sum by (group, fleet) (rate(headrace_messages_in_total{{{m}}}[{w}]))", at),
            self._ask(f"sum by (group, fleet) (rate(headrace_messages_failed_total{{{m}}}[{w}]))", at),
        )
        for answer in (lag, processed, failed):
            if isinstance(answer, QueryFailed):
                return Failed(answer.why)
        assert isinstance(lag, Vector)  # noqa: S101  narrowed by the loop above
        assert isinstance(processed, Vector)  # noqa: S101
        assert isinstance(failed, Vector)  # noqa: S101
        buckets: dict[str, dict[float, float]] = {}
        for s in lag.samples:
            bound = math.inf if s.labels["le"] == "+Inf" else float(s.labels["le"])
            buckets.setdefault(s.labels.get("group", ""), {})[bound] = s.value
        failures = {(s.labels.get("group", ""), s.labels.get("fleet", "")): s.value for s in failed.samples}
        throughput = {(s.labels.get("group", ""), s.labels.get("fleet", "")): s.value for s in processed.samples}
        rates = {
            key: FleetRates(throughput.get(key, 0.0), failures.get(key, 0.0))
            for key in throughput.keys() | failures.keys()
        }
        return Windowed(buckets, rates)

    async def _ask(self, query: str, at: float) -> Vector | QueryFailed:
        return await self._client.instant(query, at, DEADLINE_S)


def _span(seconds: float) -> str:
    """A PromQL range in milliseconds.

    >>> _span(10.0)
    '10000ms'
    """
    return f"{round(seconds * 1000)}ms"
