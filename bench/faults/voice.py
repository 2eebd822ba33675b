"""How a backend of this benchmark speaks: OpenAI's chunks under a name and an id of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.faults.story import TOOL, Count, pieces
from tests.upstream import Request
from tests.upstream_answers import DONE, Cut, chunk, dumps, plain, raw_stream, sse
from tests.upstream_steps import Behaviour, Close, Hang, Pause, Reset, Send, Step, Tokens


@dataclass(frozen=True)
class Voice:
    """One backend's way of answering: `every` seconds before each word; `other`: address of another origin.

    `padding`: characters of OpenAI's `obfuscation` in each chunk.
    """

    model: str
    id_: str
    every: float = 0.0
    other: str = ""
    padding: int = 0

    def chunk(self, delta: dict[str, Any] | None, finish: str | None = None, usage: Count | None = None) -> bytes:
        """One event; without a delta one without choices."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        value: dict[str, Any] = {"id": self.id_, "object": "chat.completion.chunk", "created": 1_700_000_000}
        value |= {"model": self.model, "choices": [] if delta is None else [choice]}
        if self.padding:
            value["obfuscation"] = "x" * self.padding
        return sse(value | ({} if usage is None else {"usage": usage_of(usage)}))

    def role(self) -> bytes:
        """The event that most streams begin with."""
        return self.chunk({"role": "assistant", "content": ""})

    def word(self, text: str) -> bytes:
        """An event with content."""
        return self.chunk({"content": text})

    def words(self, text: str) -> list[bytes | Step]:
        """Events for a text, at this voice's pace."""
        parts: list[bytes | Step] = []
        for piece in pieces(text):
            parts += [Pause(self.every), self.word(piece)] if self.every else [self.word(piece)]
        return parts

    def last(self, finish: str = "stop") -> bytes:
        """The event with the finish_reason."""
        return self.chunk({}, finish)

    def ending(self, count: Count, finish: str = "stop") -> list[bytes | Step]:
        """finish_reason, usage, `[DONE]`."""
        return [self.last(finish), self.chunk(None, usage=count), Tokens(*count), DONE]

    def stream(self, text: str, count: Count) -> Behaviour:
        """A whole answer as a stream."""
        return raw_stream(self.role(), *self.words(text), *self.ending(count))

    def whole(self, text: str, count: Count, finish: str = "stop") -> Behaviour:
        """A whole answer at once."""
        message = {"role": "assistant", "content": text}
        return plain(dumps(self._completion(message, count, finish))).then(Tokens(*count))

    def answer(self, request: Request, text: str, count: Count) -> Behaviour:
        """As it was asked: a stream, or all at once."""
        return self.stream(text, count) if request.json.get("stream") else self.whole(text, count)

    def tool_words(self, arguments: str, call_id: str) -> list[bytes | Step]:
        """A tool call, its arguments piece by piece."""
        function = {"name": TOOL, "arguments": ""}
        call = {"index": 0, "id": call_id, "type": "function", "function": function}
        parts: list[bytes | Step] = [self.chunk({"role": "assistant", "content": None, "tool_calls": [call]})]
        grows = ({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces(arguments))
        parts.extend(self.chunk(delta) for delta in grows)
        return parts

    def tool_stream(self, arguments: str, call_id: str, count: Count) -> Behaviour:
        """A whole tool call as a stream."""
        return raw_stream(*self.tool_words(arguments, call_id), *self.ending(count, "tool_calls"))

    def cut(self, said: list[bytes | Step], following: bytes, how: Cut, *, after: int | None = None) -> Behaviour:
        """A stream that says this much and breaks off before `following`, or `after` bytes into it."""
        if how in ("clean", "done"):
            return raw_stream(*said, *([DONE] if how == "done" else []))
        half = following[: len(following) // 2 if after is None else after]
        if how == "in_event":
            return raw_stream(*said, half)
        ends: dict[str, tuple[Step, ...]] = {
            "close": (Close(),),
            "in_chunk": (Send(chunk(following)[: len(half) + 4]), Close()),
            "reset": (Pause(0.05), Reset()),  # a RST may overtake what the peer has not read yet
            "hang": (Hang(),),
        }
        return raw_stream(*said, end=False).then(*ends[how])

    def _completion(self, message: dict[str, Any], count: Count, finish: str) -> dict[str, Any]:
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        value: dict[str, Any] = {"id": self.id_, "object": "chat.completion", "created": 1_700_000_000}
        return value | {"model": self.model, "choices": [choice], "usage": usage_of(count)}


def usage_of(count: Count) -> dict[str, int]:
    """The `usage` object."""
    return {
        "prompt_tokens": count.input,
        "completion_tokens": count.output,
        "total_tokens": count.input + count.output,
    }
