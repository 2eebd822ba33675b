"""What goes out: llama-server's OpenAI shapes. Pure."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

DONE = b"data: [DONE]\n\n"


class Piece(NamedTuple):
    """Some text of an answer, and what is known of the tokens it was made of."""

    text: str
    logprobs: tuple[dict[str, Any], ...] = ()
    tokens: tuple[int, ...] = ()
    """Those that were made since the last piece that told any; none while text of the last one is held back."""


class Done(NamedTuple):
    """The end of an answer."""

    finish: str
    """`stop` or `length`."""
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Shapes:
    """One answer's envelope."""

    id: str
    created: int
    model: str

    def first(self) -> bytes:
        """The stream's first event: the role."""
        return self._chunk({"role": "assistant", "content": None})

    def evaluated(self, tokens: int) -> bytes:
        """The event that says how many tokens the prompt had, which is evaluated."""
        choice = {"finish_reason": None, "index": 0, "delta": {"role": "assistant", "content": None}}
        progress = {"total": tokens, "processed": tokens}
        chunk = {**self._head("chat.completion.chunk"), "choices": [choice], "prompt_progress": progress}
        return event(orjson.dumps(chunk))

    def piece(self, piece: Piece) -> bytes:
        """One event with content."""
        return self._chunk({"content": piece.text}, logprobs=piece.logprobs, tokens=piece.tokens)

    def last(self, done: Done, *, usage: bool) -> bytes:
        """The events that end a stream."""
        out = self._chunk({}, finish=done.finish)
        if usage:
            chunk = {**self._head("chat.completion.chunk"), "choices": [], "usage": usage_of(done)}
            out += event(orjson.dumps(chunk))
        return out + DONE

    def whole(self, pieces: list[Piece], done: Done, *, logprobs: bool) -> bytes:
        """The answer in one."""
        choice: dict[str, Any] = {
            "finish_reason": done.finish,
            "index": 0,
            "message": {"role": "assistant", "content": "".join(p.text for p in pieces)},
        }
        if logprobs:
            choice["logprobs"] = {"content": [entry for p in pieces for entry in p.logprobs]}
        return orjson.dumps({**self._head("chat.completion"), "choices": [choice], "usage": usage_of(done)})

    def _chunk(
        self,
        delta: dict[str, Any],
        *,
        finish: str | None = None,
        logprobs: tuple[dict[str, Any], ...] = (),
        tokens: tuple[int, ...] = (),
    ) -> bytes:
        choice: dict[str, Any] = {"finish_reason": finish, "index": 0, "delta": delta}
        if logprobs:
            choice["logprobs"] = {"content": list(logprobs)}
        chunk = {**self._head("chat.completion.chunk"), "choices": [choice]}
        return event(orjson.dumps(with_tokens(chunk, tokens) if tokens else chunk))

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def with_tokens(chunk: dict[str, Any], tokens: Sequence[int]) -> dict[str, Any]:
    """The chunk with the ids of its tokens first, where Wayline finds them and takes them out without parsing."""
    return {"tokens": list(tokens), **chunk}


def usage_of(done: Done) -> dict[str, Any]:
    """Token counts."""
    return {
        "prompt_tokens": done.prompt_tokens,
        "completion_tokens": done.completion_tokens,
        "total_tokens": done.prompt_tokens + done.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": done.cached_tokens},
    }


def embeddings(model: str, vectors: list[list[float]], tokens: int, *, as_base64: bool) -> bytes:
    """The answer to an embeddings request: one flat list an input, or its little-endian float32 in base64."""
    data = [
        {"object": "embedding", "index": index, "embedding": packed(vector) if as_base64 else vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps({"object": "list", "model": model, "data": data, "usage": usage})


def packed(vector: list[float]) -> str:
    """OpenAI's base64 form of a vector."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def event(json: bytes) -> bytes:
    """One server-sent event."""
    return b"data: " + json + b"\n\n"
