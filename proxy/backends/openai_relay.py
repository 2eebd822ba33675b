"""Endpoints that are handed on as they are (`proxy.core.relay`), at OpenAI-speaking backends.

https://platform.openai.com/docs/api-reference: moderations, audio, images. Rerank is no endpoint of OpenAI's; Cohere
(https://docs.cohere.com/reference/rerank) and Jina (https://jina.ai/reranker) set its form. (All read 2026-11-21.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.backends.head import head, standard
from proxy.backends.openai_errors import ErrorReader
from proxy.backends.openai_spec import Charge
from proxy.backends.openai_usage import usage_in
from proxy.core.call import HttpCall
from proxy.core.chat import End, Event, Kind
from proxy.core.dialect import Malformed
from proxy.core.failure import Failure, FailureKind
from proxy.core.relay import Relay, Relayed, RelayRequest
from proxy.core.secret import Secret
from proxy.core.sse import SseFramer
from proxy.core.usage import Special, Usage

MAX_EVENT = 16 * 1024 * 1024
"""Bytes of an event: one may hold a whole image."""
_DONE = b"[DONE]"
_ENDINGS = (".done", ".completed")
_DETAILS = ("input_token_details", "output_token_details")
"""As transcriptions call what all others call `input_tokens_details`."""
_DRAWS = frozenset({"images", "image_edits"})
"""Endpoints whose output is images, also where a usage does not say so."""


def has_not() -> Failure:
    """Why a target without the endpoint is not asked."""
    message = "No target of this model has this endpoint."
    return Failure(FailureKind.UNSUPPORTED, message, code="unsupported_endpoint")


def relay_call(
    request: RelayRequest,
    target: str,
    authority: str,
    more: tuple[Mapping[str, str | Secret], ...],
    body: Mapping[str, Any],
) -> HttpCall:
    """`body`: the JSON as it is to be sent. Of a form only the model's name is another."""
    given = {"Content-Type": request.content_type}
    first = head(f"POST {target} HTTP/1.1", authority, standard("*/*"), *more, given)
    if request.span is None:
        return HttpCall(first, orjson.dumps(body))
    begin, end = request.span
    return HttpCall(first, b"%b%b%b" % (request.raw[:begin], body["model"].encode(), request.raw[end:]))


def read_relayed(
    relay: Relay,
    content_type: str,
    body: bytes,
    errors: ErrorReader,
    model: str | None = None,
    charge: Charge | None = None,
) -> Relayed | Failure:
    """A whole answer, whatever it is. Raises `Malformed`."""
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        raise Malformed("the upstream's answer is empty")
    if kind == "text/html":
        raise Malformed("the upstream's answer is a page")
    if not relay.data and kind and kind != "application/json":
        return Relayed(body, "", None, content_type)
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if relay.data or kind:
            raise Malformed("the upstream's answer is not JSON") from error
        return Relayed(body, "", None, content_type)
    if not isinstance(reply, dict):
        if relay.data and not isinstance(reply, list):
            raise Malformed("the upstream's answer is neither a JSON object nor a list")
        return Relayed(body, "", None, content_type)
    fault = errors.fault_in(reply, [])
    if fault is not None:
        return errors.in_stream(fault)
    named = reply.get("model")
    if model is not None and "model" in reply:
        body = orjson.dumps({**reply, "model": model})
    usage = usage_of(reply, charge, draws=relay.name in _DRAWS)
    return Relayed(body, named if isinstance(named, str) else "", usage, content_type)


def usage_of(reply: Mapping[str, Any], charge: Charge | None = None, *, draws: bool = False) -> Usage | None:
    """Tokens, where the answer tells them (a duration or search units are none); also rerank's few forms of it.

    `draws`: what comes out is images, also where the usage does not say so.
    """
    told = reply.get("usage")
    if isinstance(told, dict) and any(name in told for name in _DETAILS):
        more = {name.replace("token_", "tokens_"): told[name] for name in _DETAILS if name in told}
        reply = {**reply, "usage": {**told, **more}}
    found = usage_in(reply, charge)
    if found is not None:
        silent = draws and found.output and not _at(told, "output_tokens_details")
        apart = found.special or Special()
        return found._replace(special=apart._replace(image_output=found.output)) if silent else found
    meta = reply.get("meta")
    for part in (_at(meta, "tokens"), _at(meta, "billed_units")):  # Cohere's
        found = usage_in({"usage": part})
        if found is not None:
            return found
    total = _at(told, "total_tokens")  # Jina's, of which all are input
    return usage_in({"usage": {"prompt_tokens": total, "total_tokens": total}}) if total is not None else None


def _at(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


class Bytes:
    """An answer whose bytes mean nothing to us (audio); see `proxy.core.dialect.Decoder`.

    HTTP's framing alone says whether it is whole.
    """

    __slots__ = ("chars", "finished", "model", "usage")

    counted = None
    filtered = False

    def __init__(self) -> None:
        self.chars = 0
        """Bytes here: what the speed of the stream is taken by."""
        self.finished = False
        self.model = ""
        self.usage: Usage | None = None

    @property
    def choices_seen(self) -> int:
        return 1 if self.chars else 0

    @property
    def empty(self) -> bool:
        return not self.chars

    def feed(self, data: bytes) -> list[Event]:
        """Whatever it is."""
        self.chars += len(data)
        return [Event(Kind.CONTENT, data)] if data else []

    def close(self) -> End:
        """The body is at its end."""
        return End.COMPLETE


class Events(Bytes):
    """A stream of events, of which only the last and errors mean anything; see `proxy.core.dialect.Decoder`.

    OpenAI's end with one whose type ends in `.done` or `.completed`, others with `[DONE]`. Where events have no type
    and `[DONE]` does not come, HTTP's framing has to do.
    """

    __slots__ = ("_charge", "_errors", "_failed", "_framer", "_over", "_typed")

    def __init__(self, errors: ErrorReader, charge: Charge | None = None) -> None:
        super().__init__()
        self._errors = errors
        self._charge = charge
        self._framer = SseFramer(MAX_EVENT)
        self._typed = False
        self._over = False
        self._failed = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete, their bytes as they came. Raises `Malformed`."""
        events: list[Event] = []
        for payload, raw, name in self._framer.feed(data):
            if self._over:
                break
            self.chars += len(raw)
            if name:
                raw = b"event: %b\n%b" % (name, raw)
            if payload.strip() == _DONE:
                self._over = self.finished = True
                events += (Event(Kind.CONTENT, raw), Event(Kind.DONE, b""))
                break
            events.append(self._event(payload, raw, name))
        return events

    def close(self) -> End:
        """See `proxy.core.dialect.Decoder.close`."""
        if self._failed:
            return End.ERRORED
        return End.COMPLETE if self.finished or not self._typed else End.TRUNCATED

    def _event(self, payload: bytes, raw: bytes, name: bytes) -> Event:
        try:
            said = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise Malformed("an event of the upstream is not JSON") from error
        if not isinstance(said, dict):
            return Event(Kind.CONTENT, raw)
        type_ = said.get("type")
        if said.get("error") or name == b"error" or type_ == "error":
            self._failed = self._over = True
            return Event(Kind.ERROR, b"", failure=self._errors.in_stream(said))
        draws = isinstance(type_, str) and type_.startswith("image_")
        self.usage = usage_of(said, self._charge, draws=draws) or self.usage
        if isinstance(type_, str):
            self._typed = True
            self.finished = self.finished or type_.endswith(_ENDINGS)
        return Event(Kind.CONTENT, raw)
