"""gRPC over the simulated network: the clients of `shared/clients` and the servicers of `grpc_api.py`, as they are.

Requests and answers cross as bytes; the server's real gate checks the caller's certificate and maps errors. A deadline
ends the call on both sides, each by itself; a caller that gives up tells the server, if the message arrives.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc

from shared.grpc.server import _Gate
from tests.sim.kernel.loop import PROCESS
from tests.sim.kernel.network import Network
from tests.sim.kernel.processes import Process

REFUSED = (grpc.StatusCode.UNAVAILABLE, "connection refused", ())
LATE = (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", ())
Status = tuple[grpc.StatusCode, str, Sequence[tuple[str, Any]]]


@dataclass
class Call:
    """One RPC on the server's side; adapters leave in `seen` what it was decided from."""

    method: str
    caller: str
    server: str
    request: Any
    seen: dict[str, Any] = field(default_factory=dict)


CALL: ContextVar[Call | None] = ContextVar("call", default=None)
Answered = Callable[[Call, Any], None]


class _Details(grpc.HandlerCallDetails):
    def __init__(self, method: str) -> None:
        self.method, self.invocation_metadata = method, ()


class _Context:
    """What a servicer is given: who calls, and how to refuse."""

    def __init__(self, certificate: bytes) -> None:
        self._certificate = certificate
        self.status: Status | None = None

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self._certificate]}

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> NoReturn:
        self.status = (code, details, tuple(trailing_metadata))
        raise grpc.aio.AbortError


class SimServer:
    """What `add_...Servicer_to_server` registers with; one for each life of a process."""

    def __init__(self, allowed: Mapping[str, frozenset[str]]) -> None:
        self._gate = _Gate(allowed)
        self._handlers: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, _: Any) -> None:
        """The same handlers come by name too."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Each by its path."""
        self._handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    async def open(self) -> None:
        """Put the gate before every handler."""
        for method, handler in list(self._handlers.items()):

            async def known(_: Any, handler: Any = handler) -> Any:
                return handler

            self._handlers[method] = await self._gate.intercept_service(known, _Details(method))

    async def serve(self, call: Call, payload: bytes, certificate: bytes, answered: Answered) -> bytes | Status:
        """The answer as bytes, or how it failed."""
        handler = self._handlers.get(call.method)
        if handler is None:
            return grpc.StatusCode.UNIMPLEMENTED, call.method, ()
        context = _Context(certificate)
        call.request = handler.request_deserializer(payload)
        CALL.set(call)
        try:
            response = await handler.unary_unary(call.request, context)
        except grpc.aio.AbortError:
            assert context.status is not None
            return context.status
        answered(call, response)
        answer: bytes = handler.response_serializer(response)
        return answer


@dataclass
class Switchboard:
    """Who serves at which address, who calls with which certificate, and who is told of answers."""

    network: Network
    processes: Mapping[str, Process]
    certificates: Mapping[str, bytes]
    answered: Answered
    servers: dict[str, SimServer] = field(default_factory=dict)

    def channel(self, caller: str, identity: str, addresses: Sequence[str]) -> "SimChannel":
        """A channel of a process to the first reachable of some addresses, tried in turn as gRPC's resolver does."""
        return SimChannel(self, caller, self.certificates[identity], tuple(addresses))


class SimChannel:
    """As much of `grpc.aio.Channel` as generated stubs use."""

    def __init__(self, board: Switchboard, caller: str, certificate: bytes, addresses: tuple[str, ...]) -> None:
        self.board, self.caller, self.certificate, self._addresses = board, caller, certificate, addresses
        self._turn = 0

    @property
    def address(self) -> str:
        """Where the next call goes."""
        return self._addresses[self._turn % len(self._addresses)]

    def turn(self) -> None:
        """The next address: the last one did not answer."""
        self._turn += 1

    def unary_unary(
        self, method: str, request_serializer: Any, response_deserializer: Any, **_: Any
    ) -> "Callable[..., Awaitable[Any]]":
        """A callable as the stub's."""
        return _Unary(self, method, request_serializer, response_deserializer)

    def unary_stream(self, method: str, *_: Any, **__: Any) -> Callable[..., Any]:
        """Watches are not simulated: who opens one learns it."""

        def open_stream(*_: Any, **__: Any) -> Any:
            raise NotImplementedError(f"{method}: streams are not simulated, see docs/simulation.md")

        return open_stream

    stream_unary = unary_stream
    stream_stream = unary_stream


class _Unary:
    def __init__(self, channel: SimChannel, method: str, serialize: Any, deserialize: Any) -> None:
        self._channel, self._method, self._serialize, self._deserialize = channel, method, serialize, deserialize

    async def __call__(self, request: Any, *, timeout: float) -> Any:
        channel, board = self._channel, self._channel.board
        caller, target = channel.caller, channel.address
        payload: bytes = self._serialize(request)
        answer: asyncio.Future[bytes | Status] = asyncio.get_running_loop().create_future()
        exchange = _Exchange(board, self._method, caller, target, payload, channel.certificate, timeout, answer)
        board.network.send(caller, target, exchange.arrive)
        deadline = asyncio.get_running_loop().call_later(timeout, exchange.heard, LATE)
        try:
            got = await answer
        except asyncio.CancelledError:
            board.network.send(caller, target, exchange.give_up)
            raise
        finally:
            deadline.cancel()
        if got is LATE:
            channel.turn()
            board.network.send(caller, target, exchange.give_up)
            raise _failed(LATE)
        if isinstance(got, bytes):
            return self._deserialize(got)
        if got[0] is grpc.StatusCode.UNAVAILABLE:
            channel.turn()
        raise _failed(got)


def _failed(status: Status) -> grpc.aio.AioRpcError:
    code, details, trailing = status
    return grpc.aio.AioRpcError(code, None, grpc.aio.Metadata(*trailing), details)


@dataclass
class _Exchange:
    """A request on its way, and everything that may become of it; it may arrive twice."""

    board: Switchboard
    method: str
    caller: str
    target: str
    payload: bytes
    certificate: bytes
    timeout_s: float
    answer: "asyncio.Future[bytes | Status]"
    serving: list["asyncio.Task[None]"] = field(default_factory=list)

    def arrive(self) -> None:
        """At the server's machine."""
        process, server = self.board.processes[self.target], self.board.servers.get(self.target)
        if not process.up or server is None:
            self._reply(REFUSED)
            return
        task = process.spawn(self._serve(server))
        if task is not None:
            self.serving.append(task)

    def give_up(self) -> None:
        """The caller's reset arrives: gRPC cancels the handler wherever it stands."""
        for task in self.serving:
            task.cancel()

    async def _serve(self, server: SimServer) -> None:
        life, task = PROCESS.get(), asyncio.current_task()
        assert task is not None
        call = Call(self.method, self.caller, str(life), None)
        deadline = asyncio.get_running_loop().call_later(self.timeout_s, task.cancel)
        try:
            answer = await server.serve(call, self.payload, self.certificate, self.board.answered)
        finally:
            deadline.cancel()
        self._reply(answer)

    def _reply(self, answer: bytes | Status) -> None:
        self.board.network.send(self.target, self.caller, lambda: self.heard(answer))

    def heard(self, answer: bytes | Status) -> None:
        """The caller learns how it ended; the first that it learns is what counts."""
        if not self.answer.done():
            self.answer.set_result(answer)
