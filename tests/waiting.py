"""Waiting for a condition, with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")
LOOK_EVERY_S = 0.1


async def eventually(look: Callable[[], Awaitable[Found | None]], within_s: float = 60.0) -> Found:
    """What `look` gives once it is not None; TimeoutError after the deadline."""
    async with asyncio.timeout(within_s):
        while True:
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(LOOK_EVERY_S)
