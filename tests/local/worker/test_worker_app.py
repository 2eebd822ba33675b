"""The server in front of an engine, with engines that do what a test says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson

from proxy.local.spec import WorkerSpec
from proxy.local.worker.app import MAX_BODY, App, Message
from proxy.local.worker.engine import Cancelled, Emit, Gone, Turn
from proxy.local.worker.request import Refused, invalid
from tests.local.unix import eventually

Run = Callable[[Gone, Emit], None]
DISCONNECT: Message = {"type": "http.disconnect"}


class Scripted:
    """An engine whose every turn is the same."""

    slots = 1

    def __init__(self, run: Run, *, stream: bool = True) -> None:
        self._turn = Turn(stream, run)
        self.closed = False

    def chat(self, raw: bytes) -> Turn:
        if raw == b"nonsense":
            raise invalid("nonsense")
        return self._turn

    def complete(self, raw: bytes) -> Turn:
        return self._turn

    def embed(self, raw: bytes) -> Turn:
        return self._turn

    def close(self) -> None:
        self.closed = True


class Client:
    """One request, by ASGI."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.status = 0
        self.body = b""
        self.ended = False
        self.first = asyncio.Event()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message["body"]
            self.ended = not message.get("more_body", False)
            self.first.set()

    async def ask(self, path: str = "/v1/chat/completions", body: bytes = b"{}", method: str = "POST") -> Client:
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
        await self._app({"method": method, "path": path}, self.incoming.get, self.send)
        return self

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = orjson.loads(self.body)["error"]
        return error


async def app_of(engine: Scripted, *, embedding: bool = False, queue: int = 1) -> App:
    app = App(WorkerSpec("m", "xllamacpp", "m.gguf", "m.sock", queue=queue, embedding=embedding))
    await app.load(lambda _: engine)
    return app


def until_gone(gone: Gone, emit: Emit) -> None:
    emit(b"data: 1\n\n")
    while not gone():
        time.sleep(0.001)
    raise Cancelled


def test_it_says_that_it_loads_until_it_has_loaded() -> None:
    async def main() -> None:
        app = App(WorkerSpec("m", "xllamacpp", "m.gguf", "m.sock"))
        for path, method in (("/health", "GET"), ("/v1/chat/completions", "POST")):
            client = await Client(app).ask(path, method=method)
            assert client.status == 503
            assert client.error == {"code": 503, "message": "Loading model", "type": "unavailable_error"}
        await app.load(lambda _: Scripted(until_gone))
        assert (await Client(app).ask("/health", method="GET")).status == 200
        await app.close()

    asyncio.run(main())


def test_a_stream_is_passed_on_piece_by_piece() -> None:
    def run(_: Gone, emit: Emit) -> None:
        emit(b"data: 1\n\n")
        emit(b"data: [DONE]\n\n")

    async def main() -> None:
        app = await app_of(Scripted(run))
        client = await Client(app).ask()
        assert (client.status, client.body, client.ended) == (200, b"data: 1\n\ndata: [DONE]\n\n", True)
        await app.close()

    asyncio.run(main())


def test_a_failure_before_the_first_event_is_a_true_status() -> None:
    def refuse(_: Gone, __: Emit) -> None:
        raise Refused(400, "exceed_context_size_error", "too long", n_ctx=5)

    def fail(_: Gone, __: Emit) -> None:
        raise RuntimeError("llama_decode returned -3 for /a/path")

    async def main() -> None:
        for stream in (True, False):
            app = await app_of(Scripted(refuse, stream=stream))
            client = await Client(app).ask()
            assert client.status == 400
            assert client.error["n_ctx"] == 5
            await app.close()
            app = await app_of(Scripted(fail, stream=stream))
            client = await Client(app).ask()
            assert client.status == 500
            assert client.error["type"] == "server_error"
            assert "path" not in client.error["message"]
            await app.close()

    asyncio.run(main())


def test_a_failure_in_mid_stream_is_told_in_band_and_without_an_end_marker() -> None:
    def run(_: Gone, emit: Emit) -> None:
        emit(b"data: 1\n\n")
        raise RuntimeError("out of memory")

    async def main() -> None:
        app = await app_of(Scripted(run))
        client = await Client(app).ask()
        assert client.status == 200
        assert b'data: {"error":{"code":500' in client.body
        assert b"[DONE]" not in client.body
        await app.close()

    asyncio.run(main())


def test_a_client_that_leaves_frees_its_slot_and_its_place_in_the_queue() -> None:
    async def main() -> None:
        app = await app_of(Scripted(until_gone))
        working, waiting = Client(app), Client(app)
        first = asyncio.ensure_future(working.ask())
        await working.first.wait()
        second = asyncio.ensure_future(waiting.ask())
        await eventually(lambda: app._turns._taken == 2)
        refused = await Client(app).ask()
        assert refused.status == 503
        assert refused.error["message"] == "our queue is full"
        for client, task in ((waiting, second), (working, first)):
            client.incoming.put_nowait(DISCONNECT)
            await task
        assert not waiting.body
        assert not working.ended  # cut, not ended
        third = Client(app)
        last = asyncio.ensure_future(third.ask())
        await third.first.wait()
        third.incoming.put_nowait(DISCONNECT)
        await last
        await app.close()

    asyncio.run(main())


def test_closing_stops_what_runs_and_frees_the_model() -> None:
    async def main() -> None:
        engine = Scripted(until_gone)
        app = await app_of(engine)
        client = Client(app)
        asked = asyncio.ensure_future(client.ask())
        await client.first.wait()
        await app.close()
        await asked
        assert engine.closed
        assert not client.ended

    asyncio.run(main())


def test_what_is_asked_wrongly() -> None:
    async def main() -> None:
        app = await app_of(Scripted(until_gone))
        assert (await Client(app).ask(body=b"nonsense")).status == 400
        assert (await Client(app).ask(body=bytes(MAX_BODY + 1))).status == 413
        assert (await Client(app).ask("/v1/embeddings")).status == 501
        assert (await Client(app).ask("/metrics", method="GET")).status == 404
        await app.close()
        app = await app_of(Scripted(until_gone), embedding=True)
        assert (await Client(app).ask()).status == 501
        await app.close()

    asyncio.run(main())


def test_a_client_that_leaves_while_it_sends_gets_nothing() -> None:
    async def main() -> None:
        app = await app_of(Scripted(until_gone))
        client = Client(app)
        client.incoming.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
        client.incoming.put_nowait(DISCONNECT)
        await app({"method": "POST", "path": "/v1/chat/completions"}, client.incoming.get, client.send)
        assert client.status == 0
        await app.close()

    asyncio.run(main())
