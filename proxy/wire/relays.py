"""Bytes to a request for an endpoint that is handed on as it is, and the `Caller` for its answer."""

from __future__ import annotations

import re

from proxy.core.failure import Failure
from proxy.core.relay import Relay, RelayRequest
from proxy.engine.caller import Won
from proxy.wire.answer import EVENTS, Answer
from proxy.wire.body import BadBody, json_object
from proxy.wire.errors import error_body
from proxy.wire.form import BadForm, read_form
from proxy.wire.head import is_form
from proxy.wire.reply import Inbound

_TYPE = re.compile(r"[\x20-\x7e]{1,200}")
UNKNOWN = "application/octet-stream"


def relay_request(relay: Relay, inbound: Inbound, max_depth: int) -> RelayRequest | BadBody:
    """JSON, or a form where the endpoint takes one."""
    kind = inbound.fields.get(b"content-type", b"")
    if relay.form and is_form(kind):
        return _form_request(relay, inbound.body, kind.decode("latin-1"))
    body = json_object(inbound.body, max_depth)
    if isinstance(body, BadBody):
        return body
    model = body.get("model")
    if type(model) is not str or not model:
        return _no_model(model)
    stream = relay.flows or body.get("stream") is True
    return RelayRequest(relay, inbound.body, body, model, stream)


def _form_request(relay: Relay, raw: bytes, content_type: str) -> RelayRequest | BadBody:
    try:
        form = read_form(raw, content_type)
    except BadForm as wrong:
        return _bad(str(wrong), "invalid_form", wrong.param)
    model = form.fields.get("model")
    if not model:
        return _no_model(model)
    stream = relay.flows or form.fields.get("stream", "").lower() in ("true", "1")
    prompt = form.fields.get("prompt", "")
    return RelayRequest(relay, raw, {}, model, stream, form.content_type, form.span, prompt=prompt)


def _no_model(model: object) -> BadBody:
    if model is None:
        message = "'model' is missing: it names the route that is to be asked."
        return _bad(message, "missing_required_parameter", "model")
    return _bad("'model' must be a string that is not empty.", None, "model")


def _bad(message: str, code: str | None, param: str | None) -> BadBody:
    return BadBody(400, error_body(message, "invalid_request_error", code, param))


class Handed(Answer):
    """One request's answer, as the upstream gave it."""

    __slots__ = ("_events",)

    def whole(self, body: bytes, won: Won) -> None:
        self._reply.whole(200, self._told(_type_line(won.content_type), won), body)

    def open(self, won: Won) -> None:
        self._begun = True
        self._events = "event-stream" in won.content_type
        self._reply.start(200, self._told(EVENTS if self._events else _type_line(won.content_type), won))

    def comment(self, text: str = "") -> None:
        """Nothing: what will come may be no stream of events."""

    def close(self, last: bytes = b"") -> None:
        self._reply.end(last)

    def broken(self, failure: Failure, chars: int | None) -> None:
        if self._events:
            super().broken(failure, None)
        else:  # nothing can be said in the midst of a sound
            self._reply.abandon()


def _type_line(content_type: str) -> bytes:
    kind = content_type if _TYPE.fullmatch(content_type) else UNKNOWN
    return b"content-type: %b\r\n" % kind.encode()
