"""One caller's connection: TLS ends here, and what it carries goes to users' server and back as it is.

HTTP/2 is end to end between the caller and users' server, so deadlines, refusals, push-backs and flow control are theirs.
Nothing is read here but where the frames of answers end, to put a farewell between two of them. At most one chunk a
direction is held; who does not read is not read from.
"""

import select
import socket
import ssl

from dataplane.agent.http2_frames import FrameWalk, goaway

CHUNK_BYTES = 64 * 1024
CHUNKS_A_TURN = 16  # of one direction, before the other has its turn
READ, WRITE = select.POLLIN, select.POLLOUT


class Splice:
    """Two non-blocking sockets; run by one thread."""

    def __init__(self, caller: ssl.SSLSocket, users: socket.socket, farewell: int) -> None:
        """`farewell` is a descriptor that becomes readable when callers are to go elsewhere."""
        self._caller, self._users, self._farewell = caller, users, farewell
        self._to_users, self._to_caller = memoryview(b""), memoryview(b"")
        self._answers = FrameWalk()
        self._goaway = False  # to be said at the next boundary
        self._users_deaf = self._users_ended = False
        self._wants: dict[int, int] = {}
        self._poll = select.poll()
        caller.setblocking(False)
        users.setblocking(False)
        self._poll.register(farewell, READ)

    def run(self) -> None:
        """Until one of them ends. OSError (also ssl's) when a connection breaks."""
        caller, users = self._caller.fileno(), self._users.fileno()
        while True:
            listening = not self._to_users and not self._users_deaf
            self._want(caller, READ * listening | WRITE * bool(self._to_caller))
            self._want(users, READ * (not self._to_caller) | WRITE * bool(self._to_users))
            ready = dict(self._poll.poll())
            if self._farewell in ready:
                self._poll.unregister(self._farewell)
                self._goaway = True
            if not self._inwards():
                return
            self._outwards()
            if self._users_ended and not self._to_caller:
                return

    def _want(self, descriptor: int, events: int) -> None:
        if self._wants.get(descriptor, 0) == events:
            return
        if events:
            self._poll.register(descriptor, events)
        else:  # else one that has hung up would wake us again and again while its bytes cannot go on
            self._poll.unregister(descriptor)
        self._wants[descriptor] = events

    def _inwards(self) -> bool:
        """From the caller to users' server; False when the caller has gone."""
        for _ in range(0 if self._users_deaf else CHUNKS_A_TURN):
            if self._to_users:
                try:
                    self._to_users = self._to_users[self._users.send(self._to_users) :]
                except BlockingIOError:
                    return True
                except (BrokenPipeError, ConnectionResetError):  # it has gone: what it said before still goes out
                    self._users_deaf, self._to_users = True, memoryview(b"")
                    return True
                continue
            try:
                chunk = self._caller.recv(CHUNK_BYTES)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return True
            if not chunk:
                return False
            self._to_users = memoryview(chunk)
        return True

    def _outwards(self) -> None:
        """From users' server to the caller."""
        for _ in range(CHUNKS_A_TURN):
            if self._to_caller:
                try:
                    self._to_caller = self._to_caller[self._caller.send(self._to_caller) :]
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    return
                continue
            if self._goaway and self._answers.at_boundary:
                self._to_caller, self._goaway = memoryview(goaway()), False
                continue
            try:
                chunk = self._users.recv(CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self._users_ended = True
                return
            self._answers.passed(chunk)
            self._to_caller = memoryview(chunk)
