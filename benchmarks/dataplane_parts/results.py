"""Rows of a benchmark: a number beside its baseline of the same run, and whether the issue's goal is met."""

import json
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Row:
    """`goal` is about `ratio` when there is a baseline, else about `value`; `at_least` says which side is good."""

    metric: str
    value: float
    unit: str
    goal: float
    at_least: bool
    baseline: str = ""
    baseline_value: float | None = None

    @property
    def ratio(self) -> float | None:
        """Value over baseline."""
        return self.value / self.baseline_value if self.baseline_value else None

    @property
    def met(self) -> bool:
        """Computed, never typed."""
        judged = self.value if self.ratio is None else self.ratio
        return judged >= self.goal if self.at_least else judged <= self.goal


def quantile(values: Sequence[float], share: float) -> float:
    """The least that so many were no larger than."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def line_fit(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float, float]:
    """Intercept, slope and r2 of the least-squares line.

    >>> line_fit([0, 1, 2], [1, 3, 5])
    (1.0, 2.0, 1.0)
    """
    n, mean_x, mean_y = len(xs), sum(xs) / len(xs), sum(ys) / len(ys)
    spread_x = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread_x
    intercept = mean_y - slope * mean_x
    missed = sum((y - intercept - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    spread_y = sum((y - mean_y) ** 2 for y in ys)
    return intercept, slope, 1.0 - missed / spread_y if n and spread_y else 0.0


def write(name: str, rows: Sequence[Row], notes: dict[str, object], *, keep: bool) -> None:
    """For people to standard output; for machines into `benchmarks/results/`, unless it was only a part of it."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    place = ROOT / "benchmarks" / "results" / f"{name}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}",
        "commit": commit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **notes,
        "rows": [asdict(r) | {"ratio": r.ratio and round(r.ratio, 3), "met": r.met} for r in rows],
    }
    if keep:
        place.write_text(json.dumps(document, indent=2) + "\n")
    print(f"{'':52}{'value':>12} {'unit':8}{'baseline':>12}{'ratio':>8}{'goal':>10}  met")
    for r in rows:
        base = f"{r.baseline_value:.4g}" if r.baseline_value is not None else ""
        ratio = f"{r.ratio:.3f}" if r.ratio is not None else ""
        goal = f"{'>=' if r.at_least else '<='} {r.goal:g}"
        print(f"{r.metric:52}{r.value:>12.5g} {r.unit:8}{base:>12}{ratio:>8}{goal:>10}  {'yes' if r.met else 'NO'}")
