"""Bodies of HTTP answers, whole and bounded."""

from collections.abc import Iterator
from http.client import HTTPResponse

from shared.domain.errors import InvalidInput, Unavailable

BLOCK_BYTES = 1024 * 1024


def read_whole(answer: HTTPResponse, what: str, bytes_max: int) -> bytes:
    """The body; InvalidInput when it is larger, Unavailable when the connection ended before all of it had come."""
    return b"".join(blocks_of(answer, what, bytes_max))


def blocks_of(answer: HTTPResponse, what: str, bytes_max: int) -> Iterator[bytes]:
    """In blocks; `HTTPResponse` itself does not say that a body was cut short when it is read in parts."""
    declared, size = answer.length, 0
    if declared is not None and declared > bytes_max:
        raise InvalidInput(f"{what}: {declared} bytes, at most {bytes_max} are read", remedy="make it smaller")
    while block := answer.read(BLOCK_BYTES):
        size += len(block)
        if size > bytes_max:
            raise InvalidInput(f"{what}: more than {bytes_max} bytes", remedy="make it smaller")
        yield block
    if declared is not None and size != declared:
        raise Unavailable(f"{what}: cut short: {size} of {declared} bytes came", retry_after_s=1.0)
