"""A guarded server in a thread of its own, and clients on raw sockets that can do anything."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from proxy.config.values import Cors, Listen
from proxy.wire.door import Draining
from proxy.wire.guard import GuardedProtocol
from proxy.wire.listening import bind
from proxy.wire.reply import Endpoint, Inbound, Reply
from proxy.wire.server import GuardedServer, configure

JSON = b"content-type: application/json\r\n"
PATIENCE = 20.0
"""Seconds after which a test gives up waiting."""


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for something that another thread does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"never came about: {what}"
        time.sleep(0.002)


class Answer(NamedTuple):
    """One response as a client parses it."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One raw connection."""

    def __init__(self, address: tuple[str, int], *, receive_buffer: int | None = None) -> None:
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(PATIENCE)
        try:
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def more(self) -> bytes:
        """What comes next; nothing at the end of the connection."""
        if self.buffer:
            data, self.buffer = self.buffer, b""
            return data
        try:
            return self.sock.recv(65536)
        except ConnectionResetError:
            return b""

    def upto(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            data = self.sock.recv(65536)
            assert data, f"the connection ended; so far: {self.buffer[:500]!r}"
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(mark)
        return head + mark

    def exactly(self, size: int) -> bytes:
        data = bytearray(self.buffer)
        while len(data) < size:
            piece = self.sock.recv(1 << 20)
            assert piece, f"the connection ended; so far: {bytes(data[:500])!r}"
            data += piece
        self.buffer = bytes(data[size:])
        return bytes(data[:size])

    def rest(self) -> bytes:
        """Everything until the end of the connection."""
        data = b""
        while piece := self.more():
            data += piece
        return data

    def head(self) -> Answer:
        """A response's head alone."""
        lines = self.upto(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(": ")
            assert name not in headers, f"{name} came twice"
            headers[name] = value
        return Answer(int(status), headers, b"")

    def answer(self) -> Answer:
        """One whole response."""
        head = self.head()
        if head.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.upto(b"\r\n"), 16):
                body += self.exactly(size)
                assert self.exactly(2) == b"\r\n"
            assert self.exactly(2) == b"\r\n"
        elif "content-length" in head.headers:
            body = self.exactly(int(head.headers["content-length"]))
        else:
            body = self.rest()
        return head._replace(body=body)

    def at_end(self) -> bool:
        """The server has closed, and sent nothing more."""
        return not self.more()

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()


class Held:
    """An endpoint that keeps each request until the test answers it."""

    def __init__(self) -> None:
        self.requests: list[Inbound] = []
        self.replies: list[Reply] = []
        self.gone: list[int] = []
        self.ready: list[int] = []

    def __call__(self, inbound: Inbound, reply: Reply) -> None:
        number = len(self.requests)
        reply.watch(lambda: self.gone.append(number), lambda: self.ready.append(number))
        self.replies.append(reply)
        self.requests.append(inbound)

    def took(self, count: int = 1) -> None:
        until(lambda: len(self.requests) >= count, f"{count} requests at the endpoint")


def echo(inbound: Inbound, reply: Reply) -> None:
    """Answers with the request's body."""
    reply.whole(200, JSON, inbound.body)


class Running:
    """A server that runs."""

    def __init__(self, server: GuardedServer, loop: asyncio.AbstractEventLoop, address: tuple[str, int]) -> None:
        self.server = server
        self.loop = loop
        self.address = address
        self.held: Held = Held()
        self.clients: list[Client] = []

    def client(self, *, receive_buffer: int | None = None) -> Client:
        client = Client(self.address, receive_buffer=receive_buffer)
        self.clients.append(client)
        return client

    def ask(self, raw: bytes) -> Answer:
        """One request on a connection of its own."""
        client = self.client()
        client.send(raw)
        return client.answer()

    def call(self, *actions: Callable[[], Any]) -> Any:
        """Runs them on the server's loop, in one go; gives what the last gave."""
        result: list[Any] = []
        done = threading.Event()

        def act() -> None:
            result.extend([action() for action in actions])
            done.set()

        self.loop.call_soon_threadsafe(act)
        assert done.wait(PATIENCE)
        return result[-1]

    def line(self) -> GuardedProtocol:
        """The only connection, as the server has it."""
        (line,) = self.server.server_state.connections
        assert isinstance(line, GuardedProtocol)
        return line

    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def all_gone(self) -> None:
        until(lambda: self.connections() == 0, "no connection left on the server")


async def _told(request: Request) -> Response:
    body = await request.body()
    return PlainTextResponse(f"{request.method} {request.url.path} {request.url.query} {len(body)}")


@contextlib.contextmanager
def serving(
    endpoints: Mapping[tuple[str, str], Endpoint] | None = None,
    *,
    cors: Cors | None = None,
    app: Starlette | None = None,
    **limits: Any,
) -> Generator[Running]:
    """A server with `POST /echo` and `POST /held` as hot paths, and `/told` and `/healthz` in the app."""
    held = Held()
    hot: dict[tuple[str, str], Endpoint] = {("POST", "/echo"): echo, ("POST", "/held"): held, **(endpoints or {})}
    app = app or Starlette(
        routes=[Route("/told", _told, methods=["GET", "POST"]), Route("/healthz", _told), Route("/t%C3%A9", _told)]
    )
    listen = Listen(port=0, **{"drain": 0.0, **limits})
    config = configure(listen, app, hot, cors=cors, draining=Draining())
    sockets = bind(listen.host, 0)
    started = threading.Event()
    running: list[Running] = []
    failed: list[BaseException] = []

    def serve() -> None:
        async def main() -> None:
            server = GuardedServer(config, ready=lambda _: started.set())
            running.append(Running(server, asyncio.get_running_loop(), sockets[0].getsockname()))
            await server.serve(sockets)

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main())
        except BaseException as error:  # noqa: BLE001  # carried over to the test's thread
            failed.append(error)
            started.set()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert started.wait(PATIENCE) and not failed, failed
    here = running[0]
    here.held = held
    try:
        yield here
    finally:
        for client in here.clients:
            client.close()
        with contextlib.suppress(RuntimeError):  # a test may have stopped it already
            here.loop.call_soon_threadsafe(here.server.drain)
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server did not stop"
        assert not failed, failed


def post(path: str, body: bytes = b"{}", *more: str, version: str = "1.1") -> bytes:
    """A plain request."""
    lines = [f"POST {path} HTTP/{version}", "Host: a", "Content-Type: application/json", *more]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
