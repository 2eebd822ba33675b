"""Anthropic's Messages API: `POST /v1/messages`, asked in OpenAI's terms, or in its own by a client that speaks it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from proxy.backends.anthropic_errors import AnthropicErrors
from proxy.backends.anthropic_models import Traits, traits_of
from proxy.backends.anthropic_native import NativeDecoder
from proxy.backends.anthropic_reply import read_count, read_message
from proxy.backends.anthropic_request import OWN, write
from proxy.backends.anthropic_stream import MessagesDecoder
from proxy.backends.head import Address, address, head, standard, to_hide
from proxy.config.values import Backend
from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.chat import ChatRequest, Completion, Embedding, EmbedRequest, Native
from proxy.core.dialect import UNSTAMPED, Decoder, Prefill, Prepared, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret

BASE_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"
COUNT = "count_tokens"
"""The native API that counts a request's tokens (`/v1/messages/count_tokens`)."""
_BETA = "anthropic-beta"
_FILES = "files-api"
_PREFILL = Prefill(strips=True)
"""An assistant message that comes last is continued; white space at its end is refused."""
_KNOWN = OWN | {
    *("max_tokens", "temperature", "top_p", "top_k", "thinking"),
    *("service_tier", "stop_sequences", "output_config", "tool_choice"),
}
"""Parameters that mean the same to Anthropic where the configuration names them for a target."""

NO_EMBEDDINGS = Failure(FailureKind.UNSUPPORTED, "Anthropic has no embeddings")


def bind(backend: Backend, target: Target) -> AnthropicDialect:
    """See `proxy.backends.registry.bind`."""
    return AnthropicDialect(_address(backend), backend, target)


def origin(backend: Backend) -> Origin:
    """See `proxy.backends.registry.origin`."""
    return _address(backend).origin


def _address(backend: Backend) -> Address:
    """With or without `/v1` at the end: Anthropic's own SDKs leave it away."""
    found = address(backend.base_url or BASE_URL)
    return found._replace(path=found.path.removesuffix("/v1"))


class AnthropicDialect:
    """One target at Anthropic, or at a server that speaks its API; see `proxy.core.dialect.Dialect`."""

    speaks = frozenset({"messages", COUNT})
    translates = True
    stream_type = b"event-stream"
    repeatable = False

    __slots__ = (
        "_betas",
        "_count_head",
        "_errors",
        "_files",
        "_head",
        "_most",
        "_prefix",
        "_stream_head",
        "_target",
        "_traits",
        "prefill",
    )

    def __init__(self, where: Address, backend: Backend, target: Target) -> None:
        """Raises `ValueError` where a header or the key cannot be sent."""
        self._target = target
        self._prefix = f"{backend.name}/"
        self._traits = traits_of(target.model) if target.model else None
        self.prefill = _PREFILL if target.prefill or (self._traits is not None and self._traits.prefill) else None
        if target.prefill is False:
            self.prefill = None
        options = backend.options
        self._most: int | None = options.get("max_tokens")
        own: dict[str, str | Secret] = {"anthropic-version": str(options.get("version") or VERSION)}
        if backend.api_key:
            own["x-api-key"] = backend.api_key
        more = (own, backend.headers, target.headers)
        named = [*options.get("beta", ()), *(beta for headers in more for beta in _betas_in(headers))]
        self._betas = tuple(dict.fromkeys(named))
        self._files = any(beta.startswith(_FILES) for beta in self._betas)
        line = f"POST {where.target('/v1/messages')} HTTP/1.1"
        count = f"POST {where.target('/v1/messages/count_tokens')} HTTP/1.1"
        plain = [{name: value for name, value in headers.items() if name.lower() != _BETA} for headers in more]
        self._head = head(line, where.authority, standard("application/json"), *plain)
        self._stream_head = head(line, where.authority, standard("text/event-stream"), *plain)
        self._count_head = head(count, where.authority, standard("application/json"), *plain)
        self._errors = AnthropicErrors(to_hide(where, backend, target))

    def __repr__(self) -> str:
        return f"AnthropicDialect({self._target.name!r})"

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        native = request.native
        if native is not None and native.api in self.speaks:
            return self._counting(request, native) if native.api == COUNT else self._as_it_came(request, native)
        target = self._target
        asked = {**target.defaults, **request.body, **target.overrides}
        dropped = tuple(sorted(target.drop.intersection(asked)))
        for name in dropped:
            del asked[name]
        model = self._model(request)
        traits = self._traits or traits_of(model)
        most = self._most or traits.most
        written = write(
            asked, traits, stream=request.stream, most=most, files=self._files, prefill=self._continues(traits)
        )
        if isinstance(written, Failure):
            return written
        top = self._stream_head if request.stream else self._head
        call = self._call(top, {"model": model, **written.body}, written.betas)
        return Prepared(call, dropped + written.lost + written.hints, written.lost)

    def embed(self, request: EmbedRequest) -> Prepared | Failure:
        return NO_EMBEDDINGS

    def completion(self, body: bytes, *, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Completion | Failure:
        if stamp.native == COUNT:
            return read_count(body, self._errors)
        return read_message(body, self._errors, stamp, model)

    def embedding(self, body: bytes, *, base64: bool, model: str | None = None) -> Embedding | Failure:
        return NO_EMBEDDINGS

    def decoder(self, *, wants_usage: bool, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Decoder:
        if stamp.native in self.speaks:
            return NativeDecoder(self._errors, stamp, model=model)
        return MessagesDecoder(self._errors, stamp, wants_usage=wants_usage, model=model)

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        return self._errors.failure(status, headers, body)

    def _as_it_came(self, request: ChatRequest, native: Native) -> Prepared:
        """The client's own body, but for the model and for what the configuration says of this target."""
        target = self._target
        body = dict(native.body)
        for name, value in target.defaults.items():
            if name in _KNOWN:
                body.setdefault(name, value)
        body.update((name, value) for name, value in target.overrides.items() if name in _KNOWN)
        dropped = tuple(sorted(target.drop.intersection(body)))
        for name in dropped:
            del body[name]
        body["model"] = self._model(request)
        top = self._stream_head if request.stream else self._head
        return Prepared(self._call(top, body, _betas_of(native)), dropped)

    def _counting(self, request: ChatRequest, native: Native) -> Prepared:
        """The client's own body; what the configuration says of answers does not belong in it."""
        body = {**native.body, "model": self._model(request)}
        return Prepared(self._call(self._count_head, body, _betas_of(native)))

    def _model(self, request: ChatRequest) -> str:
        return self._target.model or request.model.removeprefix(self._prefix)

    def _continues(self, traits: Traits) -> bool:
        """Is an assistant message that comes last handed on as one?"""
        wanted = self._target.prefill
        return traits.prefill is not False if wanted is None else wanted

    def _call(self, top: bytes, body: Mapping[str, Any], betas: Iterable[str]) -> HttpCall:
        named = tuple(dict.fromkeys((*self._betas, *betas)))
        if named:
            top += f"{_BETA}: {','.join(named)}\r\n".encode("latin-1", "ignore")
        return HttpCall(top, orjson.dumps(body))


def _betas_in(headers: Mapping[str, str | Secret]) -> list[str]:
    for name, value in headers.items():
        if name.lower() == _BETA:
            return _split(value.reveal() if isinstance(value, Secret) else value)
    return []


def _betas_of(native: Native) -> list[str]:
    return [beta for name, value in native.headers if name.lower() == _BETA for beta in _split(value)]


def _split(value: str) -> list[str]:
    """The words of a header, without what no header can hold."""
    words = (word.strip() for word in value.split(","))
    return [word for word in words if word and word.isascii() and word.isprintable()]
