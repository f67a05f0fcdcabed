"""Find the objects that a folder declares: import its Python files, collect what lies at module level.

A file that does not mention `headrace` is left alone, so that scripts beside the declarations are not run.
"""

import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from headrace.declaring import HeadraceObject
from headrace.environments import Environment
from headrace.errors import DeclarationError
from headrace.groups import ServerGroup
from headrace.pipelines import Pipeline

FILES_MAX = 200
_MENTIONS = re.compile(r"^\s*(from|import)\s+headrace(\.|\s|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a folder declares, in the order of files and lines; `imported` and `left_out` are file names."""

    folder: Path
    environments: tuple[Environment, ...]
    groups: tuple[ServerGroup, ...]
    pipelines: tuple[Pipeline, ...]
    imported: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def objects(self) -> tuple[HeadraceObject, ...]:
        """All of them: environments, groups, pipelines."""
        return (*self.environments, *self.groups, *self.pipelines)


def load(folder: str | Path) -> Loaded:
    """Import and collect; DeclarationError names file and line of what is wrong."""
    place = Path(folder).resolve()
    if not place.is_dir():
        raise DeclarationError(f"{folder}: there is no such folder", field="DIR", remedy="name a folder with .py files")
    files = sorted(place.glob("*.py"))[:FILES_MAX]
    wanted = [f for f in files if _MENTIONS.search(f.read_text(errors="replace"))]
    if not wanted:
        raise DeclarationError(
            f"{folder}: none of its {len(files)} .py files imports headrace",
            field="DIR",
            remedy="declare objects with `from headrace import ...` at the top level of a .py file there",
        )
    found: dict[int, HeadraceObject] = {}
    with _importing(place):
        for file in wanted:
            for value in vars(_imported(file)).values():
                if isinstance(value, HeadraceObject):
                    found.setdefault(id(value), value)
    objects = list(found.values())
    _refuse_twins(objects)
    return Loaded(
        place,
        tuple(o for o in objects if isinstance(o, Environment)),
        tuple(o for o in objects if isinstance(o, ServerGroup)),
        tuple(o for o in objects if isinstance(o, Pipeline)),
        tuple(f.name for f in wanted),
        tuple(f.name for f in files if f not in wanted),
    )


@contextmanager
def _importing(place: Path) -> Iterator[None]:
    """Files of the folder may import each other; afterwards nothing of it stays behind."""
    before = set(sys.modules)
    keep_bytecode = sys.dont_write_bytecode
    sys.path.insert(0, str(place))
    sys.dont_write_bytecode = True  # a folder of declarations stays as it was
    try:
        yield
    finally:
        sys.dont_write_bytecode = keep_bytecode
        sys.path.remove(str(place))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(place)):
                del sys.modules[name]


def _imported(file: Path) -> ModuleType:
    known = sys.modules.get(file.stem)
    if known is not None and getattr(known, "__file__", None) == str(file):
        return known
    name = file.stem if known is None and file.stem.isidentifier() else f"_declared_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise DeclarationError(f"{file}: Python cannot import it", remedy="give it a name that ends with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except DeclarationError:
        raise
    except (Exception, SystemExit) as e:
        raise DeclarationError(
            f"{_place_of(e, file)}: {type(e).__name__}: {e}", remedy="mend the file; it is imported to find its objects"
        ) from e
    return module


def _place_of(failure: BaseException, file: Path) -> str:
    if isinstance(failure, SyntaxError) and failure.filename:
        return f"{failure.filename}:{failure.lineno}"
    ours = [f for f in traceback.extract_tb(failure.__traceback__) if f.filename == str(file)]
    return f"{file}:{ours[-1].lineno}" if ours else str(file)


def _refuse_twins(objects: list[HeadraceObject]) -> None:
    seen: dict[tuple[str, str, str], HeadraceObject] = {}
    for o in objects:
        sort = "environment" if isinstance(o, Environment) else "pipeline" if isinstance(o, Pipeline) else "group"
        first = seen.setdefault((sort, o.workspace, o.name), o)
        if first is not o:
            raise DeclarationError(
                f"{o.declared_at}: {sort} {o.name!r} is declared already at {first.declared_at}",
                field="name",
                remedy="give one of them another name, or remove it",
            )
