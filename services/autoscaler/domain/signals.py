"""What was measured, and how far it can be trusted.

A number without its quality is not a measurement: a failed query is not an empty answer and neither is a zero. A
sample that is only PARTIAL is a lower bound, so it may ask for more nodes and never for fewer; only an OK sample may
take part in a scale-in. Everything else counts as unknown.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

FUTURE_S_MAX = 5.0  # a sample further in the future than this comes from a broken clock


class Quality(StrEnum):
    """How far a sample can be trusted."""

    OK = "ok"
    PARTIAL = "partial"  # some sources are missing: a lower bound
    STALE = "stale"
    MISSING = "missing"  # the query worked and had no answer for this group
    FAILED = "failed"  # the query did not work
    IMPLAUSIBLE = "implausible"  # not a number, negative, or from the future


@dataclass(frozen=True, slots=True)
class Sample:
    """One number as of `at_s` (seconds since the epoch); `value` is 0 where there is none."""

    value: float
    at_s: float
    quality: Quality

    @property
    def known(self) -> bool:
        """Good enough for every decision."""
        return self.quality is Quality.OK

    @property
    def usable(self) -> bool:
        """Good enough to ask for more nodes."""
        return self.quality in {Quality.OK, Quality.PARTIAL}

    def age_s(self, now_s: float) -> float:
        """Seconds since it was measured, never negative."""
        return max(0.0, now_s - self.at_s)


MISSING = Sample(0.0, 0.0, Quality.MISSING)
FAILED = Sample(0.0, 0.0, Quality.FAILED)


def judged(value: float, at_s: float, now_s: float, stale_after_s: float, *, whole: bool = True) -> Sample:
    """A sample with its quality; `whole` is False when some sources did not report.

    >>> judged(3.0, 100.0, 101.0, 30.0).quality
    <Quality.OK: 'ok'>
    >>> judged(3.0, 10.0, 101.0, 30.0).quality
    <Quality.STALE: 'stale'>
    >>> judged(float("nan"), 100.0, 101.0, 30.0).quality
    <Quality.IMPLAUSIBLE: 'implausible'>
    """
    if not math.isfinite(value) or value < 0 or at_s > now_s + FUTURE_S_MAX:
        return Sample(0.0, at_s, Quality.IMPLAUSIBLE)
    if now_s - at_s > stale_after_s:
        return Sample(value, at_s, Quality.STALE)
    return Sample(value, at_s, Quality.OK if whole else Quality.PARTIAL)


@dataclass(frozen=True, slots=True)
class Signals:
    """Of one group, as of one instant. Rates are messages/s over the signal window."""

    arrival: Sample = MISSING  # messages/s that come in
    throughput: Sample = MISSING  # messages/s that are finished
    backlog: Sample = MISSING  # messages that wait (stream groups)
    backlog_worst: Sample = MISSING  # messages that wait in the fullest partition
    cpu_cores: Sample = MISSING  # cores in use by all nodes together
    cpu_nodes: Sample = MISSING  # nodes that report their CPU
    busy: Sample = MISSING  # mean share of time in use, 0..1
    metrics: Mapping[str, Sample] = field(default_factory=dict)  # MetricTarget: sum over the nodes
