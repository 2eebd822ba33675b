"""Pulling a model into an Ollama: is it there, fetch it, and how far that is.

Source: Ollama's docs/api.md ("Pull a Model", "Show Model Information") and openapi.yaml (StatusEvent). A pull is a
stream of lines: `pulling manifest`, then for each layer `pulling <digest>` with `total` and `completed` bytes
(`completed` is missing while it is 0), `verifying sha256 digest`, `writing manifest`, and `success` at last. An error
comes as a line too. One that was broken off goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from proxy.backends.head import head, standard
from proxy.backends.ollama import ollama_address
from proxy.backends.ollama_errors import OllamaErrors
from proxy.config.values import Backend
from proxy.core.call import HttpCall
from proxy.core.dialect import Malformed, TooLarge
from proxy.core.failure import Failure
from proxy.core.scrub import scrub
from proxy.core.secret import Secret

MAX_LINE = 64 * 1024
MAX_LAYERS = 1024
"""A model has about five."""


class PullCalls(NamedTuple):
    """For one model at one backend."""

    show: HttpCall
    """Answered with 200 where the model is there, and with 404 where it is not."""
    pull: HttpCall


class Progress(NamedTuple):
    """How far a pull is: bytes of all layers that it has told of so far."""

    status: str = ""
    completed: int = 0
    total: int = 0

    @property
    def percent(self) -> int | None:
        """Of the bytes; `None` while none were told."""
        return min(100 * self.completed // self.total, 100) if self.total else None

    def __str__(self) -> str:
        if self.percent is None:
            return self.status or "waiting"
        return f"{self.percent} % of {size(self.total)}"


def calls(backend: Backend, model: str) -> PullCalls:
    """Raises `ValueError` where the address, a header or the key cannot be used."""
    where = ollama_address(backend.base_url)
    key = {"Authorization": Secret(f"Bearer {backend.api_key.reveal()}")} if backend.api_key else {}

    def call(path: str, accept: str, body: Mapping[str, Any]) -> HttpCall:
        line = f"POST {where.target(path)} HTTP/1.1"
        return HttpCall(head(line, where.authority, standard(accept), key, backend.headers), orjson.dumps(body))

    show = call("/api/show", "application/json", {"model": model})
    return PullCalls(show, call("/api/pull", "application/x-ndjson", {"model": model, "stream": True}))


class PullReader:
    """Reads one pull's lines. `failure` and `done` say how it ended, once it has."""

    def __init__(self, errors: OllamaErrors) -> None:
        self._errors = errors
        self._tail = b""
        self._layers: dict[str, tuple[int, int]] = {}
        """Bytes there and bytes in all, by the layer's digest."""
        self.progress = Progress()
        self.failure: Failure | None = None
        self.done = False

    def feed(self, data: bytes) -> None:
        """More of the stream. Raises `Malformed`."""
        *lines, self._tail = (self._tail + data).split(b"\n")
        if len(self._tail) > MAX_LINE:
            raise TooLarge(f"a line of the upstream is larger than {MAX_LINE} bytes")
        for line in lines:
            if line.strip() and self.failure is None and not self.done:
                self._line(line)

    def _line(self, line: bytes) -> None:
        try:
            told = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise Malformed("a line of the upstream is not JSON") from error
        if not isinstance(told, dict):
            raise Malformed("a line of the upstream is not a JSON object")
        if told.get("error"):
            failure = self._errors.in_stream(told)
            said = told["error"]  # the operator is to have Ollama's own words
            self.failure = failure._replace(message=scrub(said) or failure.message) if type(said) is str else failure
            return
        status = told.get("status")
        words = status if isinstance(status, str) else ""
        digest, total, completed = told.get("digest"), told.get("total"), told.get("completed", 0)
        if isinstance(digest, str) and type(total) is int and type(completed) is int:
            if digest not in self._layers and len(self._layers) >= MAX_LAYERS:
                raise Malformed(f"the upstream pulls more than {MAX_LAYERS} layers")
            self._layers[digest] = (completed, total)
        there = sum(layer[0] for layer in self._layers.values())
        self.progress = Progress(words[:200], there, sum(layer[1] for layer in self._layers.values()))
        self.done = words == "success"


def size(count: int) -> str:
    """Bytes for people, as model hubs write them: 1 GB is 10^9."""
    for unit, each in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= each:
            return f"{count / each:.1f} {unit}"
    return f"{count} B"
