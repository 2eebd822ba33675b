"""A raw upstream that says exactly the bytes it is told to, and a sink that writes down what it hears."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self

from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.failure import Failure, FailureKind
from proxy.net.httpnet import HttpNet
from proxy.net.pool import HttpFlight
from proxy.net.settings import NetSettings

H = b"HTTP/1.1 200 OK\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
POST = HttpCall(b"POST /v1/x HTTP/1.1\r\nHost: upstream\r\n", b'{"a":1}')
GET = HttpCall(b"GET /v1/x HTTP/1.1\r\nHost: upstream\r\n", repeatable=True)


class Peer:
    """The upstream's end of one connection."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        """1 for the first connection that the upstream accepted."""
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """The next whole request. Raises `IncompleteReadError` when the client has closed."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return head + await self.reader.readexactly(length)

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def closed(self) -> bytes:
        """Wait until the client has closed; what it still said."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read()
        return b""

    def reset(self) -> None:
        """Close with RST (what SO_LINGER with no time does)."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class Upstream:
    """Runs a script for each connection. Everything is closed when its context ends."""

    def __init__(
        self, script: Script, *, tls: ssl.SSLContext | None = None, uds: str = "", host: str = "127.0.0.1"
    ) -> None:
        self._script = script
        self._tls = tls
        self._uds = uds
        self._host = host
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0
        self.failures: list[BaseException] = []

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def origin(self) -> Origin:
        if self._uds:
            return Origin("http", "worker", 80, self._uds)
        return Origin("https" if self._tls else "http", "localhost" if self._tls else self._host, self.port)

    async def __aenter__(self) -> Self:
        if self._uds:
            self._server = await asyncio.start_unix_server(self._accept, self._uds)
        else:
            self._server = await asyncio.start_server(self._accept, self._host, 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        if self.failures and error is None:
            raise self.failures[0]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.accepted += 1
        try:
            await self._script(Peer(self.accepted, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went, or the test is over
        except AssertionError as error:
            self.failures.append(error)
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()


def answering(*answers: bytes) -> Script:
    """Gives these answers in turn on each connection (the last one for ever), and keeps it open."""

    async def script(peer: Peer) -> None:
        index = 0
        while True:
            await peer.request()
            await peer.say(answers[min(index, len(answers) - 1)])
            index += 1

    return script


def once(answer: bytes) -> Script:
    """Gives one answer and closes."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer)

    return script


class Heard:
    """A sink that writes down what it hears; data pieces that follow one another count as one call."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.status = 0
        self.headers: Headers = []
        self.body = b""
        self.failure: Failure | None = None
        self.ended = asyncio.Event()
        self.data_came = asyncio.Event()
        self.then: Callable[[str], None] = lambda name: None
        """Called within each callback, with its name."""

    def _note(self, name: str) -> None:
        assert not self.ended.is_set(), f"{name} after the end"
        if name in ("end", "failure"):
            self.ended.set()
        if not (self.calls and self.calls[-1] == name == "data"):
            self.calls.append(name)
        self.then(name)

    def on_head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers
        self._note("head")

    def on_data(self, data: bytes) -> None:
        self.body += data
        self.data_came.set()
        self._note("data")

    def on_end(self) -> None:
        self._note("end")

    def on_failure(self, failure: Failure) -> None:
        self.failure = failure
        self._note("failure")

    @property
    def kind(self) -> FailureKind | None:
        return self.failure.kind if self.failure else None


@contextlib.asynccontextmanager
async def engine(settings: NetSettings | None = None) -> AsyncIterator[HttpNet]:
    """An engine that is closed again."""
    net = HttpNet(settings or NetSettings())
    try:
        yield net
    finally:
        await net.close()


def start(net: HttpNet, origin: Origin, call: HttpCall = POST, connect: float = 5.0) -> tuple[Heard, HttpFlight]:
    heard = Heard()
    return heard, net.send(origin, call, heard, connect=connect)


async def ask(net: HttpNet, origin: Origin, call: HttpCall = POST, connect: float = 5.0) -> Heard:
    """One call, to its end."""
    heard, _ = start(net, origin, call, connect)
    async with asyncio.timeout(10):
        await heard.ended.wait()
    return heard


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that the event loop is about to make true."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of sockets and counters, which set no event
            await asyncio.sleep(0.001)
