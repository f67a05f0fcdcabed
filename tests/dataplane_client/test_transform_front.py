"""A node's TCP face: what passes through it is what went in, whoever may not call is told so, and a renewed certificate is used."""

import os
import random
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1.transform_pb2_grpc import TransformServiceStub

from dataplane.agent.http2_frames import goaway
from dataplane.agent.node_state import NodeState
from dataplane.agent.splice import Splice
from dataplane.agent.transform_front import CALLERS_MAX, TransformFront
from dataplane.client.threads import GroupClient
from localcloud.certificates import DevelopmentAuthority
from services.provisioner.adapters.authority import FileAuthority
from shared.grpc.client import SERVER_NAME
from shared.grpc.tls import channel_credentials
from tests.dataplane.streams import wait_until
from tests.dataplane_client.nodes import cluster

MIB = 1024 * 1024
ENDS_S = 60.0


@dataclass
class Spliced:
    """A splice between a caller's TLS socket and a Unix socket."""

    caller: ssl.SSLSocket
    users: socket.socket
    farewell: int
    thread: threading.Thread


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of a server and of its client."""
    tls = DevelopmentAuthority(folder, "test").service("node-a")
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(tls / "cert.pem", tls / "key.pem")
    client.load_verify_locations(tls / "ca.pem")
    return server, client


@contextmanager
def spliced(folder: Path) -> Iterator[Spliced]:
    server, client = contexts(folder)
    ours, theirs = socket.socketpair()
    users, inside = socket.socketpair()
    farewell = os.eventfd(0)

    def run() -> None:
        with server.wrap_socket(ours, server_side=True) as ended, inside:
            Splice(ended, inside, farewell).run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    caller = client.wrap_socket(theirs, server_hostname="localhost")
    caller.settimeout(ENDS_S)
    users.settimeout(ENDS_S)
    try:
        yield Spliced(caller, users, farewell, thread)
    finally:
        caller.close()
        users.close()
        thread.join(ENDS_S)
        os.close(farewell)
    assert not thread.is_alive()


def read_all(source: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size and (chunk := source.recv(256 * 1024)):
        found += chunk
    return bytes(found)


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + b"\0\0" + (1).to_bytes(4) + payload


def frames_of(count: int) -> bytes:
    dice = random.Random(count)
    return b"".join(frame(dice.randbytes(dice.randrange(16_384))) for _ in range(count))


def test_bytes_come_out_as_they_went_in_also_while_the_other_way_is_stuck(tmp_path: Path) -> None:
    asked, answered = random.Random(5).randbytes(5 * MIB), frames_of(600)
    with spliced(tmp_path) as both:
        got: list[bytes] = []
        users = threading.Thread(target=lambda: got.append(read_all(both.users, len(asked))))
        answering = threading.Thread(target=both.users.sendall, args=(answered,))
        users.start()
        answering.start()
        both.caller.sendall(asked)  # nobody reads answers meanwhile
        users.join(ENDS_S)
        back = read_all(both.caller, len(answered))
        answering.join(ENDS_S)
    assert got == [asked]
    assert back == answered


def test_a_farewell_is_said_once_between_two_frames_and_what_runs_goes_on(tmp_path: Path) -> None:
    first, last = frame(b"a" * 100), frame(b"b" * 100)
    with spliced(tmp_path) as both:
        both.users.sendall(first[:50])
        assert read_all(both.caller, 50) == first[:50]
        os.eventfd_write(both.farewell, 1)
        both.users.sendall(first[50:])
        farewell = goaway()
        assert read_all(both.caller, 59 + len(farewell)) == first[50:] + farewell
        both.users.sendall(last)
        assert read_all(both.caller, len(last)) == last


def test_what_users_server_said_last_arrives_before_the_connection_ends(tmp_path: Path) -> None:
    said = frames_of(10)  # fits into the buffers on the way: nobody reads yet
    with spliced(tmp_path) as both:
        both.users.sendall(said)
        both.users.close()
        with suppress(ssl.SSLEOFError):  # it has ended already
            both.caller.sendall(b"nobody hears this")
        assert read_all(both.caller, len(said)) == said
        assert both.caller.recv(1) == b""


def test_the_splice_ends_with_its_caller(tmp_path: Path) -> None:
    with spliced(tmp_path) as both:
        both.caller.close()
        assert both.users.recv(1) == b""


@pytest.fixture
def authority(tmp_path: Path) -> DevelopmentAuthority:
    return DevelopmentAuthority(tmp_path / "tls", "test")


@contextmanager
def fronting(
    authority: DevelopmentAuthority, users: Path, callers_max: int = CALLERS_MAX
) -> Iterator[tuple[TransformFront, NodeState]]:
    state = NodeState(authority.service("node-a"))
    front = TransformFront("127.0.0.1:0", state, users, callers_max)
    front.start()
    try:
        yield front, state
    finally:
        front.stop()


def signed(authority: DevelopmentAuthority, uri: str, folder: Path) -> Path:
    """An identity of that name, of the same authority."""
    state = NodeState(folder)
    signer = FileAuthority(authority.files.certificate, authority.files.key)
    certificate = signer.sign(state.csr("x"), uri, "", datetime.now(UTC))
    state.keep_certificate(authority.files.certificate.read_text(), certificate)
    return folder


@contextmanager
def channel(port: int, identity: Path) -> Iterator[grpc.Channel]:
    options = (("grpc.ssl_target_name_override", SERVER_NAME),)
    with grpc.secure_channel(f"127.0.0.1:{port}", channel_credentials(identity), options) as opened:
        yield opened


def test_who_may_not_call_is_told_so(tmp_path: Path, authority: DevelopmentAuthority) -> None:
    person = signed(authority, "spiffe://test/person/eve", tmp_path / "eve")
    question = health_pb2.HealthCheckRequest()
    with fronting(authority, tmp_path / "none") as (front, _), channel(front.port, person) as opened:
        refused = health_pb2_grpc.HealthStub(opened).Check.future(question, timeout=ENDS_S).exception()
    assert isinstance(refused, grpc.RpcError)
    assert refused.code() is grpc.StatusCode.PERMISSION_DENIED
    assert refused.details() == "person/eve may not call: service/*, node/* may"


def test_callers_above_the_limit_are_told_to_come_back(tmp_path: Path, authority: DevelopmentAuthority) -> None:
    question, caller = health_pb2.HealthCheckRequest(), authority.service("caller")
    with fronting(authority, tmp_path / "none", 0) as (front, _), channel(front.port, caller) as opened:
        refused = health_pb2_grpc.HealthStub(opened).Check.future(question, timeout=ENDS_S).exception()
    assert isinstance(refused, grpc.RpcError)
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(refused.trailing_metadata()) == {"grpc-retry-pushback-ms": "100"}


def test_a_connection_without_a_certificate_or_without_users_server_ends(
    tmp_path: Path, authority: DevelopmentAuthority
) -> None:
    caller = signed(authority, "spiffe://test/workspace/default/group/g/node/i-1", tmp_path / "caller")
    with fronting(authority, tmp_path / "none") as (front, _):
        with socket.create_connection(("127.0.0.1", front.port)) as plain:
            plain.settimeout(ENDS_S)
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionResetError):  # it may end so, too
                read_all(plain, MIB)  # an alert of TLS, then the end: else this times out
        with channel(front.port, caller) as opened, pytest.raises(grpc.RpcError) as away:
            health_pb2_grpc.HealthStub(opened).Check(health_pb2.HealthCheckRequest(), timeout=ENDS_S)
    assert away.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_renewed_certificate_is_shown_from_the_next_connection_on(
    tmp_path: Path, authority: DevelopmentAuthority
) -> None:
    def shown(port: int) -> bytes | None:
        context = ssl.create_default_context(cafile=str(authority.files.certificate))
        context.load_cert_chain(state.folder / "cert.pem", state.folder / "key.pem")
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.settimeout(ENDS_S)
            with context.wrap_socket(plain, server_hostname="localhost") as caller:
                return caller.getpeercert(binary_form=True)

    with fronting(authority, tmp_path / "none") as (front, state):
        before = shown(front.port)
        (state.folder / "cert.pem").unlink()
        authority.service("node-a")
        assert shown(front.port) != before


def test_large_payloads_pass_through_a_node(tmp_path: Path) -> None:
    request = pb.TransformBatchRequest(function="act", events=[b'{"n":1,"pad":"%s"}' % (b"x" * 7 * MIB)])
    with cluster(tmp_path, names=["a"]) as nodes:
        options: list[tuple[str, object]] = [("grpc.ssl_target_name_override", SERVER_NAME)]
        options += [(f"grpc.max_{way}_message_length", 64 * MIB) for way in ("send", "receive")]
        credentials = channel_credentials(nodes.authority.service("caller"))
        with grpc.secure_channel(nodes.addresses["a"], credentials, options) as opened:
            answer = TransformServiceStub(opened).TransformBatch(request, timeout=ENDS_S)
    assert len(answer.results[0].outputs[0]) > 7 * MIB


def test_a_client_shows_its_renewed_certificate_on_new_connections(tmp_path: Path) -> None:
    with cluster(tmp_path, names=["a"]) as nodes, closing(GroupClient(nodes.settings("renewing"))) as client:
        wait_until(lambda: client.generation > 0, "routes")
        identity = nodes.authority.service("caller")

        def reason() -> str:
            client._connections._look_at = 0.0  # it looks every few seconds
            (result,) = client.transform("act", [b'{"n":1}'], ENDS_S)
            return str(result.error.reason)

        assert reason() == ""
        signed(nodes.authority, "spiffe://test/person/eve", identity)
        assert reason() == "CallPermissionDenied"
        signed(nodes.authority, "spiffe://test/service/caller", identity)
        wait_until(lambda: reason() == "", "it may call again")
