"""`python -m services.observer.reference`: writes docs/reference/admission.md from the tables that admission reads."""

import sys
from pathlib import Path

from services.observer.domain.activities import Limits
from services.observer.domain.matrix import (
    COLUMNS,
    MATRIX,
    NEVER_QUIETED,
    ONE_CHANGE_PER_PIPELINE,
    OVERRIDDEN,
    QUIETABLE,
    VERDICT_RULES,
    WAITS_AT_MOST_FOR_PARKING,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "admission.md"

_HEAD = """# Admission

Generated from `services/observer/domain/matrix.py` by `python -m services.observer.reference`; do not edit.

Whoever changes the world asks the Observer first. `Begin` decides in one transaction, from the verdicts of every scope
involved and from every activity held there, and answers **granted** (an activity, a fencing token, a lease), **blocked**
(every reason at once, and when to ask again) or **yielding** (a holder was asked to park; ask again).
"""


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join([_row(head), _row(["---"] * len(head)), *map(_row, rows)])


def page() -> str:
    """The whole page."""
    limits = Limits()
    matrix = _table(
        ["requested \\ held", *(k.value for k in COLUMNS)],
        [[kind.value, *(MATRIX[kind][held].value for held in COLUMNS)] for kind in MATRIX],
    )
    rules = _table(["requested", "verdict needed"], [[s.value, rule.text] for s, rule in VERDICT_RULES.items()])
    quiet = _table(
        ["activity", "may quiet, on its own scope", "for at most, s", "tail, s"],
        [
            [k.value, ", ".join(sorted(r.classes)) or "nothing", f"{r.seconds_max:g}", f"{r.tail_s:g}"]
            for k, r in QUIETABLE.items()
        ],
    )
    patient = " and ".join(sorted(k.value for k in WAITS_AT_MOST_FOR_PARKING))
    one = ", ".join(sorted(k.value for k in ONE_CHANGE_PER_PIPELINE))
    sections = [
        _HEAD,
        "## What may run beside what\n",
        "On the same group, or where one scope contains the other:\n",
        matrix + "\n",
        (
            f"- `yield`: the holder parks at its next safe point and keeps its place. {patient} wait at most"
            f" {limits.park_wait_s:g} s for that, then go ahead."
        ),
        *(
            f"- {requested.value} with a person's reason (an override) reads `{found.value}` for {held.value}."
            for (requested, held), found in OVERRIDDEN.items()
        ),
        "- `queue`: one deployment at a time per group; the newest waiting one supersedes older waiting ones.",
        f"- On other groups of the same pipeline {one} wait for one another.",
        f"- At most {limits.deployments_share_max:.0%} of the groups, and at least one, are deployed at once.",
        (
            f"- A grant that conflicts with a lease that lapsed (not ended) waits {limits.call_deadline_s_max:g} s after the"
            " lapse: the longest call deadline.\n"
        ),
        "## Which verdict a request needs\n",
        rules + "\n",
        (
            "A verdict that is stale or missing reads UNKNOWN. The check is made again before each step of a holder that"
            f" says `before_step`. A signal is fresh for {limits.signal_age_s_max:g} s. Up to {limits.backlog_events_max:g} events,"
            f" or {limits.backlog_s_max:g} s of the arrival rate, are work in hand and no backlog.\n"
        ),
        "## Which alarms an activity may quiet\n",
        quiet + "\n",
        f"Never quieted: {', '.join(sorted(NEVER_QUIETED))}. Quieting touches notifications, never the verdict.",
    ]
    return "\n".join(sections) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page())
    sys.stderr.write(f"wrote {PAGE.name}\n")
