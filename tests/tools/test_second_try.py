"""What `make test` does with tests that fail: few are tried once more alone, and only what passes then is forgiven."""

from pathlib import Path

import pytest

from tools.test import TRIED_AGAIN_MAX, run_all

PROJECT = '[tool.pytest.ini_options]\ncache_dir = ".tools/cache/pytest"\n'
LATE = """
from pathlib import Path
def test_late():
    tried = Path(__file__).with_name("tried")
    before = tried.exists()
    tried.touch()
    assert before
"""
SUITES = (("the tests", ("-q",)), ("the others", ("-q", "-k", "other")))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "test_well.py").write_text("def test_well(): pass\ndef test_other(): pass\n")
    return tmp_path


def test_what_passes_alone_is_named_and_the_rest_goes_on(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "test_late.py").write_text(LATE)
    assert run_all(project, SUITES) == 0
    said = capfd.readouterr().out
    assert "UNSTEADY: test_late.py::test_late" in said
    assert "1 passed, 2 deselected" in said  # the second suite ran


def test_what_fails_again_fails_the_run(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "test_wrong.py").write_text("def test_wrong(): assert False\n")
    (project / "test_late.py").write_text(LATE)
    assert run_all(project, SUITES) == 1
    said = capfd.readouterr().out
    assert "UNSTEADY" not in said
    assert "deselected" not in said


def test_many_failures_are_not_tried_again(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    late = "".join(
        LATE.replace("test_late", f"test_{n}").replace('"tried"', f'"{n}"') for n in range(TRIED_AGAIN_MAX + 1)
    )
    (project / "test_late.py").write_text(late)
    assert run_all(project, SUITES) == 1
    assert "tried once more" not in capfd.readouterr().out


def test_what_cannot_be_collected_is_not_a_late_test(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "test_broken.py").write_text("import there_is_no_such_module\n")
    assert run_all(project, SUITES) != 0
    assert "tried once more" not in capfd.readouterr().out
