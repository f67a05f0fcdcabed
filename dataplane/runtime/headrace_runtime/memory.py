"""Large payloads in linear time: memory that was used for one is kept for the next.

By default the C library gives blocks of megabytes back to the system after each call, and gets them again page by page;
that cost a third of the time, and more a byte the larger the payload was. What is kept is bounded.
"""

import ctypes

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # mallopt's numbers for them
LARGE_BYTES, KEPT_BYTES = 32 * 1024**2, 64 * 1024**2


def keep_memory() -> None:
    """Of this process, from now on; a C library without these settings is left as it is."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
