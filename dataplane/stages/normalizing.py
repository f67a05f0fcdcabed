"""The normalize stage: an event must be a JSON object with the required fields; fields are renamed and filled in."""

from typing import Any

import orjson

from dataplane.stages.events import Event, Failed, Outcome, fields_of, same
from shared.contracts.objects import Normalize

BATCH_MAX = 2_000


class Normalizing:
    """`Work` of a normalize stage."""

    batch_max = BATCH_MAX

    def __init__(self, spec: Normalize) -> None:
        """Ready at once."""
        self._required = spec.required
        self._rename = spec.rename
        self._defaults = spec.defaults

    def run(self, events: list[Event]) -> list[Outcome]:
        """An outcome for each; what is wrong with an event is wrong for good."""
        return [self._one(event) for event in events]

    def close(self) -> None:
        """Nothing is open."""

    def _one(self, event: Event) -> Outcome:
        fields = fields_of(event)
        if isinstance(fields, Failed):
            return fields
        changed = self._shape(fields) if self._rename or self._defaults else False
        for name in self._required:
            if fields.get(name) is None:
                return Failed(False, "FieldMissing", f"field {name!r} is required and not there: send it")
        return same(event, orjson.dumps(fields) if changed else event.value)

    def _shape(self, fields: dict[str, Any]) -> bool:
        changed = False
        for old, new in self._rename.items():
            if old in fields:
                fields[new] = fields.pop(old)
                changed = True
        for name, value in self._defaults.items():
            if fields.get(name) is None:
                fields[name] = value
                changed = True
        return changed
