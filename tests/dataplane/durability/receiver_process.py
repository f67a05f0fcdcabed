"""The far receiver: notes the ids of a request in a file before it answers 200; `POST /mode` makes it misbehave.

`python -m tests.dataplane.durability.receiver_process PORT FILE`. What is in the file survives a kill.
"""

import json
import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

mode: dict[str, Any] = {"status": 200, "wait_s": 0.0, "reset": False}
notes = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/mode":
            mode.update(json.loads(body))
            self.answer(200)
            return
        time.sleep(mode["wait_s"])
        if mode["status"] == 200:
            os.write(notes, "".join(f"{e['id']}\n" for e in json.loads(body)).encode())
        if mode["reset"]:  # it has the events, and the sender will never know
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
            return
        self.answer(mode["status"])

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
