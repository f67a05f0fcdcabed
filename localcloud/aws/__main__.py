"""Run the embedded AWS: `python -m localcloud.aws --port 5000 --machines process --state FILE`."""

import argparse
import logging
import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from localcloud.aws.boot_time import BootTime
from localcloud.aws.cloud import Cloud
from localcloud.aws.cloud_settings import CloudSettings
from localcloud.aws.front import Front
from localcloud.aws.iam.access import MODES, OFF
from localcloud.stop_signal import StopSignal

LOOPBACK = "127.0.0.1"
IDLE_CONNECTION_S_MAX = 120
ROOT_KEY_VARIABLE, ROOT_SECRET_VARIABLE = "LOCALCLOUD_AWS_ROOT_KEY_ID", "LOCALCLOUD_AWS_ROOT_SECRET"
PASSED_TO_MACHINES = ("PATH", "PYTHONPATH", "VIRTUAL_ENV")


class QuietHandler(WSGIRequestHandler):
    """Keeps connections open, and does not log each request."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_CONNECTION_S_MAX
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m localcloud.aws", description="An AWS on one machine.")
    parser.add_argument("--port", type=int, default=5000, help="0: any; the port is printed")
    parser.add_argument("--region", default=os.environ.get("AWS_REGION", "us-east-1"))
    parser.add_argument("--machines", choices=("virtual", "process"), default="virtual")
    parser.add_argument(
        "--boot-s",
        type=BootTime.parse,
        default=BootTime(),
        help="seconds that a machine takes to run, or lognormal:P50:P99",
    )
    parser.add_argument("--read-delay-s", type=float, default=0.0, help="seconds by which descriptions lag behind")
    parser.add_argument(
        "--throttle", choices=("none", "aws"), default="none", help="aws: by the token buckets that AWS has published"
    )
    parser.add_argument(
        "--iam",
        choices=MODES,
        default=OFF,
        help="roles: keys of IAM and STS are held to policies; enforce: and no others",
    )
    parser.add_argument("--state", type=Path, help="the file that survives a crash; without it nothing does")
    parser.add_argument(
        "--node-command", default=f"{shlex.quote(sys.executable)} -m dataplane.agent", help="what a machine runs"
    )
    return parser.parse_args(arguments)


def root_key(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """The account's own access key and secret; by the environment, because arguments can be read by everybody."""
    key, secret = environment.get(ROOT_KEY_VARIABLE), environment.get(ROOT_SECRET_VARIABLE)
    return (key, secret) if key and secret else None


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT, then end all machines."""
    options = parse(arguments)
    asked = StopSignal()  # first of all: whoever is told to end while it starts ends in order, with its machines
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    waiting = Deferred()
    server = make_server(LOOPBACK, options.port, waiting, threaded=True, request_handler=QuietHandler)
    settings = CloudSettings(
        endpoint=f"http://{LOOPBACK}:{server.port}",
        region=options.region,
        machines=options.machines,
        boot=options.boot_s,
        read_delay_s=options.read_delay_s,
        throttled=options.throttle == "aws",
        state=options.state.resolve() if options.state else None,
        iam=options.iam,
        root=root_key(os.environ),
        node_command=tuple(shlex.split(options.node_command)),
        node_path={name: os.environ[name] for name in PASSED_TO_MACHINES if name in os.environ},
    )
    cloud = Cloud(settings)
    waiting.application = Front(cloud)
    cloud.start()
    serving = threading.Thread(target=server.serve_forever, name="http", daemon=True)
    serving.start()
    print(server.port, flush=True)  # noqa: T201  whoever asked for any port reads it here
    asked.wait()
    server.shutdown()
    cloud.close()
    return 0


class Deferred:
    """An application that is known only after its port is: machines must be told where the front is."""

    application: Front

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer by the application."""
        return self.application(environ, start_response)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
