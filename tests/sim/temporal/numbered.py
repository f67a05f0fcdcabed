"""Ids of requests that Temporal's own client makes up: numbered here, so that a run repeats."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import temporalio.client._impl as client


class _Numbered:
    """As much of the module `uuid` as the client uses."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def uuid4(self) -> str:
        return f"request-{next(self._count)}"


@contextmanager
def numbered_requests() -> Iterator[None]:
    """While this holds, ids of requests are 1, 2, 3."""
    module: Any = client
    before = module.uuid
    module.uuid = _Numbered()
    try:
        yield
    finally:
        module.uuid = before
