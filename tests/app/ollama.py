"""An Ollama over a raw socket, which has the models that it is told to have and pulls the others."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self

LAYER = {"status": "pulling 6a0746a1ec1a", "digest": "sha256:6a0746a1ec1a", "total": 4_700_000_000}
LINES: list[dict[str, Any]] = [
    {"status": "pulling manifest"},
    LAYER,
    {**LAYER, "completed": 2_021_000_000},
    {**LAYER, "completed": 4_700_000_000},
    {"status": "verifying sha256 digest"},
    {"status": "success"},
]


class Ollama:
    """`asked` holds the paths of all requests; a pull says a line each time that `go` is released."""

    def __init__(self, *models: str, lines: list[dict[str, Any]] | None = None, status: int = 200) -> None:
        self.models = {*models}
        self.asked: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        """Of the chats."""
        self.says = ["hel", "lo"]
        self.counted = 50
        """Tokens of the prompt that a chat tells of."""
        self.ends: dict[str, Any] | None = None
        """A chat stream's last line, instead of a good one."""
        self.go = asyncio.Semaphore(0)
        self.cut = False
        """A pull's connection is closed after its lines, without an end."""
        self.url = ""
        self._heard = asyncio.Event()
        self._lines = LINES if lines is None else lines
        self._status = status
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()

    def release(self, lines: int = 100) -> None:
        """Let a pull say so many more lines."""
        for _ in range(lines):
            self.go.release()

    async def until(self, path: str, count: int = 1) -> None:
        """Wait for so many requests to that path."""
        while self.asked.count(path) < count:
            self._heard.clear()
            await self._heard.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                path = head.split(b" ")[1].decode()
                self.asked.append(path)
                self._heard.set()
                await self._answer(path, json.loads(await reader.readexactly(length)), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        model = body["model"]
        if path == "/api/pull" and self._status == 200:
            await self._pull(model, writer)
        elif path == "/api/pull":
            _whole(writer, self._status, {"error": "pull is not allowed here"})
        elif model not in self.models:
            _whole(writer, 404, {"error": f"model '{model}' not found"})
        elif path == "/api/show":
            _whole(writer, 200, {"capabilities": ["completion"]})
        else:
            self._chat(model, body, writer)
        await writer.drain()

    def _chat(self, model: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.bodies.append(body)
        last = {"model": model, "done": True, "done_reason": "stop", "prompt_eval_count": self.counted, "eval_count": 2}
        if not body["stream"]:
            _whole(writer, 200, {**last, "message": {"role": "assistant", "content": "hello"}})
            return
        said = [
            {"model": model, "message": {"role": "assistant", "content": text}, "done": False} for text in self.says
        ]
        lines = [*said, self.ends or {**last, "message": {"role": "assistant", "content": ""}}]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
        for line in lines:
            _chunk(writer, line)
        writer.write(b"0\r\n\r\n")

    async def _pull(self, model: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
        for line in self._lines:
            await self.go.acquire()
            _chunk(writer, line)
            await writer.drain()
        if self.cut:
            raise ConnectionError
        if self._lines[-1] == {"status": "success"}:
            self.models.add(model)
        writer.write(b"0\r\n\r\n")


def _chunk(writer: asyncio.StreamWriter, line: dict[str, Any]) -> None:
    data = json.dumps(line).encode() + b"\n"
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


def _whole(writer: asyncio.StreamWriter, status: int, value: dict[str, Any]) -> None:
    data = json.dumps(value).encode()
    writer.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(data)))
    writer.write(data)
