"""OpenAI's dialect: the reference, and, as data, that of every backend that speaks it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from proxy.backends.head import Address, head, standard, to_hide
from proxy.backends.openai_errors import ErrorReader
from proxy.backends.openai_messages import BEYOND, as_system, without
from proxy.backends.openai_relay import Bytes, Events, has_not, read_relayed, relay_call
from proxy.backends.openai_reply import read_completion, read_embedding
from proxy.backends.openai_spec import HINTS, NEUTRAL, OpenAICompatible, terms
from proxy.backends.openai_stream import ChatDecoder
from proxy.config.values import Backend
from proxy.core.call import Headers, HttpCall
from proxy.core.chat import ChatRequest, Completion, Embedding, EmbedRequest
from proxy.core.dialect import UNSTAMPED, Decoder, Prefill, Prepared, Stamp
from proxy.core.failure import Failure
from proxy.core.relay import Relayed, RelayRequest
from proxy.core.route import Target
from proxy.core.secret import Secret

_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function


class OpenAIDialect:
    """One target at an OpenAI-speaking backend; see `proxy.core.dialect.Dialect`."""

    speaks: frozenset[str] = frozenset()
    translates = False
    stream_type = b"event-stream"

    __slots__ = (
        "_adapts",
        "_as_it_is",
        "_asks_usage",
        "_bounded",
        "_charge",
        "_embed_head",
        "_errors",
        "_foreign",
        "_head",
        "_model",
        "_more",
        "_prefix",
        "_refuses",
        "_spec",
        "_stream_head",
        "_target",
        "_terms",
        "_where",
        "_without",
        "prefill",
        "repeatable",
    )

    def __init__(self, spec: OpenAICompatible, where: Address, backend: Backend, target: Target) -> None:
        """Raises `ValueError` where a header or the key cannot be sent."""
        own = terms(spec, target.model, where.origin.host)
        self._spec = spec
        self._terms = own
        self._charge = spec.charge
        self._target = target
        self._model = target.model
        self._prefix = f"{backend.name}/"
        self.prefill = spec.prefill if own.prefill and target.prefill is not False else None
        if target.prefill and self.prefill is None:
            self.prefill = Prefill()
        self.repeatable = spec.repeatable
        self._refuses = frozenset({*own.refuses, *own.only, "response_format"}) - target.drop - HINTS
        self._without = target.drop | own.refuses
        self._bounded = bool(own.only or spec.formats)
        takes = spec.takes if spec.at_home(where.origin.host) else None
        self._foreign = frozenset() if takes is None else (BEYOND | spec.leaves_out) - takes
        self._adapts = bool(target.defaults or target.overrides)
        changes = self._adapts or self._foreign or self._without or self._bounded or own.renames
        self._as_it_is = spec.developer and not changes
        """A request needs no change but the model's name."""
        self._asks_usage = spec.asks_usage and "stream_options" not in self._without
        self._more = more = credentials(spec, backend, target)
        self._where = where
        self._head, self._stream_head = heads(where, "/chat/completions", more)
        self._embed_head, _ = heads(where, "/embeddings", more)
        self._errors = ErrorReader(to_hide(where, backend, target), own_queue=spec.own_queue)

    def __repr__(self) -> str:
        return f"OpenAIDialect({self._target.name!r})"

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        """The body is written anew from its parsed form: what was checked is what is sent (an upstream might take the
        first of two keys of one name), and measured, it costs less than the scan that makes a splice of `raw` safe.
        """
        body, dropped = self._adapted(request.body, request.model)
        if not request.stream:
            return self._prepared(self._head, body, dropped)
        if self._asks_usage and not request.wants_usage:
            options = body.get("stream_options")
            if options is None:
                body["stream_options"] = {"include_usage": True}
            elif isinstance(options, dict):
                body["stream_options"] = {**options, "include_usage": True}
        return self._prepared(self._stream_head, body, dropped)

    def embed(self, request: EmbedRequest) -> Prepared | Failure:
        body, dropped = self._adapted(request.body, request.model)
        return self._prepared(self._embed_head, body, dropped)

    def completion(self, body: bytes, *, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Completion | Failure:
        return read_completion(body, self._errors, model, self._charge)

    def embedding(self, body: bytes, *, base64: bool, model: str | None = None) -> Embedding | Failure:
        return read_embedding(body, self._errors, base64=base64, model=model, charge=self._charge)

    def decoder(self, *, wants_usage: bool, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Decoder:
        return ChatDecoder(self._errors, wants_usage=wants_usage, model=model, charge=self._charge)

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        return self._errors.failure(status, headers, body)

    # What is handed on as it is; see `proxy.core.relay.Relays` ------------------------------------------------------

    def relay(self, request: RelayRequest) -> Prepared | Failure:
        """What the operator wants changed is changed in JSON; of a form only the model's name is another."""
        relays = self._spec.relays if self._spec.at_home(self._where.origin.host) else None
        path = "" if relays is None else relays.get(request.relay.name)
        if path is None:
            return has_not()
        where = self._where._replace(path="") if path else self._where
        body, dropped = dict(request.body), tuple[str, ...]()
        if request.span is None:
            self._adapt(body)
            dropped = tuple(name for name in sorted(self._target.drop) if body.pop(name, None) is not None)
        body["model"] = self._model or request.model.removeprefix(self._prefix)
        call = relay_call(request, where.target(path or request.relay.path), where.authority, self._more, body)
        return Prepared(call, dropped)

    def relayed(
        self, request: RelayRequest, content_type: str, body: bytes, *, model: str | None = None
    ) -> Relayed | Failure:
        return read_relayed(request.relay, content_type, body, self._errors, model, self._charge)

    def relay_decoder(self, content_type: str) -> Decoder:
        return Events(self._errors, self._charge) if "event-stream" in content_type else Bytes()

    # Parameters -----------------------------------------------------------------------------------------------------

    def _prepared(self, head: bytes, body: dict[str, Any], dropped: tuple[str, ...]) -> Prepared:
        unsupported = tuple(name for name in dropped if name in self._refuses) if dropped else ()
        return _new(Prepared, (HttpCall(head, orjson.dumps(body)), dropped, unsupported))

    def _adapted(self, asked: Mapping[str, Any], model: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The request for this target, and what had to be left out of it."""
        body = dict(asked)
        dropped: tuple[str, ...] = ()
        if not self._as_it_is:
            dropped = self._made_fit(body)
        body["model"] = self._model or model.removeprefix(self._prefix)
        return body, dropped

    def _made_fit(self, body: dict[str, Any]) -> tuple[str, ...]:
        """What operator and provider want changed is changed; what had to be left out is named."""
        if self._adapts:
            self._adapt(body)
        dropped: tuple[str, ...] = ()
        if self._without and not self._without.isdisjoint(body):
            dropped = self._taken_out(body)
        if self._bounded:
            dropped += self._out_of_bounds(body)
        if self._terms.renames:
            self._rename(body)
        if self._foreign:
            without(body, self._foreign)
        if not self._spec.developer:
            as_system(body)
        return dropped

    def _adapt(self, body: dict[str, Any]) -> None:
        for name, value in self._target.defaults.items():
            body.setdefault(name, value)
        body.update(self._target.overrides)

    def _taken_out(self, body: dict[str, Any]) -> tuple[str, ...]:
        """Takes out what this target does not take, and names what is missed."""
        missed = []
        for name in sorted(self._without.intersection(body)):
            value = body.pop(name)
            nothing = value is None or name == "stream_options" or value in NEUTRAL.get(name, ())
            if name in self._target.drop or not nothing:
                missed.append(name)
        return tuple(missed)

    def _out_of_bounds(self, body: dict[str, Any]) -> tuple[str, ...]:
        """Takes out parameters with values that this target does not take."""
        _, _, only, free, _ = self._terms
        missed: list[str] = []
        if not free or body.get("reasoning_effort") not in free:
            missed = [name for name, known in only.items() if body.get(name) is not None and body[name] not in known]
        form = body.get("response_format")
        if self._spec.formats and isinstance(form, dict) and form.get("type") not in self._spec.formats:
            missed.append("response_format")
        for name in missed:
            del body[name]
        return tuple(missed)

    def _rename(self, body: dict[str, Any]) -> None:
        for name, other in self._terms.renames.items():
            if name in body:
                body.setdefault(other, body.pop(name))


def credentials(
    spec: OpenAICompatible, backend: Backend, target: Target
) -> tuple[Mapping[str, str | Secret], Mapping[str, str | Secret], Mapping[str, str | Secret]]:
    """The key's header, and those of backend and target."""
    key = backend.api_key
    own: dict[str, str | Secret] = {spec.key_header: Secret(spec.key_prefix + key.reveal())} if key else {}
    return own, backend.headers, target.headers


def heads(where: Address, path: str, more: Iterable[Mapping[str, str | Secret]]) -> tuple[bytes, bytes]:
    """The heads of the calls to a path below the base URL: for a whole answer, and for a stream."""
    line = f"POST {where.target(path)} HTTP/1.1"
    whole = head(line, where.authority, standard("application/json"), *more)
    return whole, head(line, where.authority, standard("text/event-stream"), *more)
