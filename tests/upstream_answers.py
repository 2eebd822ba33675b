"""What a well-behaved OpenAI server answers, and ready-made ways to stop being one, as behaviours of an `Upstream`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tests.upstream import Request
from tests.upstream_steps import Behaviour, Close, Hang, Pause, Reset, Send, Step, Tokens

Headers = Mapping[str, str]
Cut = Literal["close", "in_chunk", "in_event", "reset", "hang", "clean", "done"]
REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 429: "Too Many Requests", 503: "Service Unavailable"}
MODEL = "m-served"
ID = "chatcmpl-1"


def dumps(value: object) -> bytes:
    """JSON as servers write it: compact, UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def head(status: int, headers: Headers) -> bytes:
    """A status line and header lines, with the blank line."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked coding (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def sse(value: object) -> bytes:
    """One server-sent event; bytes stand for themselves after `data: `."""
    return b"data: " + (value if isinstance(value, bytes) else dumps(value)) + b"\n\n"


# whole answers


def plain(
    body: bytes, status: int = 200, *, content_type: str = "application/json", headers: Headers | None = None
) -> Behaviour:
    """A whole answer of a known length."""
    own = {"content-type": content_type, "content-length": str(len(body)), **(headers or {})}
    return Behaviour((Send(head(status, own) + body),))


def usage_of(tokens: Tokens) -> dict[str, int]:
    """The `usage` object."""
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
    }


def completion(text: str, tokens: Tokens | None = None, *, finish: str = "stop", id_: str = ID) -> dict[str, Any]:
    """A `chat.completion` object with one choice."""
    message = {"role": "assistant", "content": text}
    answer: dict[str, Any] = {"id": id_, "object": "chat.completion", "created": 1_700_000_000, "model": MODEL}
    answer["choices"] = [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}]
    if tokens is not None:
        answer["usage"] = usage_of(tokens)
    return answer


def chat_ok(
    text: str = "Hello!",
    *,
    usage: tuple[int, int] | None = (7, 2),
    finish: str = "stop",
    id_: str = ID,
    headers: Headers | None = None,
) -> Behaviour:
    """A whole chat answer; `usage` is (input, output), or None for a server that reports none."""
    tokens = None if usage is None else Tokens(*usage)
    answer = plain(dumps(completion(text, tokens, finish=finish, id_=id_)), headers=headers)
    return answer.then(tokens) if tokens else answer


def embeddings_ok(vectors: Sequence[Any] = ((0.25, -0.5),), *, usage: tuple[int, int] | None = (3, 0)) -> Behaviour:
    """An embeddings answer; a vector is a list of floats, or a string that is already base64."""
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
    answer: dict[str, Any] = {"object": "list", "data": data, "model": MODEL}
    if usage is None:
        return plain(dumps(answer))
    answer["usage"] = {"prompt_tokens": usage[0], "total_tokens": usage[0]}
    return plain(dumps(answer)).then(Tokens(*usage))


def error(
    status: int = 500,
    message: str = "it broke",
    *,
    type_: str = "server_error",
    code: str | None = None,
    param: str | None = None,
    headers: Headers | None = None,
) -> Behaviour:
    """An error answer in OpenAI's shape."""
    inner = {"message": message, "type": type_, "param": param, "code": code}
    return plain(dumps({"error": inner}), status, headers=headers)


# streams


def delta(value: Mapping[str, Any], finish: str | None = None, *, id_: str = ID, index: int = 0) -> dict[str, Any]:
    """A `chat.completion.chunk` object with one choice."""
    choice = {"index": index, "delta": dict(value), "logprobs": None, "finish_reason": finish}
    piece = {"id": id_, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL}
    return {**piece, "choices": [choice]}


def role(id_: str = ID) -> bytes:
    """The event that most streams begin with: role only, no content."""
    return sse(delta({"role": "assistant", "content": ""}, id_=id_))


def word(text: str, id_: str = ID) -> bytes:
    """An event with content."""
    return sse(delta({"content": text}, id_=id_))


def last(finish: str = "stop", id_: str = ID) -> bytes:
    """The event with the finish_reason."""
    return sse(delta({}, finish, id_=id_))


def usage_event(tokens: Tokens, id_: str = ID) -> bytes:
    """The usage event of `stream_options.include_usage`: no choices."""
    return sse({**delta({}, id_=id_), "choices": [], "usage": usage_of(tokens)})


DONE = sse(b"[DONE]")
SSE_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}


def raw_stream(*parts: bytes | Step, end: bool = True, headers: Headers | None = None) -> Behaviour:
    """A stream of exactly these parts: bytes go out as one chunk and one write each, steps are taken between them.

    `end=False` leaves out the last chunk.
    """
    steps: list[Step] = [Send(head(200, {**SSE_HEADERS, **(headers or {})}))]
    steps += [Send(chunk(part)) if isinstance(part, bytes) else part for part in parts]
    return Behaviour((*steps, Send(LAST_CHUNK)) if end else tuple(steps))


def stream_ok(
    words: Sequence[str] = ("Hel", "lo", "!"),
    *,
    usage: tuple[int, int] | Literal["count"] | None = "count",
    finish: str | None = "stop",
    done: bool = True,
    every: float = 0.0,
    id_: str = ID,
    headers: Headers | None = None,
) -> Behaviour:
    """A whole stream: role, one event a word, finish_reason, usage, `[DONE]`; `every` seconds before each word.

    By default the usage is 7 tokens in and one out for each word.
    """
    parts: list[bytes | Step] = [role(id_)]
    for each in words:
        parts += [Pause(every), word(each, id_)] if every else [word(each, id_)]
    if finish is not None:
        parts.append(last(finish, id_))
    if usage is not None:
        tokens = Tokens(7, len(words)) if usage == "count" else Tokens(*usage)
        parts += [usage_event(tokens, id_), tokens]
    if done:
        parts.append(DONE)
    return raw_stream(*parts, headers=headers)


def ok(text: str = "Hello !") -> Any:
    """Answers as it was asked: a stream with an event a word, a whole answer, or embeddings."""

    def answer(request: Request, _: int) -> Behaviour:
        if request.path.endswith("/embeddings"):
            return embeddings_ok()
        if request.json.get("stream"):
            return stream_ok(text.split(" "))
        return chat_ok(text, usage=(7, len(text.split(" "))))

    return answer


def cut_after(n: int, how: Cut = "close", *, words: Sequence[str] = ("Hel", "lo", "!")) -> Behaviour:
    """A stream that breaks off after its role event and `n` words.

    How: `close` between events, with the last chunk missing; `in_chunk`, the next word's chunk half sent; `in_event`,
    the next event half sent and then a proper end of body; `reset` by RST; `hang` for ever; `clean`, a proper end of
    body without finish_reason; `done`, the same after a `[DONE]`.
    """
    sent = [role(), *(word(each) for each in words[:n])]
    following = word(words[n] if n < len(words) else "more")
    half = chunk(following)[: len(following) // 2]
    if how == "clean":
        return raw_stream(*sent)
    if how == "done":
        return raw_stream(*sent, DONE)
    if how == "in_event":
        return raw_stream(*sent, following[: len(following) // 2])
    ends: dict[str, tuple[Step, ...]] = {
        "close": (Close(),),
        "in_chunk": (Send(half), Close()),
        "reset": (Pause(0.02), Reset()),  # a RST may overtake what the peer has not read yet
        "hang": (Hang(),),
    }
    return raw_stream(*sent, end=False).then(*ends[how])


def error_after(
    n: int | None, message: str = "it broke", *, type_: str = "server_error", done: bool = False
) -> Behaviour:
    """A 200 stream with an error event after its role event and `n` words; `n=None`: as its very first event."""
    sent = [] if n is None else [role(), *(word(f"w{i} ") for i in range(n))]
    failed = sse({"error": {"message": message, "type": type_, "code": None, "param": None}})
    return raw_stream(*sent, failed, *([DONE] if done else []))
