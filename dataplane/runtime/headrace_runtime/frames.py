"""Messages between the server and a worker over a socket: a length, then blobs with their lengths.

A request is the function's name and its events; results come back in order, in as many messages as the worker likes.
"""

import socket
import struct
from collections.abc import Iterable, Sequence

from headrace_runtime.applying import Result
from headrace_runtime.failures import Failure

MESSAGE_BYTES_MAX = 256 * 1024 * 1024
LARGE_BYTES = 64 * 1024
_LENGTH = struct.Struct("<I")
_OUTPUTS, _RECOVERABLE, _NON_RECOVERABLE = b"o", b"r", b"n"
_COUNT_BLOB = 4


class Closed(ConnectionError):
    """The other side is gone."""


def send(connection: socket.socket, blobs: Sequence[bytes]) -> None:
    """One message; large blobs go as they are, without a copy."""
    total = sum(map(len, blobs)) + _LENGTH.size * len(blobs)
    waiting: list[bytes] = [_LENGTH.pack(total)]
    for blob in blobs:
        waiting.append(_LENGTH.pack(len(blob)))
        if len(blob) < LARGE_BYTES:
            waiting.append(blob)
        else:
            connection.sendall(b"".join(waiting))
            connection.sendall(blob)
            waiting = []
    if waiting:
        connection.sendall(b"".join(waiting))


def receive(connection: socket.socket) -> list[bytes]:
    """One message; Closed at its end, TimeoutError by the socket's own timeout."""
    length = _LENGTH.unpack(_exactly(connection, _LENGTH.size))[0]
    if length > MESSAGE_BYTES_MAX:
        raise Closed(f"a message of {length} bytes, at most {MESSAGE_BYTES_MAX}")
    body = memoryview(_exactly(connection, length))
    blobs, at = [], 0
    while at < length:
        size = _LENGTH.unpack_from(body, at)[0]
        at += _LENGTH.size
        blobs.append(body[at : at + size].tobytes())
        at += size
    return blobs


def _exactly(connection: socket.socket, size: int) -> bytearray:
    body = bytearray(size)
    rest = memoryview(body)
    while rest:
        got = connection.recv_into(rest)
        if not got:
            raise Closed("the other side closed the connection")
        rest = rest[got:]
    return body


def pack_results(results: Iterable[Result]) -> list[bytes]:
    """Results as blobs: a kind and a count, then as many blobs."""
    blobs: list[bytes] = []
    for result in results:
        match result:
            case Failure():
                kind = _RECOVERABLE if result.recoverable else _NON_RECOVERABLE
                blobs += [kind, _LENGTH.pack(2), result.reason.encode(errors="replace")]
                blobs.append(str(result.message).encode(errors="replace"))
            case _:
                blobs += [_OUTPUTS, _LENGTH.pack(len(result)), *result]
    return blobs


def unpack_results(blobs: Sequence[bytes], most: int) -> list[Result]:
    """The inverse of `pack_results`; ValueError when there are more than `most`.

    >>> unpack_results(pack_results([(b"1", b"2"), (), Failure(True, "Busy", "later")]), 3)
    [(b'1', b'2'), (), Failure(recoverable=True, reason='Busy', message='later')]
    """
    results: list[Result] = []
    at = 0
    while at < len(blobs):
        kind, count = blobs[at], _LENGTH.unpack(blobs[at + 1])[0]
        parts = blobs[at + 2 : at + 2 + count]
        at += 2 + count
        if kind == _OUTPUTS:
            results.append(tuple(parts))
        else:
            results.append(Failure(kind == _RECOVERABLE, parts[0].decode(), parts[1].decode()))
    if len(results) > most:
        raise ValueError(f"{len(results)} results for {most} events")
    return results
