"""A stream of `generateContent` chunks (`alt=sse`): bytes in, events in OpenAI's form out.

CRLF, no end marker: the end is a finish reason of every candidate. Usage stands on every chunk and is cumulative. An
error may come as an event, or as bare JSON between the events (google-genai 3.4 reads it so too, `_RawJsonLineBuffer`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.backends.chunks import Chunks
from proxy.backends.gemini_answer import candidates_of
from proxy.backends.gemini_errors import GoogleErrors
from proxy.backends.gemini_reply import (
    answer_id,
    blocked,
    detail,
    finish_of,
    image,
    logprobs_of,
    model_of,
    parts_of,
    said_in,
    tool_call,
    usage_of,
)
from proxy.core.chat import End, Event, Kind
from proxy.core.dialect import Malformed, Stamp
from proxy.core.failure import Failure
from proxy.core.sse import MAX_EVENT, Frame, SseFramer
from proxy.core.usage import Usage

_loads = orjson.loads
_END = b"}]}\n\n"
_MAX_BARE = 64 * 1024
_MAX_TRIES = 64
_BLANK = b"\r\n\r\n"
_BARE = b"bare"
"""The name of an event that came without `data:`."""


class BareFramer(SseFramer):
    """Also finds JSON that stands in the stream without `data:` before it, on as many lines as it likes, and takes
    whole events that are ended by CRLF, as Google's nearly always are, at once."""

    __slots__ = ("_bare", "_tries")

    def __init__(self) -> None:
        super().__init__()
        self._bare = b""
        self._tries = 0

    def feed(self, data: bytes) -> list[Frame]:
        size = len(data)
        if (
            self._clean
            and size <= MAX_EVENT
            and data.startswith(b"data: ")
            and data.endswith(_BLANK)
            and data.find(b"\r") == size - 4
            and data.find(b"\n") == size - 3
        ):
            self._at_start = False
            return [(data[6:-4], b"", b"")]
        return super().feed(data)

    def _line(self, line: bytes, frames: list[Frame]) -> None:
        first = line[:1]
        if first and first in b'{}[], \t"' and len(self._bare) < _MAX_BARE and self._tries < _MAX_TRIES:
            self._bare += line
            if first in b"}]{[":
                self._tries += 1
                try:
                    orjson.loads(self._bare)
                except orjson.JSONDecodeError:
                    return
                frames.append((self._bare, b"", _BARE))
                self._bare = b""
            return
        super()._line(line, frames)


class GeminiDecoder:
    """One stream; see `proxy.core.dialect.Decoder`."""

    __slots__ = (
        "_answer",
        "_calls",
        "_chunks",
        "_counted",
        "_details",
        "_errors",
        "_failed",
        "_finishes",
        "_first",
        "_framer",
        "_metadata",
        "_reply",
        "_seen",
        "_stamp",
        "_usage",
        "_wants_usage",
        "finished",
    )

    def __init__(self, errors: GoogleErrors, stamp: Stamp, *, wants_usage: bool, model: str | None = None) -> None:
        self._errors = errors
        self._stamp = stamp
        self._wants_usage = wants_usage
        self._reply = model
        self._framer = BareFramer()
        self._first = Chunks(stamp, wants_usage=wants_usage, model=model)
        self._chunks: dict[int, Chunks] = {}
        """Of each candidate seen."""
        self._calls: dict[int, int] = {}
        """How many calls of each candidate, and likewise signed thoughts."""
        self._details: dict[int, int] = {}
        self._finishes: set[str] = set()
        self._answer = ""
        self._metadata: Any = None
        """The usage as it came last, and that which was read of it."""
        self._seen: Any = None
        self._usage: Usage | None = None
        self._counted: Usage | None = None
        """What the client was told."""
        self._failed = False
        self.finished = False

    @property
    def model(self) -> str:
        return self._first.model

    @property
    def usage(self) -> Usage | None:
        if self._metadata is not self._seen:
            self._seen = self._metadata
            self._usage = usage_of(self._metadata) or self._usage
        return self._usage

    @property
    def chars(self) -> int:
        return sum(chunks.chars for chunks in self._chunks.values())

    @property
    def counted(self) -> tuple[int, int] | None:
        return None

    @property
    def choices_seen(self) -> int:
        return len(self._chunks)

    @property
    def filtered(self) -> bool:
        return not self._said and "content_filter" in self._finishes

    @property
    def empty(self) -> bool:
        if self._said:
            return False
        usage = self.usage
        return not (usage is not None and usage.output > 0 and "length" in self._finishes)

    @property
    def _said(self) -> bool:
        return any(chunks.said for chunks in self._chunks.values())

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. After an error nothing comes any more."""
        events: list[Event] = []
        if self._failed:
            return events
        first = self._first
        for payload, _, name in self._framer.feed(data):
            try:
                chunk = _loads(payload)
            except orjson.JSONDecodeError as error:
                raise Malformed("an event of the upstream is not JSON") from error
            try:  # by far the most events: one part of one candidate, only words
                (candidate,) = chunk["candidates"]
                content = candidate["content"]
                (part,) = content["parts"]
                text = part["text"]
                plain = (
                    len(part) == 1
                    and type(text) is str
                    and text
                    and "finishReason" not in candidate
                    and candidate.get("index", 0) == 0
                    and "logprobsResult" not in candidate
                    and first.said
                    and "error" not in chunk
                    and not name
                )
            except (KeyError, TypeError, ValueError):
                plain = False
            if plain:
                metadata = chunk.get("usageMetadata")
                if metadata is not None:
                    self._metadata = metadata
                events.append(first.content(text))
                continue
            if not self._event(chunk, name, events):
                break
        return events

    def close(self) -> End:
        """Complete when every candidate seen has its finish reason."""
        if self._failed:
            return End.ERRORED
        return End.COMPLETE if self.finished else End.TRUNCATED

    def _event(self, chunk: Any, name: bytes, events: list[Event]) -> bool:
        """Any event, with all that can be in one. False where it is the last."""
        if type(chunk) is list and len(chunk) == 1:
            chunk = chunk[0]  # Google wraps errors in an array
        if type(chunk) is not dict:
            raise Malformed("an event of the upstream is not a JSON object")
        metadata = chunk.get("usageMetadata")
        if metadata is not None:
            self._metadata = metadata
        if chunk.get("error") or name == b"error":
            return self._fail(self._errors.in_stream(chunk), events)
        if not self._answer:
            self._answer = answer_id(chunk, self._stamp)
            self._first.name(model_of(chunk), self._answer)
        elif not self._first.model:
            self._first.name(model_of(chunk), self._answer)
        for index, candidate in candidates_of(chunk):
            if not self._candidate(index, candidate, events):
                return False
        if not self._chunks and (failure := blocked(chunk)) is not None:
            return self._fail(failure, events)
        if self.finished:
            self._count(events)
        return True

    def _candidate(self, index: int, candidate: Mapping[str, Any], events: list[Event]) -> bool:
        chunks = self._chunks.get(index)
        if chunks is None:
            chunks = self._begin(index)
            events.append(chunks.role())
        probable = logprobs_of(candidate)
        for part in parts_of(candidate):
            event = self._part(part, chunks, index)
            if event is None:
                continue
            if probable is not None and event.kind is Kind.CONTENT:
                raw = event.raw.removesuffix(_END) + b',"logprobs":' + orjson.dumps(probable) + _END
                event, probable = event._replace(raw=raw), None
            events.append(event)
        finish = finish_of(candidate, calls=index in self._calls)
        if isinstance(finish, Failure):
            return self._fail(finish, events)
        if finish is not None and finish != chunks.finish:  # the models of 2024 gave one with every chunk
            events.append(chunks.finished(finish))
            self._finishes.add(finish)
            self.finished = all(other.finish for other in self._chunks.values())
        return True

    def _begin(self, index: int) -> Chunks:
        if index == 0:
            chunks = self._first
        else:
            chunks = Chunks(self._stamp, wants_usage=self._wants_usage, model=self._reply, choice=index)
            chunks.name(self._first.model, self._answer)
        self._chunks[index] = chunks
        self.finished = False
        return chunks

    def _part(self, part: Any, chunks: Chunks, index: int) -> Event | None:
        said = said_in(part)
        mark = detail(said, self._details.get(index, 0)) if said.signature else None
        if mark is not None:
            self._details[index] = self._details.get(index, 0) + 1
        if said.thought:
            return chunks.reasoning(said.thought, None if mark is None else [mark])
        if said.call is not None:
            at = self._calls.get(index, 0)
            self._calls[index] = at + 1
            call = tool_call(said.call, said.signature, self._answer, index, at)
            more = {"extra_content": call["extra_content"]} if said.signature else None
            function = call["function"]
            name, arguments = function["name"], function["arguments"]
            return chunks.tool(at, call_id=call["id"], name=name, arguments=arguments, more=more)
        if said.media:
            return chunks.delta(Kind.CONTENT, {"images": [image(said)]})
        if mark is not None:  # words with a signature, which often are none
            if said.text:
                event = chunks.delta(Kind.CONTENT, {"content": said.text, "reasoning_details": [mark]}, len(said.text))
                return event._replace(text=said.text)
            return chunks.reasoning("", [mark])
        return chunks.content(said.text) if said.text else None

    def _count(self, events: list[Event]) -> None:
        usage = self.usage
        if usage is not None and usage != self._counted:
            self._counted = usage
            events.append(self._first.counted(usage))

    def _fail(self, failure: Failure, events: list[Event]) -> bool:
        self._failed = True
        events.append(self._first.failed(failure)._replace(usage=self.usage))
        return False
