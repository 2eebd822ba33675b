"""Where an answer was cut and another attempt goes on: each character once, one id, one role, one finish.

Works on events in the form in which they go to the client (OpenAI's chunks), whatever the upstream speaks.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Protocol

import orjson

from proxy.core.chat import Event, Kind
from proxy.core.usage import Usage

MAX_SENT = 1024 * 1024
"""Characters of an answer that are kept so that it can be gone on with; a longer one is not."""
TAIL = 512
"""Characters of what was sent that a continuation may repeat at its beginning."""
WORDS = 3
"""Different words that a repetition must hold to be taken for one: `}` or `0, 0, ` may rightly come twice."""
LETTERS = 12
"""Or so many different characters: not every script has spaces between its words."""
LONG = 32
"""Or so many characters in which nothing comes twice by itself: a list of numbers has few different ones."""
_WORD = re.compile(r"\w{2,}")


class Diverged(ValueError):
    """What comes back does not go on from what was sent."""


class ToolSent(NamedTuple):
    """A tool call as far as the client has it."""

    name: str
    arguments: str


class Sent(NamedTuple):
    """What the client has of an answer with one choice."""

    id: str
    created: int
    text: str = ""
    reasoning: str = ""
    tools: tuple[ToolSent, ...] = ()


class Seam(Protocol):
    """Takes a continuation's events."""

    added: list[str]
    """Content that went to the client."""

    def feed(self, event: Event) -> bytes:
        """What of it goes to the client. Raises `Diverged`."""
        ...

    def close(self) -> bytes:
        """The continuation is complete: what was still held back. Raises `Diverged`."""
        ...


def usage_event(first: bytes, usage: Usage) -> bytes:
    """The usage of an answer that several attempts gave, as the client asked for it."""
    counts = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
    whole = {**payload(first), "choices": [], "usage": counts}
    return b"data: " + orjson.dumps(whole) + b"\n\n"


def payload(raw: bytes) -> dict[str, Any]:
    """The chunk in an event's bytes, as a dialect's decoder gave them."""
    chunk: dict[str, Any] = orjson.loads(raw[raw.index(b"{") : raw.rindex(b"}") + 1])
    return chunk


def sent_of(first: bytes, text: str, others: list[bytes]) -> Sent:
    """What was sent: the first event, all content, and the events with tool calls or reasoning."""
    chunk = payload(first)
    reasoning: list[str] = []
    tools: dict[int, ToolSent] = {}
    for raw in others:
        delta = _delta(payload(raw))
        reasoning.append(_thought(delta))
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            before = tools.get(call.get("index", 0), ToolSent("", ""))
            tools[call.get("index", 0)] = ToolSent(
                before.name + (function.get("name") or ""), before.arguments + (function.get("arguments") or "")
            )
    created = chunk.get("created")
    return Sent(
        str(chunk.get("id") or ""),
        created if isinstance(created, int) else 0,
        text,
        "".join(reasoning),
        tuple(tools[index] for index in sorted(tools)),
    )


def _delta(chunk: dict[str, Any]) -> dict[str, Any]:
    choices = chunk.get("choices") or [{}]
    return choices[0].get("delta") or {}


def _thought(delta: dict[str, Any]) -> str:
    found = delta.get("reasoning_content") or delta.get("reasoning") or ""
    return found if isinstance(found, str) else ""


def _chunk(chunk: dict[str, Any], sent: Sent, delta: dict[str, Any]) -> bytes:
    """The chunk under the first one's name, without its role and usage; nothing where it says nothing then."""
    choice = {**(chunk.get("choices") or [{}])[0], "delta": delta}
    if not delta and choice.get("finish_reason") is None:
        return b""
    whole = {**chunk, "id": sent.id, "created": sent.created, "choices": [choice]}
    whole.pop("usage", None)
    return b"data: " + orjson.dumps(whole) + b"\n\n"


class Prefilled:
    """The continuation begins where the partial answer ends. A repeated end of it is recognised and left out.

    `dropped`: white space at the end of what was sent that could not be given to the target. `settled`: what comes is
    known to be the very next thing, so that nothing of it is taken for a repetition.
    """

    def __init__(self, sent: Sent, dropped: str = "", *, settled: bool = False) -> None:
        self._sent = sent
        self._tail = sent.text[-TAIL:]
        self._space = dropped
        self._held = ""
        self._model: dict[str, Any] = {}
        self._settled = settled or not sent.text
        self.added: list[str] = []
        """Content that went to the client."""

    def feed(self, event: Event) -> bytes:
        if not event.raw or event.kind is Kind.USAGE or event.kind is Kind.REASONING:
            return b""
        chunk = payload(event.raw)
        delta = {name: value for name, value in _delta(chunk).items() if name != "role" and value}
        piece = delta.pop("content", "")
        self._model = self._model or {**chunk, "choices": [{"index": 0, "finish_reason": None}]}
        out = b""
        if isinstance(piece, str) and piece:
            delta = {**delta, **self._content(piece)}
        elif not self._settled and not event.text:
            out = self._flush()
        if text := delta.get("content"):
            self.added.append(text)
        return out + _chunk(chunk, self._sent, delta)

    def close(self) -> bytes:
        return self._flush()

    def _content(self, piece: str) -> dict[str, str]:
        if self._settled:
            return {"content": piece}
        self._held += piece
        if len(self._held) < TAIL and self._held in self._tail:
            return {}
        text = self._settle()
        return {"content": text} if text else {}

    def _flush(self) -> bytes:
        """The stream says something else, or ends, while it was open whether this is a repetition."""
        if self._settled or not self._held:
            return b""
        text = self._settle()
        if not text:
            return b""
        self.added.append(text)
        return _chunk(self._model, self._sent, {"content": text})

    def _settle(self) -> str:
        self._settled = True
        held, self._held = self._held, ""
        for size in range(min(len(held), len(self._tail)), 0, -1):
            if self._tail.endswith(held[:size]):
                again = held[:size]
                if len(set(_WORD.findall(again))) >= WORDS or len(set(again)) >= LETTERS or _singular(again):
                    return held[size:]
                break
        return held.removeprefix(self._space) if self._space else held


def _singular(text: str) -> bool:
    """It is long, and not made of a shorter text again and again (`0, 0, 0, `), as an answer may rightly be."""
    if len(text) < LONG:
        return False
    borders = [0] * len(text)  # of each beginning, the longest part that it begins and ends with (Knuth, Morris, Pratt)
    for at in range(1, len(text)):
        size = borders[at - 1]
        while size and text[at] != text[size]:
            size = borders[size - 1]
        borders[at] = size + (text[at] == text[size])
    return borders[-1] < len(text) // 2


class Replayed:
    """The continuation is asked from the start: what comes back must begin with what was sent, and is sent from there
    on. At the first difference it is none."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self._at = 0
        self._thought_at = 0
        self._tools = [ToolSent("", "") for _ in sent.tools]
        self.added: list[str] = []

    def feed(self, event: Event) -> bytes:
        if not event.raw or event.kind is Kind.USAGE:
            return b""
        chunk = payload(event.raw)
        given = _delta(chunk)
        known = ("role", "content", "reasoning_content", "reasoning", "tool_calls")
        delta: dict[str, Any] = {name: value for name, value in given.items() if name not in known and value}
        content = given.get("content")
        if isinstance(content, str) and content:
            rest, self._at = _beyond(content, self._sent.text, self._at)
            if rest:
                delta["content"] = rest
                self.added.append(rest)
        if thought := _thought(given):
            rest, self._thought_at = _beyond(thought, self._sent.reasoning, self._thought_at)
            if rest:
                delta["reasoning_content" if given.get("reasoning_content") else "reasoning"] = rest
        if calls := [new for call in given.get("tool_calls") or () if (new := self._call(call))]:
            delta["tool_calls"] = calls
        if (chunk.get("choices") or [{}])[0].get("finish_reason") is not None:
            self._caught_up()
        return _chunk(chunk, self._sent, delta)

    def close(self) -> bytes:
        self._caught_up()
        return b""

    def _caught_up(self) -> None:
        sent = self._sent
        if self._at < len(sent.text) or self._thought_at < len(sent.reasoning) or tuple(self._tools) != sent.tools:
            if any(len(now.arguments) < len(then.arguments) for now, then in zip(self._tools, sent.tools, strict=True)):
                raise Diverged("the tool call that was made again is shorter")
            if self._at < len(sent.text) or self._thought_at < len(sent.reasoning):
                raise Diverged("the answer that was made again is shorter")

    def _call(self, call: dict[str, Any]) -> dict[str, Any] | None:
        index = call.get("index", 0)
        if index >= len(self._tools):
            return call
        function = call.get("function") or {}
        before, sent = self._tools[index], self._sent.tools[index]
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        if name and (before.name + name) != sent.name[: len(before.name) + len(name)]:
            raise Diverged("another tool is called")
        rest, _ = _beyond(arguments, sent.arguments, min(len(before.arguments), len(sent.arguments)))
        self._tools[index] = ToolSent(before.name + name, before.arguments + arguments)
        return {"index": index, "function": {"arguments": rest}} if rest else None


def _beyond(piece: str, sent: str, at: int) -> tuple[str, int]:
    """What of a piece lies beyond what was sent, and how far into that the piece reaches. Raises `Diverged`."""
    size = min(len(piece), len(sent) - at)
    if piece[:size] != sent[at : at + size]:
        raise Diverged("the answer that was made again is another one")
    return piece[size:], at + size
