"""Waiting for SIGTERM or SIGINT in a process that has other threads."""

import os
import signal


class StopSignal:
    """Remembers from its making on that the process was asked to end.

    By a pipe and not by an `Event` that a handler sets: a signal that another thread takes, or that comes just before the
    main thread waits for the event's lock, wakes no lock, and the process would wait for a second signal.
    """

    def __init__(self) -> None:
        """In the main thread."""
        self._asked, told = os.pipe()
        os.set_blocking(told, False)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def wait(self) -> None:
        """Until it was."""
        os.read(self._asked, 1)
