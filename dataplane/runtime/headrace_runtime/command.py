"""`headrace-runtime serve`, `check` and `rate`."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
from headrace_runtime import __version__
from headrace_runtime.checking import check
from headrace_runtime.memory import keep_memory
from headrace_runtime.rating_command import rate
from headrace_runtime.server import Listen, TransformServer
from headrace_runtime.worker_process import LoadError

GRACE_S = 10.0
WORKERS_MAX, CALLS_MAX = 64, 1024
EXIT_BAD_CODE = 3  # loading users' code failed: starting again would not help


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 an event failed in a check, 2 wrong use, 3 the code cannot be served."""
    options = _parser().parse_args(arguments)
    if options.command == "check":
        return _check(options)
    if options.command == "rate":
        return _rate(options)
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
    serve.add_argument("--tcp", default="", metavar="HOST:PORT", help="without TLS: for your own machine")
    serve.add_argument(
        "--workers", type=_number(WORKERS_MAX), default=1, metavar="N", help="processes that run the code"
    )
    serve.add_argument(
        "--calls", type=_number(CALLS_MAX), default=0, metavar="N", help="calls at once; more are told to come back"
    )
    serve.add_argument("--end-with-stdin", action="store_true", help="stop when standard input is closed")
    checking = commands.add_parser("check", help="load a folder, say what it declares, and try it on events")
    checking.add_argument("--code", type=Path, required=True, help="folder of users' code")
    checking.add_argument("--events", type=Path, help="JSON, one event a line: run them and print what becomes of each")
    checking.add_argument("--function", default="", help="for --events; may be left out when there is one")
    rating = commands.add_parser(
        "rate", help="drive load in steps until a promise breaks: what one node of this kind does"
    )
    rating.add_argument("--code", type=Path, required=True, help="folder of users' code")
    rating.add_argument("--events", type=Path, required=True, help="a sample of events: JSON, one a line")
    rating.add_argument("--function", default="", help="may be left out when there is one")
    rating.add_argument("--latency-ms", type=_real(600_000.0), default=250.0, help="p95 of a call that must hold")
    rating.add_argument("--errors", type=_real(1.0), default=0.01, help="share of messages that may fail")
    rating.add_argument("--workers", type=_number(WORKERS_MAX), default=1, metavar="N", help="as the node has them")
    rating.add_argument("--batch", type=_number(10_000), default=50, metavar="N", help="events of a call")
    rating.add_argument("--step-s", type=_real(600.0), default=5.0, help="seconds of a step")
    rating.add_argument("--first", type=_real(1e6), default=200.0, help="messages/s of the first step")
    rating.add_argument("--node-type", default="", help="for the record")
    rating.add_argument("--since", type=Path, help="an earlier rating: say what has changed")
    rating.add_argument("--output", type=Path, help="keep the rating here, as JSON")
    return parser


def _real(most: float) -> Callable[[str], float]:
    def real(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"{text}: use a number above 0, at most {most:g}")
        return value

    return real


def _number(most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text}: use 1 to {most}")
        return int(text)

    return number


def _check(options: argparse.Namespace) -> int:
    try:
        failed = check(options.code.absolute(), options.function, options.events)
    except LoadError as e:
        print(f"{options.code}: {e}", file=sys.stderr)  # noqa: T201  a command
        return EXIT_BAD_CODE
    except (OSError, LookupError) as e:
        print(f"check: {e}", file=sys.stderr)  # noqa: T201  a command
        return 2
    return 1 if failed else 0


def _rate(options: argparse.Namespace) -> int:
    try:
        return rate(options)
    except LoadError as e:
        print(f"{options.code}: {e}", file=sys.stderr)  # noqa: T201  a command
        return EXIT_BAD_CODE
    except (OSError, ValueError, LookupError) as e:
        print(f"rate: {e}", file=sys.stderr)  # noqa: T201  a command
        return 2
    except grpc.RpcError as e:
        print(f"rate: the first call failed: {e.code().name}: {e.details()}", file=sys.stderr)  # noqa: T201  a command
        return 2


def _serve(options: argparse.Namespace) -> int:
    keep_memory()
    listen = Listen(options.socket, options.tcp)
    server = TransformServer(options.code.absolute(), listen, options.workers, options.calls)
    stopping = threading.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: stopping.set())
    if options.end_with_stdin:
        threading.Thread(target=_await_end_of_stdin, args=(stopping,), daemon=True).start()
    code: list[int] = []

    def start() -> None:
        """Beside the wait for the end: a set-up that cannot succeed yet is tried for as long as it takes."""
        try:
            server.start()
        except LoadError as e:
            print(f"{options.code}: {e}", file=sys.stderr)  # noqa: T201  a command
            code.append(EXIT_BAD_CODE)
            stopping.set()
        except (OSError, RuntimeError) as e:
            print(f"serve: cannot listen at {options.tcp or options.socket}: {e}", file=sys.stderr)  # noqa: T201  a command
            code.append(1)
            stopping.set()

    starting = threading.Thread(target=start, name="starting")
    starting.start()
    stopping.wait()
    server.stop(0 if code else GRACE_S)
    starting.join()
    return code[0] if code else 0


def _await_end_of_stdin(stopping: threading.Event) -> None:
    """Whoever started this process holds the other end: it is closed also when they are killed."""
    while os.read(0, 1024):
        continue
    stopping.set()
