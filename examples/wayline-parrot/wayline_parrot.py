"""Parrot's dialect, as an example for a backend type of your own.

    POST /say {"model", "lines": [{"by", "words"}], "stream", "mood"?, "at_most"?}
    200 {"bird": model, "words": "…", "why": "done" | "full", "seeds": {"eaten", "dropped"}}
    200, streamed: one such JSON object a line with a piece of the words each; the last one has `why` and `seeds`
    4xx, 5xx {"squawk": "…", "rest": seconds}

A dialect is pure: no clock, no chance, no socket, no logging. See proxy/core/dialect.py for what each part promises.
"""

from __future__ import annotations

from typing import Any

import orjson

from proxy.backends.chunks import Chunks, completion
from proxy.backends.conversation import Text, conversation
from proxy.backends.head import Address, address, head, standard
from proxy.backends.openai_errors import ErrorReader
from proxy.backends.openai_spec import HINTS
from proxy.config.backend_type import BackendType
from proxy.config.extensions import Extension
from proxy.config.spec.scalars import Choice
from proxy.config.spec.shapes import Key
from proxy.config.values import Backend
from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.chat import ChatRequest, Completion, Embedding, EmbedRequest, End, Event
from proxy.core.dialect import UNSTAMPED, Malformed, Prefill, Prepared, Stamp, TooLarge
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.core.sse import MAX_EVENT
from proxy.core.usage import Usage

TAKES = {"temperature": "mood", "max_tokens": "at_most", "max_completion_tokens": "at_most"}
"""OpenAI's parameters and what Parrot calls them. What is not here it cannot express."""
PASSED_OVER = frozenset({"model", "messages", "stream", "stream_options"})
FINISHES = {"done": "stop", "full": "length"}


class ParrotDialect:
    """One bird; see `proxy.core.dialect.Dialect`."""

    prefill: Prefill | None = None
    repeatable = False
    speaks: frozenset[str] = frozenset()
    translates = True
    stream_type = b"ndjson"

    def __init__(self, where: Address, backend: Backend, target: Target) -> None:
        """Raises `ValueError` where a header or the key cannot be sent."""
        key = backend.api_key
        own: dict[str, str | Secret] = {"X-Cracker": key} if key else {}
        line = f"POST {where.target('/say')} HTTP/1.1"
        self._head = head(line, where.authority, standard("application/json"), own, backend.headers, target.headers)
        self._target = target
        self._perch = backend.options.get("perch", "low")
        self._errors = ErrorReader([key.reveal(), where.origin.host] if key else [where.origin.host])

    def __repr__(self) -> str:
        return f"ParrotDialect({self._target.name!r})"

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        body = {**self._target.defaults, **request.body, **self._target.overrides}
        unwanted = sorted(self._target.drop.intersection(body))
        asked = {name: body[name] for name in body if name not in unwanted and body[name] is not None}
        missed = sorted(asked.keys() - TAKES.keys() - PASSED_OVER)
        whole = conversation(asked["messages"])
        lines = [{"by": "system", "words": text.text} for text in whole.system]
        for turn in whole.turns:
            if any(not isinstance(part, Text) for part in turn.parts):
                return Failure(FailureKind.UNSUPPORTED, "this backend takes nothing but text", param="messages")
            words = "".join(part.text for part in turn.parts if isinstance(part, Text))
            lines.append({"by": turn.role, "words": words})
        said: dict[str, Any] = {"model": self._target.model, "lines": lines, "stream": request.stream}
        said |= {TAKES[name]: asked[name] for name in TAKES if name in asked}
        said["perch"] = self._perch
        lost = tuple(name for name in missed if name not in HINTS)
        return Prepared(HttpCall(self._head, orjson.dumps(said)), tuple(sorted({*unwanted, *missed})), lost)

    def embed(self, request: EmbedRequest) -> Prepared | Failure:
        return Failure(FailureKind.UNSUPPORTED, "this backend makes no embeddings")

    def completion(self, body: bytes, *, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Completion | Failure:
        said = _object(body)
        if "squawk" in said:
            return self._squawk(None, said, [])
        return completion(
            stamp,
            model=_text(said.get("bird")),
            reply=model,
            text=_text(said.get("words")),
            finish=FINISHES.get(_text(said.get("why")), "stop"),
            usage=_usage(said.get("seeds")),
        )

    def embedding(self, body: bytes, *, base64: bool, model: str | None = None) -> Embedding | Failure:
        raise Malformed("this backend makes no embeddings")

    def decoder(self, *, wants_usage: bool, model: str | None = None, stamp: Stamp = UNSTAMPED) -> ParrotDecoder:
        return ParrotDecoder(self, Chunks(stamp, wants_usage=wants_usage, model=model))

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        try:
            return self._squawk(status, _object(body), headers)
        except Malformed:
            return self._errors.failure(status, headers, body)

    def squawked(self, said: dict[str, Any]) -> Failure:
        """An error in the middle of a stream."""
        return self._squawk(None, said, [])

    def _squawk(self, status: int | None, said: dict[str, Any], headers: Headers) -> Failure:
        """Put into OpenAI's form, it is read, scrubbed and given its row by what reads OpenAI's."""
        error = {"error": {"message": _text(said.get("squawk")), "retry_after": said.get("rest")}}
        if status is None:
            return self._errors.in_stream(error)
        return self._errors.failure(status, headers, orjson.dumps(error))


class ParrotDecoder:
    """One answer; see `proxy.core.dialect.Decoder`."""

    counted: tuple[int, int] | None = None
    filtered = False

    def __init__(self, dialect: ParrotDialect, chunks: Chunks) -> None:
        self._dialect = dialect
        self._chunks = chunks
        self._tail = b""
        self._begun = self._over = self._failed = False

    @property
    def model(self) -> str:
        return self._chunks.model

    @property
    def usage(self) -> Usage | None:
        return self._chunks.usage

    @property
    def chars(self) -> int:
        return self._chunks.chars

    @property
    def choices_seen(self) -> int:
        return int(self._begun)

    @property
    def finished(self) -> bool:
        return bool(self._chunks.finish)

    @property
    def empty(self) -> bool:
        return not self._chunks.said

    def feed(self, data: bytes) -> list[Event]:
        *lines, self._tail = (self._tail + data).split(b"\n")
        events: list[Event] = []
        for line in lines:
            if line.strip() and not self._over:
                self._line(line, events)
        if len(self._tail) > MAX_EVENT:
            raise TooLarge(f"a line of the upstream is larger than {MAX_EVENT} bytes")
        return events

    def close(self) -> End:
        if self._failed:
            return End.ERRORED
        return End.COMPLETE if self.finished else End.TRUNCATED

    def _line(self, line: bytes, events: list[Event]) -> None:
        said = _object(line)
        if "squawk" in said:
            self._over = self._failed = True
            events.append(self._chunks.failed(self._dialect.squawked(said)))
            return
        if not self._begun:
            self._begun = True
            self._chunks.name(_text(said.get("bird")))
            events.append(self._chunks.role())
        if words := _text(said.get("words")):
            events.append(self._chunks.content(words))
        if why := _text(said.get("why")):
            self._over = True
            events.append(self._chunks.finished(FINISHES.get(why, "stop")))
            usage = _usage(said.get("seeds"))
            if usage is not None:
                events.append(self._chunks.counted(usage))


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed("the upstream did not send JSON") from error
    if not isinstance(found, dict):
        raise Malformed("the upstream did not send a JSON object")
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _usage(seeds: object) -> Usage | None:
    if not isinstance(seeds, dict):
        return None
    counts = [seeds.get(name) for name in ("eaten", "dropped")]
    eaten, dropped = (count if type(count) is int and count >= 0 else None for count in counts)
    return None if eaten is None or dropped is None else Usage(eaten, dropped)


def bind(backend: Backend, target: Target) -> ParrotDialect:
    """The dialect of one target."""
    return ParrotDialect(address(backend.base_url), backend, target)


def origin(backend: Backend) -> Origin:
    """Where the birds are."""
    return address(backend.base_url).origin


EXTENSION = Extension(
    BackendType("parrot", "Parrot, an example of a type of one's own", None, "PARROT_CRACKER"),
    bind,
    origin,
    (Key("perch", Choice(("low", "high")), "Where the birds sit.", "low"),),
)
