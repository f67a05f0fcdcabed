"""Tests of workflows in virtual time, on the interpreted Temporal of the simulator: `@in_play` instead of a server.

For long stories, and for what people say to a workflow while its activities run: Temporal's time-skipping test server
now and then refuses a workflow task ("invalid history builder state") when a signal and an activity's end come in the
same moment; the real one and the interpreted one bear it.
"""

from collections.abc import Awaitable, Callable

from tests.sim.temporal.playing import Play
from tests.sim.temporal.virtual import in_virtual_time


def in_play(test: Callable[[Play], Awaitable[None]]) -> Callable[[], None]:
    """A test without arguments; at its end everything that was started must have ended and replay."""

    async def told() -> None:
        play = Play()
        await test(play)
        assert await play.settled() == []

    def run() -> None:
        in_virtual_time(told())

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    return run
