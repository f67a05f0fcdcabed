"""A worker process: loads users' code and runs it, one call at a time, for the server at the other end of a socket.

It writes the index of the event it is about to run into shared memory, so that the server knows which one was at fault
when this process dies or hangs. Results go back in groups, with what users' code measured meanwhile: when some time has
passed, or enough of them have gathered.
"""

import asyncio
import inspect
import json
import mmap
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from headrace_runtime.applying import Bound, Result, apply
from headrace_runtime.applying_async import apply_async
from headrace_runtime.declaring import Callback, Registry
from headrace_runtime.failures import Failure, failure_of
from headrace_runtime.frames import Closed, pack_results, receive, send
from headrace_runtime.loading import CodeError, load, told
from headrace_runtime.measuring import call_ends_at, recorder
from headrace_runtime.memory import keep_memory

FLUSH_S = 0.02
FLUSH_RESULTS_MAX = 500
FLUSH_BYTES = 1024 * 1024
PARENT_CHECK_S = 1.0
SECONDS = struct.Struct("<d")  # how long a call may take, in a request's second blob
_INDEX = struct.Struct("<q")
INDEX_BYTES = _INDEX.size
READY, BAD_CODE, NOT_YET = b"ready", b"error", b"later"


def read_index(shared: mmap.mmap) -> int:
    """The event that a worker was about to run."""
    return int(_INDEX.unpack_from(shared, 0)[0])


def reset_index(shared: mmap.mmap) -> None:
    """No event of the next call has begun."""
    _INDEX.pack_into(shared, 0, -1)


def main() -> None:
    """`CODE SOCKET_FD INDEX_FD`; ends when the server closes the socket."""
    folder, socket_fd, index_fd = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    connection = socket.socket(fileno=socket_fd)
    shared = mmap.mmap(index_fd, INDEX_BYTES)
    keep_memory()
    os.dup2(2, 1)  # what users print goes to the log
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    with asyncio.Runner() as runner:
        try:
            registry, bound = load(folder)
            _run_all(registry.set_ups, runner)
        except CodeError as e:
            send(connection, [BAD_CODE, str(e).encode(errors="replace")])
            return
        except (Exception, SystemExit) as e:
            kind = NOT_YET if failure_of(e).recoverable else BAD_CODE
            send(connection, [kind, f"set-up failed: {told(e, folder)}".encode(errors="replace")])
            return
        declared = sorted(registry.functions.values(), key=lambda f: f.name)
        send(connection, [READY, *(part.encode() for f in declared for part in (f.name, f.kind))])
        _serve(connection, bound, shared, runner)
        _tear_down(registry, runner, folder)


def _run_all(callbacks: Iterable[Callback], runner: asyncio.Runner) -> None:
    for callback in callbacks:
        if inspect.iscoroutinefunction(callback):
            runner.run(callback())
        else:
            callback()


def _tear_down(registry: Registry, runner: asyncio.Runner, folder: Path) -> None:
    for callback in reversed(registry.tear_downs):
        try:
            _run_all([callback], runner)
        except (Exception, SystemExit) as e:  # the others still get their turn
            print(f"tear-down failed: {told(e, folder)}", file=sys.stderr)  # noqa: T201  the log of users' process


def _end_with_parent(parent: int) -> None:
    """A killed server must not leave users' code running."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os._exit(1)


def _serve(connection: socket.socket, bound: dict[str, Bound], shared: mmap.mmap, runner: asyncio.Runner) -> None:
    try:
        while True:
            name, allowed, *events = receive(connection)
            ends_at = time.monotonic() + float(SECONDS.unpack(allowed)[0])
            call_ends_at(ends_at)
            _answer(connection, _results(bound[name.decode()], events, ends_at, shared, runner))
    except (Closed, BrokenPipeError, ConnectionResetError):
        return


def _results(
    bound: Bound, events: Sequence[bytes], ends_at: float, shared: mmap.mmap, runner: asyncio.Runner
) -> Iterable[Result]:
    if not bound.function.is_async:
        return apply(bound, events, lambda i: _INDEX.pack_into(shared, 0, i))
    _INDEX.pack_into(shared, 0, 0)
    return runner.run(apply_async(bound, events, ends_at))


def _answer(connection: socket.socket, results: Iterable[Result]) -> None:
    ready: list[Result] = []
    size, flushed_at = 0, time.monotonic()
    for result in results:
        ready.append(result)
        size += 0 if isinstance(result, Failure) else sum(map(len, result))
        if len(ready) >= FLUSH_RESULTS_MAX or size >= FLUSH_BYTES or time.monotonic() - flushed_at >= FLUSH_S:
            _flush(connection, ready)
            ready, size, flushed_at = [], 0, time.monotonic()
    if ready:
        _flush(connection, ready)


def _flush(connection: socket.socket, results: list[Result]) -> None:
    measured = recorder.taken()
    send(connection, [json.dumps(measured).encode() if measured else b"", *pack_results(results)])


if __name__ == "__main__":
    main()
