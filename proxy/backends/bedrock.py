"""Amazon Bedrock: Converse, ConverseStream and the embedding models, for every maker's models alike.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from proxy.backends import bedrock_embed as embed
from proxy.backends.bedrock_errors import BedrockErrors
from proxy.backends.bedrock_models import Model, model_of
from proxy.backends.bedrock_reply import read_completion
from proxy.backends.bedrock_request import write
from proxy.backends.bedrock_stream import ConverseDecoder
from proxy.backends.head import Address, address, head, standard, to_hide
from proxy.config.values import Backend
from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.chat import ChatRequest, Completion, Embedding, EmbedRequest
from proxy.core.dialect import UNSTAMPED, Decoder, Prefill, Prepared, Stamp
from proxy.core.failure import Failure
from proxy.core.route import Target
from proxy.core.secret import Secret

STREAM_TYPE = "application/vnd.amazon.eventstream"


class BedrockDialect:
    """One model on Bedrock; see `proxy.core.dialect.Dialect`."""

    speaks: frozenset[str] = frozenset()
    translates = True
    stream_type = b"vnd.amazon.eventstream"
    repeatable = False

    __slots__ = ("_errors", "_fixed", "_guard", "_heads", "_model", "_more", "_prefix", "_target", "_where", "prefill")

    def __init__(self, where: Address, backend: Backend, target: Target) -> None:
        """Raises `ValueError` where a header or the key cannot be sent."""
        self._where = where
        self._target = target
        self._prefix = f"{backend.name}/"
        self._model: Model = model_of(target.model)
        continues = self._model.prefill if target.prefill is None else target.prefill
        self.prefill = Prefill(strips=True) if continues else None
        key = backend.api_key
        self._fixed: dict[str, str | Secret] = {"Authorization": Secret(f"Bearer {key.reveal()}")} if key else {}
        self._more = (backend.headers, target.headers)
        self._heads = self._made(target.model)
        self._guard = backend.options.get("guardrail")
        self._errors = BedrockErrors(to_hide(where, backend, target))

    def __repr__(self) -> str:
        return f"BedrockDialect({self._target.name!r})"

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        asked, dropped = self._adapted(request.body)
        name, model = self._named(request.model)
        written = write(asked, model, prefill=self.prefill is not None)
        if isinstance(written, Failure):
            return written
        body = written.body
        if self._guard is not None:
            body["guardrailConfig"] = _guardrail(self._guard, stream=request.stream)
        heads = self._heads if name == self._target.model else self._made(name)
        return _prepared(heads[request.stream], body, written.lost, written.hints, dropped)

    def embed(self, request: EmbedRequest) -> Prepared | Failure:
        asked, dropped = self._adapted(request.body)
        name, _ = self._named(request.model)
        written = embed.write(asked, name)
        if isinstance(written, Failure):
            return written
        heads = self._heads if name == self._target.model else self._made(name)
        return _prepared(heads[2], written.body, written.lost, written.hints, dropped)

    def completion(self, body: bytes, *, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Completion | Failure:
        return read_completion(body, self._target.model, self._model, model, stamp)

    def embedding(self, body: bytes, *, base64: bool, model: str | None = None) -> Embedding | Failure:
        return embed.read(body, self._target.model, self._errors.reader, base64=base64, reply=model)

    def decoder(self, *, wants_usage: bool, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Decoder:
        return ConverseDecoder(
            self._errors, self._target.model, self._model, wants_usage=wants_usage, reply=model, stamp=stamp
        )

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        return self._errors.failure(status, headers, body)

    def _named(self, asked: str) -> tuple[str, Model]:
        if self._target.model:
            return self._target.model, self._model
        name = asked.removeprefix(self._prefix)
        return name, model_of(name)

    def _made(self, model: str) -> tuple[bytes, bytes, bytes]:
        """The heads of Converse, ConverseStream and InvokeModel. An ARN has slashes, and most ids have a colon."""
        path = f"/model/{quote(model, safe='')}"
        return (
            self._head(path + "/converse", "application/json"),
            self._head(path + "/converse-stream", STREAM_TYPE),
            self._head(path + "/invoke", "application/json"),
        )

    def _head(self, path: str, accept: str) -> bytes:
        line = f"POST {self._where.target(path)} HTTP/1.1"
        return head(line, self._where.authority, standard(accept), self._fixed, *self._more)

    def _adapted(self, asked: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The request with what the operator says of its parameters, and what of it is dropped so."""
        target = self._target
        body = {**target.defaults, **asked, **target.overrides}
        dropped = tuple(sorted(target.drop.intersection(body)))
        for name in dropped:
            del body[name]
        return body, dropped


def bind(backend: Backend, target: Target) -> BedrockDialect:
    """Raises `ValueError` for an address or a header that cannot be used."""
    return BedrockDialect(_address(backend), backend, target)


def origin(backend: Backend) -> Origin:
    """Where it is. Raises `ValueError` as `bind` does."""
    return _address(backend).origin


def _address(backend: Backend) -> Address:
    if backend.base_url:
        return address(backend.base_url)
    region = str(backend.options.get("region", ""))
    if not region:
        raise ValueError("a backend of type bedrock has a region")
    ending = ".cn" if region.startswith("cn-") else ""
    return address(f"https://bedrock-runtime.{region}.amazonaws.com{ending}")


def _guardrail(guard: Mapping[str, Any], *, stream: bool) -> dict[str, Any]:
    config = {
        "guardrailIdentifier": guard["id"],
        "guardrailVersion": guard.get("version", "DRAFT"),
        "trace": guard.get("trace", "disabled"),
    }
    return {**config, "streamProcessingMode": guard.get("streams", "sync")} if stream else config


def _prepared(
    top: bytes, body: dict[str, Any], lost: tuple[str, ...], hints: tuple[str, ...], dropped: tuple[str, ...]
) -> Prepared:
    names = tuple(dict.fromkeys((*dropped, *lost, *hints))) if lost or hints else dropped
    return Prepared(HttpCall(top, orjson.dumps(body)), names, lost)
