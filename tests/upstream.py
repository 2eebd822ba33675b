"""An upstream that can lie about anything: a raw-socket HTTP server that plays a script, for tests of faults.

    async with Upstream([stream_ok(["Hel", "lo"]), error(503)]) as up:
        ...                       # up.base_url, up.requests, up.connections, up.tokens
        await up.closed(0)        # until the peer has closed the first connection

A script is one `Behaviour`, a function of the request that gives one, or a list of both that is used up one a request
(the last one repeats). Answers are in `tests/upstream_answers.py`, faults in `tests/upstream_faults.py`.
It runs on asyncio and on uvloop; `in_thread` gives it a loop of its own, for tests that are not async.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from tests.upstream_steps import Behaviour, Reset, Stream, Tokens, cut, play

Answer = Callable[["Request", int], Behaviour]
"""Gives the behaviour for a request and its number, counted from 0."""
Script = Behaviour | Answer | Sequence[Behaviour | Answer]
ALIVE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
T = TypeVar("T")


@dataclass
class Request:
    """One request as it came in. Times are the loop's clock, in seconds."""

    n: int
    connection: int
    method: str
    path: str
    raw_head: bytes
    """The request line and the header lines, with the blank line."""
    headers: dict[str, str]
    """Names in lower case; of two lines with the same name the later one."""
    time: float
    body: bytes = b""
    tokens: Tokens = field(default_factory=Tokens)
    """What the answer said it used, as far as it was sent."""

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class Connection:
    """One connection. `by` is who closed it (`peer` or `us`), `reason` one of `eof`, `reset`, `closed`."""

    n: int
    opened: float
    closed: float | None = None
    by: str = ""
    reason: str = ""
    requests: int = 0


class Upstream:
    """Listens on a loopback port of its own, or on the Unix socket `uds`; over TLS with `tls`.

    It keeps every request; with `keep=False`, for the hundred thousands of a soak, only counts. It can be entered again
    after its end, and then has the same port: a backend that was down and is back. A GET is a probe, which comes when
    a server has idled for half a minute: it is well, and no request of a script, but with `gets`.
    """

    def __init__(
        self,
        script: Script,
        *,
        tls: ssl.SSLContext | None = None,
        uds: Path | None = None,
        keep: bool = True,
        gets: bool = False,
    ) -> None:
        self._script = script
        self._gets = gets
        self._used = 0
        self._tls = tls
        self._uds = uds
        self._keep = keep
        self._server: asyncio.Server | None = None
        self._lines: set[_Line] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self.port = 0
        self.asked = 0
        """Requests that came."""
        self.tokens = Tokens()
        """The sum of all that the answers said they used."""
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.errors: list[Exception] = []
        """What a script itself raised; raised again at the end of the `async with`."""

    @property
    def base_url(self) -> str:
        """What goes into `base_url` of a backend."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/v1"

    @property
    def open(self) -> int:
        """Connections open now."""
        return len(self._lines)

    async def until(self, true: Callable[[], bool], within: float = 5.0) -> None:
        """Waits until `true()` holds; looks again at each request, opening and closing. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while not true():
                waiting = asyncio.get_running_loop().create_future()
                self._waiting.append(waiting)
                await waiting

    async def closed(self, n: int, within: float = 5.0) -> Connection:
        """Waits until connection `n` (from 0) was closed by the peer."""

        def gone() -> bool:
            return len(self.connections) > n and self.connections[n].by == "peer"

        await self.until(gone, within)
        return self.connections[n]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self._uds is not None:
            self._server = await loop.create_unix_server(lambda: _Line(self), str(self._uds), ssl=self._tls)
            return self
        self._server = await loop.create_server(
            lambda: _Line(self), "127.0.0.1", self.port, ssl=self._tls, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for _ in range(3):  # asyncio takes three turns from accept() to connection_made()
            await asyncio.sleep(0)
        tasks = [line.task for line in self._lines]
        for line in list(self._lines):
            line.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.until(lambda: not self._lines)
        await self._server.wait_closed()
        if self.errors and kind is None:
            raise self.errors[0]

    def reset(self) -> None:
        """A RST on every connection, whatever it is doing."""
        for line in list(self._lines):
            line.reset()

    def changed(self) -> None:
        """Wakes those who wait in `until`."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    def is_probe(self, request: Request) -> bool:
        """Whether it is nothing that a script is asked for."""
        return request.method == "GET" and not self._gets

    def early(self, at: str) -> Behaviour | None:
        """The next behaviour if it is one that does not wait for a whole request."""
        item = self._item()
        if not isinstance(item, Behaviour) or item.at != at:
            return None
        self._used += 1
        return item

    def behaviour(self, request: Request) -> Behaviour:
        """The next behaviour, for this request."""
        item = self._item()
        self._used += 1
        return item if isinstance(item, Behaviour) else item(request, request.n)

    def _item(self) -> Behaviour | Answer:
        if isinstance(self._script, Behaviour) or callable(self._script):
            return self._script
        return self._script[min(self._used, len(self._script) - 1)]

    def opened(self, line: _Line, now: float) -> Connection:
        """A connection came in."""
        connection = Connection(len(self.connections), now)
        self.connections.append(connection)
        self._lines.add(line)
        self.changed()
        return connection

    def came(self, request: Request) -> None:
        """A request came in."""
        self.asked += 1
        if self._keep:
            self.requests.append(request)
        self.changed()

    def said(self, request: Request, tokens: Tokens) -> None:
        """An answer said what it used."""
        request.tokens += tokens
        self.tokens += tokens

    def lost(self, line: _Line) -> None:
        """A connection is gone."""
        self._lines.discard(line)
        self.changed()


class _Line(asyncio.Protocol):
    """One connection: reads requests and plays a behaviour for each."""

    def __init__(self, up: Upstream) -> None:
        self._up = up
        self._buffer = bytearray()
        self._more = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self._stream = Stream(cast(asyncio.Transport, transport))  # uvloop's own are no subclass of it
        self.connection = self._up.opened(self, self._loop.time())
        self.task = self._loop.create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._more.set()

    def eof_received(self) -> bool:
        self._gone("peer", "eof")
        return False

    def pause_writing(self) -> None:
        self._stream.writable.clear()

    def resume_writing(self) -> None:
        self._stream.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._gone("peer", "reset")
        self._gone("us", "closed")
        self.task.cancel()
        self._up.lost(self)

    def abort(self) -> None:
        """Ends it at once, at the end of the test."""
        self.task.cancel()
        self._stream.transport.abort()

    def reset(self) -> None:
        """A RST at once."""
        self.task.cancel()
        cut(Reset(), self._stream.transport)

    def _gone(self, by: str, reason: str) -> None:
        if not self.connection.by:
            self.connection.by, self.connection.reason = by, reason
            self.connection.closed = self._loop.time()
            self._up.changed()

    async def _serve(self) -> None:
        try:
            await self._conversation()
        except Exception as error:  # noqa: BLE001 - a script's own mistake must fail the test, not vanish in a task
            self._up.errors.append(error)
            self._stream.transport.abort()

    async def _conversation(self) -> None:
        early = self._up.early("connect")
        if early is not None:
            await play(early, self._stream, lambda _: None)
        while not self._stream.transport.is_closing():
            request = await self._head()
            if self._up.is_probe(request):
                self._stream.transport.write(ALIVE)
                continue
            early = self._up.early("head")
            if early is None:
                request.body = await self._body(request)
            self.connection.requests += 1
            self._up.came(request)
            behaviour = early or self._up.behaviour(request)
            await play(behaviour, self._stream, functools.partial(self._up.said, request))

    async def _head(self) -> Request:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            await self._read()
        raw = bytes(self._buffer[: end + 4])
        del self._buffer[: end + 4]
        first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        return Request(self._up.asked, self.connection.n, method, path, raw, headers, self._loop.time())

    async def _body(self, request: Request) -> bytes:
        length = int(request.headers.get("content-length", "0"))
        while len(self._buffer) < length:
            await self._read()
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    async def _read(self) -> None:
        self._more.clear()
        await self._more.wait()


class InThread:
    """An upstream with a loop of its own in another thread."""

    def __init__(self, up: Upstream, loop: asyncio.AbstractEventLoop) -> None:
        self.up = up
        self._loop = loop

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine there and gives its result: `there.run(there.up.closed(0))`."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()


@contextlib.contextmanager
def in_thread(up: Upstream) -> Iterator[InThread]:
    """Runs an upstream in a thread of its own while the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="upstream")
    thread.start()
    there = InThread(up, loop)
    try:
        there.run(up.__aenter__())
        try:
            yield there
        except BaseException as error:
            there.run(up.__aexit__(type(error), error, error.__traceback__))
            raise
        there.run(up.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
