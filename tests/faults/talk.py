"""A client on a raw connection: it sees what came, in which pieces, and whether it came to its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

CHAT = "/v1/chat/completions"
EMBED = "/v1/embeddings"
PATIENCE = 20.0
"""Seconds after which a client gives up: nothing here takes so long but for a fault of ours."""


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    """De-chunked."""
    whole: bool = False
    """It came to its end as HTTP frames it; otherwise the connection broke off."""

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error in OpenAI's shape; nothing else stands beside it."""
        (error,) = self.json.values()
        assert set(error) == {"message", "type", "code", "param"}
        return dict(error)

    @property
    def events(self) -> list[bytes]:
        """The data of each event."""
        blocks = self.body.split(b"\n\n")
        assert blocks.pop() == b"", "ended within an event"
        assert all(block.startswith(b"data: ") and b"\n" not in block for block in blocks), blocks
        return [block[6:] for block in blocks]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The events that are JSON."""
        return [json.loads(event) for event in self.events if event != b"[DONE]"]

    @property
    def done(self) -> bool:
        """It ended with `[DONE]`."""
        return self.events[-1:] == [b"[DONE]"]

    def said(self, index: int = 0) -> str:
        """The content of one choice, however it came."""
        if self.headers["content-type"].startswith("application/json"):
            return str(self.json["choices"][index]["message"]["content"])
        choices = [choice for chunk in self.chunks for choice in chunk.get("choices", ())]
        return "".join(c["delta"].get("content") or "" for c in choices if c["index"] == index)


@dataclass
class Talk:
    """One request on a connection of its own, read piece by piece."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answer: Answer = field(default_factory=lambda: Answer(0, {}))
    _chunked: bool = False

    @classmethod
    async def open(cls, port: int, *, small: bool = False) -> Self:
        """`small`: with buffers so small that the server soon notices when nothing is read."""
        sock = socket.socket()
        sock.setblocking(False)
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            reader, writer = await asyncio.open_connection(sock=sock, limit=1024 if small else 2**20)
        except BaseException:
            sock.close()
            raise
        return cls(reader, writer)

    def send(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        """A POST."""
        self.send_raw("POST", path, json.dumps(body).encode(), headers)

    def send_raw(self, method: str, path: str, data: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A request with any body."""
        lines = [f"{method} {path} HTTP/1.1", "host: wayline", "content-type: application/json"]
        lines += [f"content-length: {len(data)}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + data)

    async def head(self) -> Answer:
        """Waits for the response's head."""
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = raw.rstrip("\r\n").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        self.answer = Answer(int(first.split(" ")[1]), headers)
        self._chunked = headers.get("transfer-encoding") == "chunked"
        return self.answer

    async def piece(self) -> bytes:
        """The next chunk; nothing at the end. Raises IncompleteReadError where the connection breaks off."""
        if not self._chunked:
            data = await self.reader.readexactly(int(self.answer.headers["content-length"]))
            self.answer.body, self.answer.whole = data, True
            return b""
        size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
        data = (await self.reader.readexactly(size + 2))[:-2]
        self.answer.body += data
        self.answer.whole = not size
        return data

    async def until(self, text: bytes) -> None:
        """Reads until the body holds this."""
        async with asyncio.timeout(PATIENCE):
            while text not in self.answer.body:
                assert await self.piece(), f"ended without {text!r}: {self.answer.body!r}"

    async def rest(self) -> Answer:
        """Reads to the end, whichever it is."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self.piece():
                pass
        return self.answer

    async def closed(self) -> bool:
        """Waits for the server to close; whether in peace."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return False

    def half_close(self) -> None:
        """A FIN; reading goes on."""
        self.writer.write_eof()

    def reset(self) -> None:
        """A RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def leave(self) -> None:
        """Closes in peace."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def talking(port: int, *, small: bool = False) -> AsyncIterator[Talk]:
    """A connection, closed in the end."""
    talk = await Talk.open(port, small=small)
    try:
        yield talk
    finally:
        await talk.leave()


async def ask(port: int, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    """One POST and its whole answer."""
    async with asyncio.timeout(PATIENCE), talking(port) as talk:
        talk.send(path, body, headers)
        await talk.head()
        return await talk.rest()


async def get(port: int, path: str) -> Answer:
    """One GET and its whole answer."""
    async with asyncio.timeout(PATIENCE), talking(port) as talk:
        talk.send_raw("GET", path)
        await talk.head()
        return await talk.rest()
