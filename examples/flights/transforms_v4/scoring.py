"""Revision 4: long flights count as less late, because they catch up."""

import time
from typing import Any

from headrace_runtime import transform

LOOKUP_S = 0.0012
LONG_MILES = 1500
BUSY_AIRPORTS = {"ORD": 0.2, "ATL": 0.15, "SFO": 0.12, "LAX": 0.1}


@transform(name="score", batch=True)
def score(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Scores in [0, 1), in the order of the events."""
    time.sleep(LOOKUP_S * len(events))
    return [scored(event) for event in events]


def scored(event: dict[str, Any]) -> dict[str, Any]:
    """The event with what the model says."""
    long_haul = float(event.get("distance") or 0) > LONG_MILES
    return event | {"score": late_score(event) * (0.8 if long_haul else 1), "model": 4, "long_haul": long_haul}


def late_score(event: dict[str, Any]) -> float:
    """More delay at departure and a busy airport make it likelier."""
    delay = max(0.0, float(event.get("dep_delay") or 0))
    return round(delay / (delay + 30) * 0.8 + BUSY_AIRPORTS.get(str(event.get("dest")), 0.0), 4)
