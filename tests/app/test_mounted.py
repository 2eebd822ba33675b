"""`wayline.asgi`: Wayline as, or in, somebody else's ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from openai import AsyncOpenAI, NotFoundError, OpenAI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message

from proxy import Wayline
from tests.app.embedding import HELLO, mapping
from tests.app.test_embedded import ended
from tests.upstream import Upstream, in_thread
from tests.upstream_answers import ok, stream_ok


def sdk(app: ASGIApp, path: str = "/v1") -> AsyncOpenAI:
    """The openai SDK, without a socket."""
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app))
    return AsyncOpenAI(base_url=f"http://inside{path}", api_key="none", max_retries=0, http_client=http)


async def outer(request: Request) -> Response:
    return PlainTextResponse("the outer application")


@contextlib.asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """uvicorn with its own protocol, as anybody runs it; its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    with contextlib.ExitStack() as stack:
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]  # of the test's process
        task = asyncio.create_task(server.serve())
        while not server.started:
            assert not task.done()
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
            stack.close()


def test_the_openai_sdk_over_asgi_chats_streams_embeds_and_lists(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            Upstream(ok("Hello !")) as up,
            Wayline(mapping(tmp_path, up.base_url)) as wayline,
            sdk(wayline.asgi) as client,
        ):
            raw = await client.chat.completions.with_raw_response.create(model="chat", messages=HELLO)
            assert raw.parse().choices[0].message.content == "Hello !"
            assert raw.headers["x-wayline-target"] == "up/first"
            stream = await client.chat.completions.create(model="chat", messages=HELLO, stream=True)
            assert [c.choices[0].delta.content async for c in stream if c.choices] == ["", "Hello", "!", None]
            vectors = await client.embeddings.create(model="embed", input="x", encoding_format="float")
            assert vectors.data[0].embedding == [0.25, -0.5]
            assert [model.id async for model in client.models.list()] == ["chat", "embed"]
            with pytest.raises(NotFoundError, match="does not exist"):
                await client.chat.completions.create(model="nobody", messages=HELLO)

    asyncio.run(run())


def test_mounted_below_an_application_that_opens_it_itself(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok("Hello !")) as up:
            wayline = Wayline(mapping(tmp_path, up.base_url))

            @contextlib.asynccontextmanager
            async def lifespan(_: Starlette) -> AsyncGenerator[None]:
                async with wayline:
                    yield

            app = Starlette(routes=[Route("/", outer), Mount("/llm", wayline.asgi)], lifespan=lifespan)
            async with served(app) as url, httpx2.AsyncClient() as http:
                assert (await http.get(url)).text == "the outer application"
                assert (await http.get(url + "/llm/readyz")).json()["status"] == "ready"
                await chat_and_stream(url + "/llm/v1")
                assert (await http.get(url + "/llm/v1/nothing")).json()["error"]["code"] == "not_found"
            assert wayline.mounted is None

    asyncio.run(run())
    assert ended(tmp_path) == {"served": 2}


async def chat_and_stream(base_url: str) -> None:
    """Over a real socket."""
    async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        answer = await client.chat.completions.create(model="chat", messages=HELLO)
        assert answer.choices[0].message.content == "Hello !"
        stream = await client.chat.completions.create(model="chat", messages=HELLO, stream=True)
        assert [c.choices[0].delta.content async for c in stream if c.choices] == ["", "Hello", "!", None]


def test_the_admin_api_stands_below_the_mount_too(tmp_path: Path) -> None:
    async def run() -> None:
        key = "adm-0123456789abcdef"
        async with Upstream(ok()) as up, Wayline(mapping(tmp_path, up.base_url, admin={"key": key})) as wayline:
            app = Starlette(routes=[Mount("/llm", wayline.asgi)])
            headers = {"authorization": f"Bearer {key}"}
            transport = httpx2.ASGITransport(app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://inside", headers=headers) as http:
                assert (await http.get("/llm/admin/status")).json()["status"] == "ready"
                assert (await http.get("/llm/admin/openapi.json")).json()["servers"] == [{"url": "/llm/admin"}]
                assert (await http.get("/llm/admin")).headers["location"] == "http://inside/llm/admin/"
                assert (await http.get("/admin/status")).status_code == 404

    asyncio.run(run())


def test_as_the_application_of_a_server_it_lives_as_long_as_that(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok("Hello !")) as up:
            wayline = Wayline(mapping(tmp_path, up.base_url))
            async with served(wayline.asgi) as url:
                assert wayline.mounted is not None
                await chat_and_stream(url + "/v1")
            assert wayline.mounted is None

    asyncio.run(run())


def test_mounted_where_nobody_opens_it_the_first_request_does_and_the_loops_end_closes_it(tmp_path: Path) -> None:
    with in_thread(Upstream(ok("Hello !"))) as there:
        wayline = Wayline(mapping(tmp_path, there.up.base_url))
        app = Starlette(routes=[Mount("/llm", wayline.asgi)])

        async def run() -> None:
            async with sdk(app, "/llm/v1") as client:
                asked = [client.chat.completions.create(model="chat", messages=HELLO) for _ in range(5)]
                assert {answer.choices[0].message.content for answer in await asyncio.gather(*asked)} == {"Hello !"}
                assert wayline.mounted is not None

        asyncio.run(run())
        assert wayline.mounted is None
        asyncio.run(run())
    assert ended(tmp_path) == {"served": 10}


def test_a_server_is_told_why_it_cannot_start(tmp_path: Path) -> None:
    said: list[Message] = []

    async def run() -> None:
        messages = iter([{"type": "lifespan.startup"}])

        async def receive() -> Message:
            return next(messages)

        async def send(message: Message) -> None:
            said.append(message)

        await Wayline(tmp_path / "nowhere.yaml").asgi({"type": "lifespan"}, receive, send)

    asyncio.run(run())
    assert said[0]["type"] == "lifespan.startup.failed"
    assert "nowhere.yaml" in said[0]["message"]


def test_a_client_that_leaves_ends_its_request(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(stream_ok(["word "] * 500, every=0.02)) as up:
            wayline = Wayline(mapping(tmp_path, up.base_url))
            async with served(wayline.asgi) as url, AsyncOpenAI(base_url=url + "/v1", api_key="none") as client:
                stream = await client.chat.completions.create(model="chat", messages=HELLO, stream=True)
                async for chunk in stream:
                    if chunk.choices[0].delta.content:
                        break
                await stream.close()
                await up.closed(0)

    asyncio.run(run())
    assert ended(tmp_path) == {"cancelled": 1}


def test_what_is_no_request_to_us_is_refused_as_by_our_own_server(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, Wayline(small(tmp_path, up.base_url)) as wayline:
            transport = httpx2.ASGITransport(wayline.asgi)
            async with httpx2.AsyncClient(transport=transport, base_url="http://inside") as http:
                path = "/v1/chat/completions"
                told = [
                    await http.get(path),
                    await http.post(path, content=b"{}", headers={"content-type": "text/plain"}),
                    await http.post(path, json={"x": "y" * 5000}),
                    await http.post(path, content=pieces(), headers={"content-type": "application/json"}),
                    await http.post("/v1/messages", json={"model": "nobody", "max_tokens": 1, "messages": HELLO}),
                ]
            assert [reply.status_code for reply in told] == [405, 415, 413, 413, 404]
            assert told[0].headers["allow"] == "POST"
            assert told[2].json()["error"]["code"] == "body_too_large"
            assert told[4].json()["type"] == "error"  # in Anthropic's words
            assert up.requests == []

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 1000

    asyncio.run(run())


def small(directory: Path, upstream: str) -> dict[str, Any]:
    return mapping(directory, upstream, listen={"max_body": "4 KiB"})


def test_keys_of_callers_hold_for_those_who_come_by_http(tmp_path: Path) -> None:
    with in_thread(Upstream(ok("Hello !"))) as there:
        config = mapping(tmp_path, there.up.base_url, keys=[{"name": "team", "key": "sk-of-a-caller"}])

        async def run() -> None:
            async with Wayline(config) as wayline:
                assert (await wayline.chat(model="chat", messages=HELLO)).text == "Hello !"
                async with served(wayline.asgi) as url:
                    assert await asyncio.to_thread(asked_with, "sk-of-a-caller", url) == 200
                    assert await asyncio.to_thread(asked_with, "sk-of-nobody", url) == 401

        asyncio.run(run())


def asked_with(key: str, url: str) -> int:
    with OpenAI(base_url=url + "/v1", api_key=key, max_retries=0) as client:
        try:
            raw = client.chat.completions.with_raw_response.create(model="chat", messages=HELLO)
        except Exception as error:  # noqa: BLE001  # the SDK's own, of which the status is looked at
            return int(getattr(error, "status_code", 0))
        return int(raw.status_code)
