"""The clients of a soak: they ask, check every word that comes, and now and then leave."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

from tests.soak.backends import Ask

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wrong(Exception):
    """An answer that is not what was promised."""


class Crowd:
    """Keeps `size` clients asking, with ids from `first` on.

    What became of each request is in `ends`; what must not be is in `wrong`.
    """

    def __init__(self, port: int, seed: str, size: int, *, first: int = 1) -> None:
        self._port = port
        self._seed = seed
        self._size = size
        self._ids = itertools.count(first)
        self.ends: Counter[str] = Counter()
        """`whole`, `told` (broken off, and said so), `left` (by the client)."""
        self.told: set[int] = set()
        self.left: set[int] = set()
        self.wrong: list[str] = []
        self.slowest = 0.0

    async def run(self, seconds: float) -> None:
        """Asks for so long; returns when the last answer is over and all connections are closed."""
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(self._size):
                group.create_task(self._client(end))

    async def _client(self, end: float) -> None:
        while time.monotonic() < end and len(self.wrong) < 20:
            async with connected(self._port) as line:
                while time.monotonic() < end and await self._one(line):
                    pass

    async def _one(self, line: Line) -> bool:
        """One request; true when the connection can be used again."""
        id_ = next(self._ids)
        chance = random.Random(f"{self._seed} client {id_}")
        kind = chance.choices(("stream", "whole", "embed", "late", "stall"), (60, 25, 9, 3, 3))[0]
        pace = kind if kind in {"late", "stall"} else "now"
        ask = Ask(id_, chance.randint(3, 30), pace)
        stream = kind == "stream" or kind == "stall" or (kind == "late" and chance.random() < 0.5)
        began = time.monotonic()
        try:
            line[1].write(request(ask, kind, stream))
            if kind == "late":
                await asyncio.sleep(chance.random() * 0.1)
                ended = "left"
            elif stream:
                ended = await _stream(line[0], ask)
            else:
                _whole(await answer(line[0]), ask, kind)
                ended = "whole"
        except (Wrong, OSError, EOFError, ValueError, LookupError) as error:
            self.wrong.append(f"{kind} {ask}: {error!r}")
            return False
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.ends[ended] += 1
        {"told": self.told, "left": self.left}.get(ended, set()).add(id_)
        return ended == "whole"


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Line]:
    """A connection that is closed after the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def request(ask: Ask, kind: str, stream: bool) -> bytes:
    """The request's bytes."""
    body: dict[str, Any]
    if kind == "embed":
        path, body = "embeddings", {"model": "embed", "input": ask.text(), "encoding_format": "float"}
    else:
        messages = [{"role": "user", "content": ask.text()}]
        path, body = "chat/completions", {"model": "chat", "messages": messages, "stream": stream}
    content = json.dumps(body).encode()
    head = f"POST /v1/{path} HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


async def head(reader: asyncio.StreamReader) -> dict[str, str]:
    """The headers, and the status under `:status`."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    return {":status": first.split(" ")[1], **{name.lower(): value.strip() for name, value in pairs}}


async def answer(reader: asyncio.StreamReader) -> Any:
    """A whole answer's JSON. Raises Wrong when it is not a 200."""
    headers = await head(reader)
    body = await reader.readexactly(int(headers["content-length"]))
    if headers[":status"] != "200":
        raise Wrong(f"{headers[':status']} {body[:300]!r}")
    return json.loads(body)


def _whole(body: Any, ask: Ask, kind: str) -> None:
    if kind == "embed":
        said: Any = body["data"][0]["embedding"][0]
        right: Any = float(ask.id)
    else:
        said, right = body["choices"][0]["message"]["content"], "".join(ask.said())
    if said != right:
        raise Wrong(f"said {said!r}")


async def _stream(reader: asyncio.StreamReader, ask: Ask) -> str:
    """Reads a stream to its end (or, of one that stalls, two words) and checks each word."""
    headers = await head(reader)
    if headers[":status"] != "200":
        raise Wrong(f"{headers[':status']} {await reader.read(300)!r}")
    right, said, finished, buffer = ask.said(), 0, False, b""
    async for piece in chunks(reader):
        *events, buffer = (buffer + piece).split(b"\n\n")
        for data in payloads(events):
            if data == b"[DONE]":
                continue
            value = json.loads(data)
            if "error" in value:
                return "told"
            for choice in value["choices"]:
                text = choice["delta"].get("content")
                if text:
                    if finished or text != right[said]:
                        raise Wrong(f"said {text!r} as word {said}")
                    said += 1
                finished = finished or choice["finish_reason"] is not None
            if ask.pace == "stall" and said == 2:
                return "left"
    if not finished or said != ask.words or buffer:
        raise Wrong(f"ended after {said} words, finish_reason {'given' if finished else 'missing'}")
    return "whole"


def payloads(events: list[bytes]) -> Iterator[bytes]:
    """What stands after `data: `; comments have none."""
    return (event[6:] for event in events if event.startswith(b"data: "))


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The chunks of a chunked body, to its proper end. Raises EOFError when it is cut."""
    while size := int((await reader.readuntil(b"\r\n")), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
