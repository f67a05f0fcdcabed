"""Planted bugs: small changes of the product's source, made while it is imported, in a process of their own.

A mutant names a file, the text that it replaces (which must be there exactly once) and what takes its place. What is on
disk never changes. A mutant whose text is gone is an error: it must be mended together with the code.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
NAME_OF_MUTANT = "HEADRACE_SIM_MUTANT"  # read by the process that is to be bugged, before it imports the product


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug."""

    name: str
    file: str
    sentence: str
    old: str
    new: str

    @property
    def module(self) -> str:
        """The module's dotted name."""
        return self.file.removesuffix(".py").replace("/", ".")

    def source(self) -> str:
        """The file's text with the bug in it; ValueError when it no longer applies."""
        text = (ROOT / self.file).read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"mutant {self.name}: its text is {text.count(self.old)} times in {self.file}, not once")
        return text.replace(self.old, self.new)


def mutants() -> list[Mutant]:
    """All of them, by file and in order."""
    found: list[Mutant] = []
    for file in sorted(Path(__file__).parent.glob("*.toml")):
        found += [Mutant(**m) for m in tomllib.loads(file.read_text())["mutant"]]
    return found


class _Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(ROOT / self._mutant.file))

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        code: Any = compile(self._mutant.source(), str(ROOT / self._mutant.file), "exec")
        exec(code, module.__dict__)


def plant_from_environment() -> None:
    """Called before the product is imported."""
    name = os.environ.get(NAME_OF_MUTANT, "")
    if not name:
        return
    [mutant] = [m for m in mutants() if m.name == name]
    if mutant.module in sys.modules:
        raise RuntimeError(f"mutant {name}: {mutant.module} has been imported already")
    sys.meta_path.insert(0, _Planted(mutant))


plant_from_environment()
