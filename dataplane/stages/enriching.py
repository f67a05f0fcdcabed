"""The enrich stage: looks a field of the event up in a table, and puts the row found into the event."""

from typing import Any

import orjson

from dataplane.stages.events import Done, Event, Failed, Outcome, fields_of, same
from dataplane.stages.tables import Found, Lookup, ReadS3, lookup_of
from shared.contracts.works import Enrich

BATCH_MAX = 2_000
NO_ROW = "no_row"


class Enriching:
    """`Work` of an enrich stage."""

    batch_max = BATCH_MAX

    def __init__(self, spec: Enrich, read_s3: ReadS3) -> None:
        """Until the table can be asked, events fail recoverably."""
        self._spec = spec
        self._path = spec.field.split(".")
        self._lookup: Lookup = lookup_of(spec, read_s3)

    def run(self, events: list[Event]) -> list[Outcome]:
        """An outcome for each; one question for all of them."""
        read = [fields_of(event) for event in events]
        keys = [None if isinstance(fields, Failed) else self._key(fields) for fields in read]
        found = self._lookup.find([k for k in keys if k is not None])
        return [
            fields if isinstance(fields, Failed) else self._one(event, fields, key, found)
            for event, fields, key in zip(events, read, keys, strict=True)
        ]

    def close(self) -> None:
        """Let go of the table."""
        self._lookup.close()

    def _key(self, fields: dict[str, Any]) -> str | None:
        """The value of the field as text; None when there is none to look up."""
        value: Any = fields
        for name in self._path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        return str(value)

    def _one(self, event: Event, fields: dict[str, Any], key: str | None, found: Found) -> Outcome:
        if key is not None and key in found.rows:
            return same(event, orjson.dumps({**fields, self._spec.into: found.rows[key]}))
        if key is not None and found.unknown_why:
            return Failed(True, "TableUnavailable", found.unknown_why)
        match self._spec.on_missing:
            case "keep":
                return same(event, event.value)
            case "default":
                return same(event, orjson.dumps({**fields, self._spec.into: self._spec.default}))
            case "drop":
                return Done((), NO_ROW)
            case "dead_letter":
                return Failed(False, "NoRow", f"the table has no row for {self._spec.field} {str(key)[:80]!r}")
