"""What users' code has measured, in Prometheus' text format, with the node's labels."""

import math
import re
from itertools import accumulate
from typing import Any

from headrace_runtime.v1 import transform_pb2 as pb

from dataplane.agent.users_process import UsersProcess

NAMES = {
    pb.Measure.KIND_COUNTER: ("headrace_users_total", "counter"),
    pb.Measure.KIND_VALUE: ("headrace_users_value", "histogram"),
    pb.Measure.KIND_SCORE: ("headrace_score", "histogram"),
}


NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
MEASURES_MAX, BOUNDS_MAX = 200, 100


def users_lines(users: UsersProcess, labels: str) -> list[str]:
    """Starts, crash loops, and each measure with its `name`."""
    looping = int(users.is_looping or users.is_crash_looping)
    lines = [
        "# TYPE headrace_users_starts_total counter",
        f"headrace_users_starts_total{{{labels}}} {users.starts}",
        "# TYPE headrace_users_crash_loop gauge",
        f"headrace_users_crash_loop{{{labels}}} {looping}",
    ]
    return [*lines, *measure_lines(users.measures(), labels)]


def measure_lines(measures: list[Any], labels: str) -> list[str]:
    """One family for each kind. What does not look like a measure is left out: users' process has sent it."""
    lines = []
    measures = [m for m in measures[:MEASURES_MAX] if _is_sound(m)]
    for kind, (family, of_type) in NAMES.items():
        found = [m for m in measures if m.kind == kind]
        if found:
            lines.append(f"# TYPE {family} {of_type}")
        for measure in found:
            own = f'{labels},name="{measure.name}"'
            if not measure.bounds:
                lines.append(f"{family}{{{own}}} {measure.sum:g}")
                continue
            bounds = [*(f"{bound:g}" for bound in measure.bounds), "+Inf"]
            total = list(accumulate(measure.counts))
            lines += [f'{family}_bucket{{{own},le="{le}"}} {n}' for le, n in zip(bounds, total, strict=True)]
            lines += [f"{family}_sum{{{own}}} {measure.sum!r}", f"{family}_count{{{own}}} {total[-1]}"]
    return lines


def _is_sound(measure: Any) -> bool:
    sized = len(measure.counts) == len(measure.bounds) + 1 if measure.bounds else not measure.counts
    return bool(
        NAME.fullmatch(measure.name) and math.isfinite(measure.sum) and sized and len(measure.bounds) <= BOUNDS_MAX
    )
