"""Runs the steps, prints the seconds of each, and ends with the sentence of each that failed.

The Python packages come first, because later steps use `uv` from them; the others do not need one another and run at
the same time: the build of the Pulumi command takes minutes, and everything else fits beside it.
"""

import fcntl
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.setup.flights_data import FlightsData
from tools.setup.kafka_broker import KafkaBroker
from tools.setup.prometheus_server import PrometheusServer
from tools.setup.pulumi_cli import PulumiCli
from tools.setup.python_packages import VENV, PythonPackages
from tools.setup.runtime_wheel import RuntimeWheel
from tools.setup.step import TOOLS, SetupError, Step, link

AT_ONCE = 2


def later_steps() -> list[Step]:
    """What comes after the Python packages; the longest first."""
    return [PulumiCli(), PrometheusServer(), KafkaBroker(), RuntimeWheel(), FlightsData()]


def main() -> int:
    """Make what is not ready; returns the exit code."""
    TOOLS.mkdir(exist_ok=True)
    began = time.monotonic()
    with (TOOLS / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two set-ups of one checkout take turns
        failures = set_up(began)
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    if failures:
        print(f"\nset-up is not complete; run it again when this is mended ({len(failures)} to mend)", file=sys.stderr)
        return 1
    print(f"set-up done in {time.monotonic() - began:.1f} s")
    return 0


def set_up(began: float) -> Sequence[str]:
    """Make what is not ready; returns a sentence for each step that failed."""
    try:
        packages = PythonPackages()
    except SetupError as error:
        return [str(error)]
    failure = _do(packages, began)
    if failure:
        return [failure]
    link("bin/uv", Path(VENV / "bin" / "uv"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = pool.map(lambda step: _do(step, began), later_steps())
    return [failure for failure in results if failure]


def _do(step: Step, began: float) -> str:
    """Make one thing unless it is ready; returns what went wrong, or nothing."""
    start = time.monotonic()
    try:
        if step.ready():
            said = "ready"
        else:
            print(f"  {step.name:<24} started at {start - began:.0f} s", flush=True)
            step.make()
            said = f"made in {time.monotonic() - start:.1f} s"
    except SetupError as error:
        print(f"  {step.name:<24} FAILED after {time.monotonic() - start:.1f} s", flush=True)
        return str(error)
    print(f"  {step.name:<24} {said}", flush=True)
    return ""
