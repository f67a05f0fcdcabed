"""Which dead letters wait, and which go again. A marker in the same topic says that one has gone; both are one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Letter:
    """One record of a dead-letter topic; `root` is empty when it is the id."""

    offset: int
    id: str
    event_time: float
    died_at: float
    reason: str
    recoverable: bool
    message: str
    attempts: int
    tries: int
    key: bytes | None
    value: bytes
    root: str = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a dead-letter topic holds; `gone` are offsets that were redriven."""

    letters: tuple[Letter, ...]
    gone: frozenset[int]
    complete: bool = True

    def waiting(self) -> tuple[Letter, ...]:
        """Those that were not redriven, oldest first."""
        return tuple(letter for letter in self.letters if letter.offset not in self.gone)


def chosen(shelf: Shelf, offsets: Sequence[int], reason: str) -> tuple[tuple[Letter, ...], int]:
    """What a redrive sends, oldest first, and how many of what was asked for had gone before.

    >>> a, b = (Letter(n, f"e{n}", 1.0, 2.0, "Http503", True, "", 5, 0, None, b"{}") for n in (4, 7))
    >>> letters, already = chosen(Shelf((a, b), frozenset({4})), (), "")
    >>> [letter.offset for letter in letters], already
    ([7], 1)
    >>> chosen(Shelf((a, b), frozenset()), (7,), "Other")
    ((), 0)
    """
    named = frozenset(offsets)
    asked = [
        letter
        for letter in shelf.letters
        if (not named or letter.offset in named) and (not reason or letter.reason == reason)
    ]
    going = tuple(letter for letter in asked if letter.offset not in shelf.gone)
    return going, len(asked) - len(going)
