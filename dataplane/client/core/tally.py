"""What a balancing client has done so far, in plain numbers: whoever wants to see them reads a copy."""

from collections import Counter
from dataclasses import dataclass, field, replace


@dataclass(slots=True)
class Tally:
    """Of one group, since the client began; codes are gRPC's names."""

    calls: int = 0
    retries: int = 0  # attempts after a call's first one
    ejections: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # attempts without an answer, by code
    given_up: Counter[str] = field(default_factory=Counter)  # calls without an answer, by code

    def copy(self) -> "Tally":
        """As it is now."""
        return replace(self, refused=self.refused.copy(), given_up=self.given_up.copy())
