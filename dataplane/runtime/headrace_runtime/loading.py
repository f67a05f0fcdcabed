"""Loads a folder of users' code: imports every module and package at its top, so that the decorators run."""

import importlib
import sys
import traceback
from pathlib import Path

from headrace_runtime.applying import Bound
from headrace_runtime.declaring import Registry, registry
from headrace_runtime.shapes import ShapeError

FRAMES_MAX = 4  # of users' own, the innermost


class CodeError(Exception):
    """The code cannot be served; the message names the file and what to do."""


def load(folder: Path) -> tuple[Registry, dict[str, Bound]]:
    """The registry after importing the folder's modules, in the order of their names; CodeError if that fails."""
    if not folder.is_dir():
        raise CodeError(f"{folder}: there is no such folder")
    sys.path.insert(0, str(folder))
    for name in module_names(folder):
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as e:
            raise CodeError(f"{name}: importing it failed: {told(e, folder)}") from e
    if not registry.functions:
        raise CodeError(f"{folder}: no function is declared: put @transform on one")
    try:
        return registry, {name: Bound.of(function) for name, function in registry.functions.items()}
    except ShapeError as e:
        raise CodeError(f"the type of a parameter: {e}") from e


def told(error: BaseException, folder: Path) -> str:
    """An error of users' code with the places in the folder that it came through, the innermost last."""
    text = f"{type(error).__name__}: {error}"
    for frame in [f for f in traceback.extract_tb(error.__traceback__) if _is_in(f.filename, folder)][-FRAMES_MAX:]:
        text += f"\n  {Path(frame.filename).relative_to(folder)}:{frame.lineno}: {frame.line}"
    return text


def _is_in(filename: str, folder: Path) -> bool:
    return Path(filename).is_relative_to(folder)


def module_names(folder: Path) -> list[str]:
    """Modules and packages at the top of a folder; private ones and tests are left to be imported by others."""
    files = [p.stem for p in folder.glob("*.py")]
    packages = [p.parent.name for p in folder.glob("*/__init__.py")]
    return sorted(n for n in {*files, *packages} if n.isidentifier() and not n.startswith(("_", "test_")))
