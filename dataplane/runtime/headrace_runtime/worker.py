"""A worker process: loads users' code and runs it, one call at a time, for the server at the other end of a socket.

It writes the index of the event it is about to run into shared memory, so that the server knows which one was at fault
when this process dies or hangs. Results go back in groups: when some time has passed or enough have gathered.
"""

import mmap
import os
import socket
import struct
import sys
import threading
import time
from pathlib import Path

from headrace_runtime.applying import Result, apply
from headrace_runtime.declaring import Registry
from headrace_runtime.frames import Closed, pack_results, receive, send
from headrace_runtime.loading import CodeError, load

FLUSH_S = 0.02
PARENT_CHECK_S = 1.0
FLUSH_RESULTS_MAX = 500
_INDEX = struct.Struct("<q")
INDEX_BYTES = _INDEX.size
BATCH, SINGLE = b"b", b"s"  # before a function's name, when the worker says what it has


def read_index(shared: mmap.mmap) -> int:
    """The event that a worker was about to run."""
    return int(_INDEX.unpack_from(shared, 0)[0])


def reset_index(shared: mmap.mmap) -> None:
    """No event of the next call has begun."""
    _INDEX.pack_into(shared, 0, -1)


def main() -> None:
    """`python -m headrace_runtime.worker CODE SOCKET_FD INDEX_FD`; ends when the server closes the socket."""
    folder, socket_fd, index_fd = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    connection = socket.socket(fileno=socket_fd)
    shared = mmap.mmap(index_fd, INDEX_BYTES)
    os.dup2(2, 1)  # what users print goes to the log
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        functions = load(folder)
    except CodeError as e:
        send(connection, [b"error", str(e).encode(errors="replace")])
        return
    declared = sorted(functions.functions.values(), key=lambda f: f.name)
    send(connection, [b"ready", *((BATCH if f.batch else SINGLE) + f.name.encode() for f in declared)])
    try:
        while True:
            name, *events = receive(connection)
            _serve(connection, functions, name.decode(), events, shared)
    except (Closed, BrokenPipeError, ConnectionResetError):
        return


def _end_with_parent(parent: int) -> None:
    """A killed server must not leave users' code running."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os._exit(1)


def _serve(connection: socket.socket, functions: Registry, name: str, events: list[bytes], shared: mmap.mmap) -> None:
    ready: list[Result] = []
    flushed_at = time.monotonic()
    for result in apply(functions.find(name), events, lambda i: _INDEX.pack_into(shared, 0, i)):
        ready.append(result)
        if len(ready) >= FLUSH_RESULTS_MAX or time.monotonic() - flushed_at >= FLUSH_S:
            send(connection, pack_results(ready))
            ready = []
            flushed_at = time.monotonic()
    if ready:
        send(connection, pack_results(ready))


if __name__ == "__main__":
    main()
