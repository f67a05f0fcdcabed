"""The set-up's machinery: what is made once, what is made again, and what a failure leaves."""

import ast
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.setup import step
from tools.setup.python_packages import readable_by_others
from tools.setup.step import Cached, SetupError, key_of, stamped

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def writes(text: str, calls: list[str]) -> Callable[[Path], None]:
    def build(directory: Path) -> None:
        calls.append(text)
        (directory / "product").write_text(text)

    return build


def test_a_product_is_made_once_per_key(cache: Path) -> None:
    calls: list[str] = []
    cached = Cached("thing", "1")
    for key, text in (("a", "first"), ("a", "never"), ("b", "second")):
        cached.make(key, writes(text, calls))
    assert calls == ["first", "second"]
    assert (cache / "thing-1" / "product").read_text() == "second"
    assert stamped(cached.path, "b")


def test_other_users_can_read_a_product(cache: Path) -> None:
    Cached("thing", "1").make("a", writes("x", []))
    assert stat.S_IMODE((cache / "thing-1").stat().st_mode) == 0o755


def test_a_build_that_fails_leaves_what_was_there(cache: Path) -> None:
    def fails(directory: Path) -> None:
        (directory / "half").touch()
        step.run([sys.executable, "-c", "print('it rains'); raise SystemExit(3)"], what="building thing")

    Cached("thing", "1").make("a", writes("good", []))
    with pytest.raises(SetupError, match=r"building thing: .* ended with 3:\nit rains"):
        Cached("thing", "1").make("b", fails)
    assert [place.name for place in cache.iterdir()] == ["thing-1"]
    assert stamped(cache / "thing-1", "a")


def test_an_interrupted_build_is_not_taken_for_a_product(cache: Path) -> None:
    (cache / "thing-1").mkdir(parents=True)
    (cache / "thing-1" / "product").write_text("half")  # no stamp
    Cached("thing", "1").make("a", writes("whole", []))
    assert (cache / "thing-1" / "product").read_text() == "whole"


def test_a_missing_command_is_named() -> None:
    with pytest.raises(SetupError, match=r"fetching: no-such-command is not installed\."):
        step.run(["no-such-command"], what="fetching")


def test_keys_tell_parts_apart(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("ab")
    assert key_of("a", "b") != key_of("ab", "")
    assert key_of(file) == key_of("ab")


@pytest.mark.parametrize(("mode", "readable"), [(0o755, True), (0o700, False)])
def test_an_interpreter_in_a_closed_folder_is_seen(
    server_directory: Path, unique_name: str, mode: int, readable: bool
) -> None:
    folder = server_directory / unique_name
    folder.mkdir()
    program = folder / "python"
    program.touch(mode=0o755)
    folder.chmod(mode)
    assert readable_by_others(program) is readable


def test_an_old_python_is_told_in_a_sentence() -> None:
    program = "import runpy, sys; sys.version_info = (3, 9, 2); runpy.run_module('tools.setup', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "Headrace's set-up needs Python 3.11 or newer, and this is 3.9: "
        "install one and run `make setup PYTHON=python3.11`.\n"
    )


@pytest.mark.parametrize("name", ["tools/__init__.py", "tools/setup/__init__.py", "tools/setup/__main__.py"])
def test_what_an_old_python_reads_is_old_python(name: str) -> None:
    ast.parse((ROOT / name).read_text(), feature_version=(3, 6))


def test_set_up_of_this_checkout_has_nothing_to_do_and_is_quick() -> None:
    command = [sys.executable, "-m", "tools.setup"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "set-up done in" in done.stdout
