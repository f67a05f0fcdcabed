"""Run the stand-in provider: `python -m localcloud.aws.pulumi_provider --port PORT`, then PULUMI_DEBUG_PROVIDERS=aws:PORT.

AWS is found by the standard environment (AWS_ENDPOINT_URL, AWS_REGION, keys).
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from concurrent import futures

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from localcloud.aws.pulumi.provider import AwsErrors, Provider
from localcloud.aws.pulumi.resource import Context, make_clients
from localcloud.stop_signal import StopSignal

LOOPBACK = "127.0.0.1"
CALLS_MAX = 64
MESSAGE_BYTES_MAX = 400 << 20  # the engine's own limit
STOP_S_MAX = 5.0
ACCOUNT = "123456789012"
REGION_DEFAULT = "us-east-1"


def serve(port: int) -> tuple[grpc.Server, int]:
    """A server that runs, and its port (0: any)."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or REGION_DEFAULT
    context = Context(make_clients(region), ACCOUNT, region)
    server = grpc.server(
        futures.ThreadPoolExecutor(CALLS_MAX),
        interceptors=[AwsErrors()],
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(context), server)
    bound = server.add_insecure_port(f"{LOOPBACK}:{port}")
    server.start()
    return server, bound


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m localcloud.aws.pulumi_provider")
    parser.add_argument("--port", type=int, default=0, help="0: any; the port is printed")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    server, port = serve(options.port)
    asked = StopSignal()
    print(port, flush=True)  # noqa: T201  whoever asked for any port reads it here
    asked.wait()
    server.stop(STOP_S_MAX).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
