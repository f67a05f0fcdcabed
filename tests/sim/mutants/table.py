"""The table of planted bugs in `docs/simulation-mutants.md`, as the last whole hunt found them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.sim.mutants.plant import ROOT, Mutant

PAGE = ROOT / "docs" / "simulation-mutants.md"
HEAD = """# Planted bugs

Written by `make sim-mutants`, when it looks for all of them; do not edit. `tests/sim/mutants/*.toml` has their text.
Seeds begin at 0 and are of all worlds.

| planted bug | what is wrong | found by | in seed | after seeds |
|---|---|---|---|---|
"""


class Found(NamedTuple):
    """One planted bug, and what became of the hunt; `broke` is empty when nothing found it."""

    mutant: Mutant
    broke: str
    seed: int
    tried: int


def page(found: Sequence[Found]) -> str:
    """The whole page."""
    return HEAD + "".join(f"{line}\n" for line in _rows(found)) + f"\n{_sum(found)}\n"


def write(found: Sequence[Found], to: Path = PAGE) -> None:
    """Keep it."""
    to.write_text(page(found))


def _rows(found: Sequence[Found]) -> Iterable[str]:
    for f in found:
        where = f"`{f.broke}` | {f.seed}" if f.broke else "**nothing** | "
        yield f"| `{f.mutant.name}` | {f.mutant.sentence.replace('|', '/')} | {where} | {f.tried:,} |"


def _sum(found: Sequence[Found]) -> str:
    tried = sorted(f.tried for f in found if f.broke)
    if not tried:
        return f"0 of {len(found)} found."
    half = tried[len(tried) // 2]
    return f"{len(tried)} of {len(found)} found, half of them within {half} seeds, all of those within {tried[-1]:,}."
