"""Loads a folder of users' code: imports every module and package at its top, so that the decorators run."""

import importlib
import sys
from pathlib import Path

from headrace_runtime.declaring import Registry, registry


class CodeError(Exception):
    """The code cannot be served; the message names the file and what to do."""


def load(folder: Path) -> Registry:
    """The registry after importing the folder's modules, in the order of their names; CodeError if that fails."""
    if not folder.is_dir():
        raise CodeError(f"{folder}: there is no such folder")
    sys.path.insert(0, str(folder))
    for name in module_names(folder):
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as e:
            raise CodeError(f"{name}: importing it failed: {type(e).__name__}: {e}") from e
    if not registry.functions:
        raise CodeError(f"{folder}: no function is declared: put @transform on one")
    return registry


def module_names(folder: Path) -> list[str]:
    """Modules and packages at the top of a folder; private ones and tests are left to be imported by others."""
    files = [p.stem for p in folder.glob("*.py")]
    packages = [p.parent.name for p in folder.glob("*/__init__.py")]
    return sorted(n for n in {*files, *packages} if n.isidentifier() and not n.startswith(("_", "test_")))
