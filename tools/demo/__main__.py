"""Runs the ten steps; exit code 0 only if every expected outcome was seen. `KEEP=1` leaves the stack running."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack

import httpx

from localcloud.state import DIRECTORY
from tools.demo.command import headrace
from tools.demo.flow import Flow
from tools.demo.memory import PeakMemory
from tools.demo.narrator import Narrator
from tools.demo.stack import aws_environment
from tools.demo.steps_change import bad_revision, good_revision, load_rises
from tools.demo.steps_create import apply_and_ramp, flow_events, start_stack
from tools.demo.steps_trouble import drift, killed_deployer, load_falls
from tools.demo.world import Api, Aws, Receiver

MEMORY_MB_MAX = 4096.0
SECONDS_MAX = 300.0


def main() -> int:
    """The whole story."""
    tell = Narrator()
    with ExitStack() as undo:
        if not os.environ.get("KEEP"):
            undo.callback(lambda: tell.say(headrace("down").text.splitlines()[-1]))
        receiver = Receiver.start()
        undo.callback(receiver.stop)
        if start_stack(tell):
            _story(tell, receiver, undo)
        seen = tell.summary()
    return 0 if seen else 1


def _story(tell: Narrator, receiver: Receiver, undo: ExitStack) -> None:
    peak = PeakMemory()
    undo.callback(peak.stop)
    api, aws = Api(), Aws(aws_environment(DIRECTORY))
    flow = Flow(api, receiver)
    undo.callback(flow.replay.stop)
    if not apply_and_ramp(tell, api, aws, flow):
        return
    steps: tuple[Callable[[], None], ...] = (
        lambda: flow_events(tell, flow),
        lambda: load_rises(tell, api, aws, flow),
        lambda: good_revision(tell, aws),
        lambda: bad_revision(tell, api, aws, flow),
        lambda: drift(tell, api, aws),
        lambda: killed_deployer(tell, api, aws),
        lambda: load_falls(tell, api, aws, flow),
    )
    for step in steps:
        try:
            step()
        except (OSError, LookupError, RuntimeError, ValueError, subprocess.SubprocessError, httpx.HTTPError) as e:
            tell.expect("the step could be carried out", seen=False, detail=f"{type(e).__name__}: {e}")
    tell.measure("resident memory at the peak", peak.megabytes, MEMORY_MB_MAX, "MB")
    tell.measure("the whole demo", tell.seconds, SECONDS_MAX, "s")


if __name__ == "__main__":
    sys.exit(main())
