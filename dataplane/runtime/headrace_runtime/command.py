"""`headrace-runtime serve` and `headrace-runtime check`."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from headrace_runtime import __version__
from headrace_runtime.server import Listen, TransformServer
from headrace_runtime.workers import LoadError, WorkerPool

GRACE_S = 10.0
WORKERS_MAX = 64
EXIT_BAD_CODE = 3  # loading users' code failed: starting again would not help


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 done, 2 wrong use, 3 the code cannot be served."""
    options = _parser().parse_args(arguments)
    if options.command == "check":
        return _check(options.code)
    if not options.socket and not options.tcp:
        print("serve: give --socket PATH, --tcp HOST:PORT or both", file=sys.stderr)  # noqa: T201  a command
        return 2
    return _serve(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="headrace-runtime", description="Run @transform functions.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve a folder's functions over gRPC")
    serve.add_argument("--code", type=Path, required=True, help="folder of users' code")
    serve.add_argument("--socket", type=Path, help="path of the Unix socket")
    serve.add_argument("--tcp", default="", help="host:port")
    serve.add_argument("--workers", type=int, default=1, choices=range(1, WORKERS_MAX + 1), metavar="N")
    serve.add_argument("--end-with-stdin", action="store_true", help="stop when standard input is closed")
    check = commands.add_parser("check", help="load a folder and say what it declares")
    check.add_argument("--code", type=Path, required=True, help="folder of users' code")
    return parser


def _check(code: Path) -> int:
    pool = WorkerPool(code.absolute(), 1)
    try:
        pool.start()
    except LoadError as e:
        print(f"{code}: {e}", file=sys.stderr)  # noqa: T201  a command
        return EXIT_BAD_CODE
    for name, batch in sorted(pool.functions.items()):
        print(f"{name}{' (batch)' if batch else ''}")  # noqa: T201  a command
    pool.stop()
    return 0


def _serve(options: argparse.Namespace) -> int:
    server = TransformServer(options.code.absolute(), Listen(options.socket, options.tcp), options.workers)
    stopping = threading.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: stopping.set())
    if options.end_with_stdin:
        threading.Thread(target=_await_end_of_stdin, args=(stopping,), daemon=True).start()
    try:
        server.start()
    except LoadError as e:
        print(f"{options.code}: {e}", file=sys.stderr)  # noqa: T201  a command
        server.stop(0)
        return EXIT_BAD_CODE
    stopping.wait()
    server.stop(GRACE_S)
    return 0


def _await_end_of_stdin(stopping: threading.Event) -> None:
    """Whoever started this process holds the other end: it is closed also when they are killed."""
    while os.read(0, 1024):
        continue
    stopping.set()
