"""Servers of a killed test run are ended by the next one; those of a run that goes on are not."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.leftovers import PREFIX, end_leftovers, note


@pytest.mark.parametrize("run_is_over", [True, False])
def test_what_a_run_left(tmp_path: Path, run_is_over: bool) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    run, server = (subprocess.Popen(command, start_new_session=True) for _ in range(2))
    directory = tmp_path / f"{PREFIX}x"
    directory.mkdir()
    for process in (run, server):
        note(directory, process.pid)
    try:
        if run_is_over:
            run.kill()
            run.wait(60)
        assert end_leftovers(tmp_path) == ([directory.name] if run_is_over else [])
        assert directory.exists() is not run_is_over
        if run_is_over:
            assert server.wait(60) == -9
        else:
            assert psutil.Process(server.pid).is_running()
    finally:
        for process in (run, server):
            process.kill()
            process.wait(60)


def test_a_folder_without_a_note_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}y").mkdir()
    assert end_leftovers(tmp_path) == []
    assert (tmp_path / f"{PREFIX}y").exists()
