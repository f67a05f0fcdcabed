"""`python -m dataplane.client.driving`: one step of load on one node, straight to it, over mutual TLS.

Its first line of input is the order (JSON), its one line of output the answer: the step that was driven, what the steps
have found, or an error. It is a process of its own, because sending takes a core; it ends with its input, so that it
never outlives who ordered it.
"""

import json
import os
import sys
import threading
from base64 import b64decode
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import grpc
from headrace_runtime.rating import Promise, Rating, Step, decide, holds
from headrace_runtime.rating_load import Load, drive_step, requests_of
from headrace_runtime.v1.transform_pb2_grpc import TransformServiceStub

from dataplane.client.connections import OPTIONS
from shared.grpc.tls import channel_credentials

ORDER_BYTES_MAX = 16 * 1024 * 1024
FIRST_CALL_S_MAX = 60.0  # it pays for what users' code puts off
DETAIL_LENGTH_MAX = 300


def answer_to(order: dict[str, Any]) -> dict[str, Any]:
    """`{"step": ...}`, `{"found": ...}` or `{"error": {"code", "message"}}`."""
    promise = Promise(order["latency_s"], order["errors_max"])
    steps = [Step(**s) for s in order["steps"]]
    next_ = decide(steps, promise, order["first"])
    if isinstance(next_, Rating):
        return {"found": {"rate": next_.rate, "low": next_.low, "high": next_.high, "note": next_.note}}
    load = Load(order["function"], order["batch"], order["step_s"], 1, order["first"])
    requests = requests_of([b64decode(e) for e in order["events"]], load)
    credentials = channel_credentials(Path(order["tls_dir"]))
    try:
        with grpc.secure_channel(order["address"], credentials, options=OPTIONS) as channel:
            stub = TransformServiceStub(channel)
            refused = _refusal(stub, requests[0])
            if refused:
                return {"error": {"code": "InvalidInput", "message": refused}}
            step = drive_step(stub, requests, next_.rate, promise, load)
    except grpc.RpcError as e:
        text = f"node {order['address']}: {e.code().name}: {str(e.details())[:DETAIL_LENGTH_MAX]}"
        return {"error": {"code": "Unavailable", "message": text}}
    return {"step": {**asdict(step), "held": holds(step, promise)}}


def _refusal(stub: Any, request: Any) -> str:
    """What the code says when it takes no event of the first call; RpcError when the node does not answer."""
    try:
        results = stub.TransformBatch(request, timeout=FIRST_CALL_S_MAX).results
    except grpc.RpcError as e:
        if e.code() in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}:
            return f"function {request.function!r}: {str(e.details())[:DETAIL_LENGTH_MAX]}"
        raise
    errors = [r.error for r in results if r.HasField("error")]
    if results and len(errors) == len(results):
        first = " ".join(str(errors[0]).split())[:DETAIL_LENGTH_MAX]
        return f"function {request.function!r} takes none of {len(results)} events: {first}"
    return ""


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(1)


def main() -> NoReturn:
    """Ends with 0 when an answer was written."""
    order = json.loads(sys.stdin.readline(ORDER_BYTES_MAX))
    threading.Thread(target=_end_with_input, name="end-with-input", daemon=True).start()
    sys.stdout.write(json.dumps(answer_to(order)) + "\n")
    sys.stdout.flush()
    os._exit(0)  # calls that were given up may still be open: nobody waits for them


if __name__ == "__main__":
    main()
