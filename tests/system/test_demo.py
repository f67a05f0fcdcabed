"""The one system test: the demo itself, on real servers, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO_S_MAX = 900.0


@pytest.mark.demo
@pytest.mark.timeout(DEMO_S_MAX + 60)
def test_the_demo_sees_every_expected_outcome() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo"], cwd=ROOT, capture_output=True, text=True, timeout=DEMO_S_MAX, check=False
    )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-4_000:]
