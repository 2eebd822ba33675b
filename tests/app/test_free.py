"""`free_only`: what OpenRouter's own list does not have for nothing is not asked, and the next target is."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import pytest

from proxy.app.free import FreeLists, FreePlace
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.failure import Failure, FailureKind
from proxy.core.secret import Secret
from proxy.net.httpnet import HttpNet

FREE = {"prompt": "0", "completion": "0"}
ROWS = [{"id": "a/m:free", "pricing": FREE}, {"id": "b/m", "pricing": {"prompt": "0.1", "completion": "0.1"}}]


class OpenRouter:
    """Answers each request with the same body."""

    def __init__(self, status: str = "200 OK", body: Any = None) -> None:
        self.asked: list[bytes] = []
        content = json.dumps({"data": ROWS} if body is None else body).encode()
        self._answer = b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status.encode(), len(content), content)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api/v1"
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self._answer)
        await writer.drain()
        writer.close()


Test = Callable[[OpenRouter, Callable[[str], FreePlace]], Coroutine[Any, Any, None]]


def run(test: Test, router: OpenRouter) -> None:
    async def body() -> None:
        net = HttpNet()
        lists = FreeLists(net)
        async with router:
            backend = Backend("or", "openrouter", router.url, Secret("k"), options={"free_only": True})

            def place(model: str) -> FreePlace:
                found = lists.place(backend, model)
                assert found is not None
                return found

            try:
                await test(router, place)
            finally:
                await lists.close()
                await net.close()

    asyncio.run(asyncio.wait_for(body(), 20))


async def listed(place: FreePlace) -> None:
    """Waits until the list has come, or is known not to come."""
    place.origin()
    task = place._list._task
    assert task is not None
    await task


async def answer(place: FreePlace) -> Origin | Failure:
    found = place.origin()
    return found if isinstance(found, Origin) else await found


def test_the_list_is_asked_once_and_nobody_waits_for_it() -> None:
    async def test(router: OpenRouter, place: Callable[[str], FreePlace]) -> None:
        first = place("b/m")
        assert isinstance(first.origin(), Origin)  # its name is all that is known by now
        await listed(first)
        refused = await answer(place("b/m"))
        assert isinstance(refused, Failure) and refused.kind is FailureKind.NOT_FOUND
        assert place("b/m").state().state == "unavailable"
        assert isinstance(await answer(place("a/m")), Origin) and isinstance(await answer(place("a/m:free")), Origin)
        assert place("a/m").state().state == "ready"
        assert [line.split(b"\r\n")[0] for line in router.asked] == [b"GET /api/v1/models HTTP/1.1"]

    run(test, OpenRouter())


@pytest.mark.parametrize("router", [OpenRouter("500 Broken"), OpenRouter(body=[]), OpenRouter(body={"data": 7})])
def test_without_a_list_names_have_to_do(router: OpenRouter, caplog: pytest.LogCaptureFixture) -> None:
    async def test(_: OpenRouter, place: Callable[[str], FreePlace]) -> None:
        await listed(place("b/m"))
        assert isinstance(await answer(place("b/m")), Origin)

    with caplog.at_level(logging.WARNING):
        run(test, router)
    assert "or: no list of free models" in caplog.text


def test_what_may_cost_money_is_not_looked_up() -> None:
    lists = FreeLists(HttpNet)  # type: ignore[arg-type]  # never used
    assert lists.place(Backend("or", "openrouter", "https://openrouter.ai/api/v1"), "a/m") is None
    assert lists.place(Backend("o", "openai", "https://api.example.com/v1", options={"free_only": True}), "a/m") is None
    assert FreeLists().place(Backend("or", "openrouter", options={"free_only": True}), "a/m") is None
