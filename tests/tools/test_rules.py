"""The repository's own rules hold, and the tools that should catch a breach do."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tools.generate_proto import generate, stale

ROOT = Path(__file__).resolve().parents[2]
RUFF = str(Path(sys.executable).with_name("ruff"))
FORBIDDEN_IN_TESTS = {
    "a mock": re.compile(r"\bunittest\.mock\b|\bMagicMock\b|monkeypatch\.setattr\b|\bmocker\."),
    "a skip": re.compile(r"pytest\.skip\(|pytest\.mark\.skip|pytest\.mark\.xfail"),
}


@pytest.mark.parametrize("what", FORBIDDEN_IN_TESTS)
def test_no_test_has(what: str) -> None:
    pattern = FORBIDDEN_IN_TESTS[what]
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in sorted((ROOT / "tests").rglob("*.py"))
        if file != Path(__file__)
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


def test_no_test_pauses_instead_of_waiting_for_a_condition() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in sorted((ROOT / "tests").rglob("*.py"))
        for line in pauses(ast.parse(file.read_text()))
    ]
    assert not found, "\n".join(found)


def pauses(tree: ast.AST) -> Iterator[int]:
    """Lines where a test sleeps: not in a loop (which looks at a condition), nor in a function that it hands on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield from _sleeps(node.body)


def _sleeps(body: Sequence[ast.AST]) -> Iterator[int]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda | ast.While):
            continue
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "asyncio.sleep"}:
            yield node.lineno
        yield from _sleeps(list(ast.iter_child_nodes(node)))


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("time.sleep(1)", [2]),
        ("while not ready: time.sleep(1)", []),
        ("handler = lambda: time.sleep(1)", []),
        ("await time_skipping.sleep(5)", []),
    ],
)
def test_a_pause_is_told_from_a_wait(body: str, lines: list[int]) -> None:
    assert list(pauses(ast.parse(f"async def test_x():\n    {body}"))) == lines


def test_the_lock_names_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    names = re.findall(r"^([a-z0-9-]+)==", lock, flags=re.MULTILINE)
    assert len(names) > 50
    assert lock.count("--hash=sha256:") > len(names)


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    lock = (ROOT / "requirements.lock").read_text()
    for requirement in asked:
        [name] = re.findall(r"^[A-Za-z0-9-]+", requirement)
        assert re.search(rf"^{re.escape(name.lower())}==", lock, flags=re.MULTILINE), f"{name}: run `make lock`"


@pytest.mark.parametrize(
    ("place", "banned"),
    [
        ("services/observer/domain/x.py", True),
        ("services/observer/operations/x.py", True),
        ("services/observer/grpc_api.py", True),
        ("services/observer/activities.py", True),
        ("workflows/x.py", True),
        ("dataplane/client/core/x.py", True),
        ("services/observer/adapters/x.py", False),
        ("shared/system.py", False),
        ("localcloud/x.py", False),
    ],
)
@pytest.mark.parametrize(
    "line", ["import time", "import uuid", "import random", "import threading", "from os import urandom"]
)
def test_clocks_and_chance_are_banned_where_decisions_are_made(place: str, banned: bool, line: str) -> None:
    done = subprocess.run(
        [RUFF, "check", "--select", "TID251", "--quiet", "--output-format", "concise", "--stdin-filename", place, "-"],
        cwd=ROOT,
        input=f"{line}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("TID251" in done.stdout) is banned, done.stdout + done.stderr


def test_generated_code_that_is_not_current_is_named(tmp_path: Path) -> None:
    tree = ROOT / ".tools" / "cache" / tmp_path.name
    tree.mkdir(parents=True)
    proto = tree / "thing.proto"
    proto.write_text('syntax = "proto3"; package thing; message Thing { string name = 1; }')
    try:
        assert any(name.endswith("thing_pb2.py") for name in stale(tree))
        generate(tree, tree)
        assert stale(tree) == []
        proto.write_text('syntax = "proto3"; package thing; message Thing { string title = 1; }')
        assert any(name.endswith("thing_pb2.py") for name in stale(tree))
    finally:
        for file in tree.iterdir():
            file.unlink()
        tree.rmdir()


def test_make_help_explains_every_target() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "lock", "proto", "check", "test", "demo", "up", "down", "bench", "bench-%"):
        assert re.search(rf"^  make {re.escape(target)} +\S", said, flags=re.MULTILINE), target
