"""A plan: everything that is done to the world in one run, as an explicit list with times.

A seed is expanded into a plan before anything runs (`tests.sim.seeds`); a plan can be printed, shrunk, kept in
`regressions/` and run again when the code has changed, which a seed alone cannot.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Event = Mapping[str, Any]
"""`at`: simulated seconds; `do`: a fault or a command (a `Deed` of the scenario); the rest are its parameters."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`seed` gives latencies and rolls within episodes; after `heal_at_s` the world is left in peace."""

    scenario: str
    seed: int
    horizon_s: float
    heal_at_s: float
    shuffle: float
    quantum_s: float
    events: tuple[Event, ...]
    breaks: str = ""  # the invariant that it once broke

    def with_events(self, events: tuple[Event, ...]) -> "Plan":
        """The same world with other things done to it."""
        return replace(self, events=events)

    def to_json(self) -> str:
        """One event a line, so that a difference can be read."""
        head = {
            "scenario": self.scenario, "seed": self.seed, "horizon_s": self.horizon_s, "heal_at_s": self.heal_at_s,
            "shuffle": self.shuffle, "quantum_s": self.quantum_s, "breaks": self.breaks,
        }  # fmt: skip
        lines = [f"  {json.dumps(k)}: {json.dumps(v)}," for k, v in head.items()]
        events = ",\n".join(f"    {json.dumps(dict(e))}" for e in self.events)
        return "\n".join(["{", *lines, '  "events": [', events, "  ]", "}", ""])

    @classmethod
    def read(cls, file: Path) -> "Plan":
        """A plan file."""
        given = json.loads(file.read_text())
        return cls(**{**given, "events": tuple(given["events"])})
