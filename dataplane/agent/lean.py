"""What keeps an agent small; imported before anything large, because it takes effect while that is loaded.

rich, which structlog would load to draw tracebacks for terminals, is kept out. The linear algebra that numpy brings gets
no threads of its own. A dozen threads share two heaps, and what they no longer need goes back to the system.
"""

import ctypes
import os
import sys

ARENA_MAX, ARENAS = -8, 2  # mallopt's number for it: a dozen threads would keep as many heaps
TRIM_THRESHOLD, TRIM_BYTES = -1, 256 * 1024  # the top of a heap above this size is given back at once

_libc = ctypes.CDLL(None)
_libc.mallopt(ARENA_MAX, ARENAS)
_libc.mallopt(TRIM_THRESHOLD, TRIM_BYTES)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # how Python says that a module is not there


def give_back() -> None:
    """Hand unused memory back to the system; a few milliseconds."""
    _libc.malloc_trim(0)
