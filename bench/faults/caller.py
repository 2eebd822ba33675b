"""An HTTP client that takes nothing for granted: it reads slowly, leaves when told to, and notes all that it hears."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from bench.faults.heard import Events, Heard

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Ways:
    """How a client behaves. `leave_at`: seconds after which it hangs up; `leave_after`: characters of content.

    `pause`: it reads nothing for so many seconds once the first bytes came, through a receive buffer of a few KiB.
    """

    leave_at: float | None = None
    leave_after: int | None = None
    pause: float = 0.0


PATIENT = Ways()


async def call(port: int, body: dict[str, Any], *, patience: float, ways: Ways = PATIENT, path: str = "") -> Heard:
    """One call, to its end or to the end of the client's patience."""
    heard = Heard()
    try:
        async with asyncio.timeout(ways.leave_at or patience), _connected(port, small=ways.pause > 0) as line:
            line[1].write(_request(path or "/v1/chat/completions", body))
            await _answer(line[0], heard, ways)
    except TimeoutError:
        heard.end = "left" if ways.leave_at else "patience"
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        heard.end = "broken" if heard.status else f"no answer: {type(error).__name__}"
    heard.elapsed = heard.now()
    return heard


def _request(path: str, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: wayline\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


@contextlib.asynccontextmanager
async def _connected(port: int, *, small: bool) -> AsyncIterator[Line]:
    """A connection that is closed after the block, at once."""
    sock = socket.socket()
    sock.setblocking(False)
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=4096 if small else 2**16)
    except BaseException:
        sock.close()
        raise
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader, heard: Heard, ways: Ways) -> None:
    heard.status, heard.headers = await _head(reader)
    streamed = "event-stream" in heard.headers.get("content-type", "")
    events = Events(heard)
    parts: list[bytes] = []
    if ways.pause:
        await asyncio.sleep(ways.pause)
    async for data in _body(reader, heard.headers):
        if not streamed:
            parts.append(data)
            continue
        events.feed(data)
        if ways.leave_after is not None and len(heard.text) >= ways.leave_after:
            heard.end = "left"
            return
    heard.end = "clean"
    if streamed:
        events.close()
        return
    try:
        heard.body(json.loads(b"".join(parts)))
    except ValueError:
        heard.garbage.append(repr(b"".join(parts)[:200]))


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """The body to its proper end (RFC 9112 section 6.3). Raises IncompleteReadError when it is cut."""
    if "chunked" not in headers.get("transfer-encoding", ""):
        yield await reader.readexactly(int(headers["content-length"]))
        return
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
