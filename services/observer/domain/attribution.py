"""Cause: an instability is laid on an activity only with evidence, never because it merely happened meanwhile.

The evidence is the new fleet against the old one at the same minute: the same traffic, the same upstream, another
revision.
"""

from collections.abc import Sequence

from services.observer.domain.activities import Activity
from services.observer.domain.evidence import GroupFacts, Readings
from services.observer.domain.judging import error_ratio
from shared.domain.activity import ActivityKind

WORSE_FACTOR = 2.0
EVENTS_PER_S_MIN = 1.0

_CHANGES_CODE = frozenset({ActivityKind.DEPLOY, ActivityKind.ROLLBACK})


def cause_of(facts: GroupFacts, readings: Readings, activities: Sequence[Activity]) -> str:
    """The id of the activity that new nodes' errors are laid on, or empty."""
    changing = [a for a in activities if a.kind in _CHANGES_CODE]
    if not changing or not facts.new_fleets:
        return ""
    budget = 1.0 - facts.availability / 100.0
    old_fleets = {f for (g, f) in getattr(readings.fast, "rates", {}) if g == facts.name} - set(facts.new_fleets)
    old = max((error_ratio(readings.fast, facts.name, f)[0] or 0.0 for f in old_fleets), default=None)
    for fleet in facts.new_fleets:
        new, rate = error_ratio(readings.fast, facts.name, fleet)
        if new is None or old is None or rate < EVENTS_PER_S_MIN:
            continue
        if new > budget and new > WORSE_FACTOR * old:
            return changing[-1].id
    return ""
