"""As much of HTTP/2 (RFC 9113) and gRPC's protocol on it as it takes to turn a caller away, and to send one elsewhere."""

import struct
from urllib.parse import quote

PREFACE_BYTES = 24  # what a client says first
HEAD_BYTES = 9  # length (24 bits), type, flags, stream
HEADERS, SETTINGS, GOAWAY = 0x1, 0x4, 0x7
END_OF_STREAM_AND_HEADERS = 0x5
NO_ERROR = 0x0
STREAM_MAX = 2**31 - 1
STATUS_200 = b"\x88"  # of HPACK's static table (RFC 7541, appendix A)
LITERAL = b"\x00"  # a field that neither side keeps, with its name
INTEGER_PREFIX_MAX = 127
TEXT_MAX = 400
PRINTABLE = "".join(chr(n) for n in range(0x20, 0x7F) if chr(n) != "%")  # what gRPC sends of a message as it is


def settings() -> bytes:
    """What a server says first: everything as the standard has it."""
    return _head(0, SETTINGS)


def goaway(last_stream: int = STREAM_MAX) -> bytes:
    """No new calls on this connection; those up to `last_stream` go on.

    >>> goaway().hex()
    '0000080700000000007fffffff00000000'
    """
    return _head(8, GOAWAY) + struct.pack(">II", last_stream, NO_ERROR)


def refused_call(stream: int, status: int, text: str, *more: tuple[str, str]) -> bytes:
    """The whole answer to a call: a gRPC status with its text, and `more` fields; no call after it is taken."""
    fields = [("content-type", "application/grpc"), ("grpc-status", str(status))]
    fields += [("grpc-message", quote(text[:TEXT_MAX], safe=PRINTABLE)), *more]
    block = STATUS_200 + b"".join(LITERAL + _text(name) + _text(value) for name, value in fields)
    return _head(len(block), HEADERS, END_OF_STREAM_AND_HEADERS, stream) + block + goaway(stream)


class FrameWalk:
    r"""Where frames begin and end in bytes that pass by.

    >>> walk = FrameWalk()
    >>> walk.at_boundary
    True
    >>> walk.passed(bytes.fromhex("000002")), walk.passed(bytes.fromhex("010000000003") + b"a"), walk.at_boundary
    ([], [(1, 3)], False)
    >>> walk.passed(b"b"), walk.at_boundary
    ([], True)
    """

    def __init__(self, skip: int = 0) -> None:
        """Nothing has passed; `skip` bytes come before the first frame."""
        self._head = b""
        self._left = skip  # of what is passing

    @property
    def at_boundary(self) -> bool:
        """Whether a frame may be put in here."""
        return not self._left and not self._head

    def passed(self, chunk: bytes) -> list[tuple[int, int]]:
        """These bytes came next; type and stream of the frames that began in them."""
        began: list[tuple[int, int]] = []
        place, end = 0, len(chunk)
        while place < end:
            if self._left:
                step = min(self._left, end - place)
                self._left -= step
                place += step
                continue
            step = min(HEAD_BYTES - len(self._head), end - place)
            self._head += chunk[place : place + step]
            place += step
            if len(self._head) == HEAD_BYTES:
                began.append((self._head[3], int.from_bytes(self._head[5:]) & STREAM_MAX))
                self._left, self._head = int.from_bytes(self._head[:3]), b""
        return began


def _head(length: int, kind: int, flags: int = 0, stream: int = 0) -> bytes:
    return length.to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4)


def _text(text: str) -> bytes:
    """HPACK's text: its length as an integer of seven bits and more, then the characters as they are."""
    raw = text.encode()
    if len(raw) < INTEGER_PREFIX_MAX:
        return bytes((len(raw),)) + raw
    length, rest = bytes((INTEGER_PREFIX_MAX,)), len(raw) - INTEGER_PREFIX_MAX
    while rest >= 0x80:  # noqa: PLR2004  seven bits a byte
        length, rest = length + bytes((rest & 0x7F | 0x80,)), rest >> 7
    return length + bytes((rest,)) + raw
