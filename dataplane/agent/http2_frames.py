"""As much of HTTP/2 (RFC 9113) as it takes to tell a caller to go elsewhere, between two frames that others have written."""

import struct

HEADER_BYTES = 9  # length (24 bits), type, flags, stream
GOAWAY, SETTINGS = 0x7, 0x4
NO_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY = 0x0, 0xB, 0xC
STREAM_MAX = 2**31 - 1
TEXT_BYTES_MAX = 400


def goaway(code: int, text: str = "", last_stream: int = STREAM_MAX) -> bytes:
    """No new calls on this connection; those up to `last_stream` go on.

    >>> goaway(NO_ERROR).hex()
    '0000080700000000007fffffff00000000'
    """
    debug = text.encode()[:TEXT_BYTES_MAX]
    return _header(8 + len(debug), GOAWAY) + struct.pack(">II", last_stream, code) + debug


def refusal(code: int, text: str) -> bytes:
    """All that a server says to a caller whose calls it does not take."""
    return _header(0, SETTINGS) + goaway(code, text, last_stream=0)


class FrameWalk:
    r"""Where frames end in bytes that pass by.

    >>> walk = FrameWalk()
    >>> walk.at_boundary
    True
    >>> walk.passed(bytes.fromhex("000002")); walk.passed(bytes.fromhex("000000000001") + b"a"); walk.at_boundary
    False
    >>> walk.passed(b"b"); walk.at_boundary
    True
    """

    def __init__(self) -> None:
        """Nothing has passed."""
        self._header = b""
        self._left = 0  # of the frame's payload

    @property
    def at_boundary(self) -> bool:
        """Whether a frame may be put in here."""
        return not self._left and not self._header

    def passed(self, chunk: bytes | memoryview) -> None:
        """These bytes came next."""
        place, end = 0, len(chunk)
        while place < end:
            if self._left:
                step = min(self._left, end - place)
                self._left -= step
                place += step
                continue
            step = min(HEADER_BYTES - len(self._header), end - place)
            self._header += bytes(chunk[place : place + step])
            place += step
            if len(self._header) == HEADER_BYTES:
                self._left, self._header = int.from_bytes(self._header[:3]), b""


def _header(length: int, kind: int) -> bytes:
    return length.to_bytes(3) + bytes((kind, 0)) + bytes(4)
