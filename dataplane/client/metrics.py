"""What balancing clients do, for Prometheus: `GroupClient(settings, ClientMetrics(registry))`; without it nothing is kept.

One `ClientMetrics` serves all clients of a process. The clients' own numbers are read when Prometheus asks, so a call
costs the same with it and without.
"""

import threading
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dataplane.client.core.tally import Tally

Look = Callable[[], tuple[Tally, int]]  # what was done, and how many calls are with a server now


class ClientMetrics:
    """Of the clients that were made with it, by group."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """ValueError when the registry has these metrics already: one is enough."""
        self._lock = threading.Lock()
        self._looks: dict[str, list[Look]] = {}
        registry.register(self)

    def watch(self, group: str, look: Look) -> None:
        """A client of a group; it is read for as long as the process lives, so that no counter goes back."""
        with self._lock:
            self._looks.setdefault(group, []).append(look)

    def describe(self) -> Iterator[Metric]:
        """The names, without asking any client."""
        return iter(_families())

    def collect(self) -> Iterator[Metric]:
        """Two clients of one group count together."""
        calls, retries, ejections, refused, given_up, outstanding = found = _families()
        with self._lock:
            looks = {group: tuple(all_) for group, all_ in self._looks.items()}
        for group, all_ in sorted(looks.items()):
            seen = [look() for look in all_]
            calls.add_metric([group], sum(t.calls for t, _ in seen))
            retries.add_metric([group], sum(t.retries for t, _ in seen))
            ejections.add_metric([group], sum(t.ejections for t, _ in seen))
            outstanding.add_metric([group], sum(n for _, n in seen))
            for family, counts in ((refused, [t.refused for t, _ in seen]), (given_up, [t.given_up for t, _ in seen])):
                for code in sorted({c for count in counts for c in count}):
                    family.add_metric([group, code], sum(count[code] for count in counts))
        return iter(found)


def _families() -> tuple[
    CounterMetricFamily,
    CounterMetricFamily,
    CounterMetricFamily,
    CounterMetricFamily,
    CounterMetricFamily,
    GaugeMetricFamily,
]:
    return (
        CounterMetricFamily("headrace_client_requests", "Calls of a group.", labels=["called"]),
        CounterMetricFamily("headrace_client_retries", "Attempts after a call's first one.", labels=["called"]),
        CounterMetricFamily("headrace_client_ejections", "Members put out for failing.", labels=["called"]),
        CounterMetricFamily("headrace_client_refused", "Attempts that got no answer.", labels=["called", "code"]),
        CounterMetricFamily("headrace_client_errors", "Calls that got no answer.", labels=["called", "code"]),
        GaugeMetricFamily("headrace_client_outstanding", "Attempts that wait for an answer.", labels=["called"]),
    )
