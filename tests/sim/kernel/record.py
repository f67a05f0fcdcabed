"""What a run leaves behind: a digest that the same plan always gives, a timeline for people, and marks it reached."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Line:
    """One thing that happened; `scope` is empty for what concerns everybody."""

    at_s: float
    scope: str
    who: str
    text: str


@dataclass
class Record:
    """`say` feeds the digest; lines are kept only when somebody wants to read them."""

    now: Callable[[], float]
    keep: bool = False
    lines: list[Line] = field(default_factory=list)
    reached: Counter[str] = field(default_factory=Counter)
    _hash: "hashlib.blake2b" = field(default_factory=lambda: hashlib.blake2b(digest_size=8))

    def say(self, who: str, text: str, scope: str = "") -> None:
        """Something that two runs of one plan must have in common."""
        at_s = self.now()
        self._hash.update(f"{at_s:.6f} {scope} {who} {text}\n".encode())
        if self.keep:
            self.lines.append(Line(at_s, scope, who, text))

    def reach(self, mark: str) -> None:
        """A place that some seed must come to: what is never reached is not tested."""
        self.reached[mark] += 1

    @property
    def digest(self) -> str:
        """Of everything said so far."""
        return self._hash.hexdigest()
