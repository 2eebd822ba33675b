"""The bytes that travel: requests as a client sends them, answers as an OpenAI server gives them. All made once."""

from __future__ import annotations

import json
from typing import Any

PATH = "/v1/chat/completions"
TEXT = "The quick brown fox jumps over the lazy dog while the band plays on and the lights go down in the old town. "


def dumps(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def body(model: str, mark: str, *, size: int, stream: bool = False) -> bytes:
    """A chat request of about `size` bytes. `mark` begins the prompt and tells the mock upstream what to do."""
    value: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": ""}], "temperature": 0.7}
    if stream:
        value |= {"stream": True, "stream_options": {"include_usage": True}}
    missing = max(size - len(dumps(value)) - len(mark), 0)
    value["messages"][0]["content"] = mark + (TEXT * (missing // len(TEXT) + 1))[:missing]
    return dumps(value)


def request(path: str, content: bytes) -> bytes:
    """The whole HTTP request."""
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "User-Agent: OpenAI/Python 3.0.0",
        "Accept: application/json",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + content


def reply(chars: int) -> bytes:
    """A `chat.completion` body with `chars` characters of text."""
    message = {"role": "assistant", "content": (TEXT * (chars // len(TEXT) + 1))[:chars], "refusal": None}
    usage = {"prompt_tokens": 150, "completion_tokens": 40, "total_tokens": 190}
    return dumps(
        {
            "id": "chatcmpl-bench00000000",
            "object": "chat.completion",
            "created": 1_750_000_000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": usage,
            "system_fingerprint": "fp_bench",
        }
    )


def response(content: bytes, status: str = "200 OK") -> bytes:
    """A whole HTTP response with a JSON body."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


def event(delta: dict[str, str], finish: str | None = None, *, usage: dict[str, int] | None = None) -> bytes:
    """One SSE event as OpenAI sends it (about 250 bytes), in a chunk of its own."""
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    value: dict[str, Any] = {
        "id": "chatcmpl-bench00000000",
        "object": "chat.completion.chunk",
        "created": 1_750_000_000,
        "model": "gpt-4o-mini-2024-07-18",
        "system_fingerprint": "fp_bench",
        "choices": choices if usage is None else [],
        "usage": usage,
    }
    return chunk(b"data: " + dumps(value) + b"\n\n")


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked coding (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


SMALL = reply(130)
"""0.5 KB."""
LARGE = reply(20_000)
PLAIN_RESPONSE = response(SMALL)
LARGE_RESPONSE = response(LARGE)
ERROR_RESPONSE = response(dumps({"error": {"message": "it broke", "type": "server_error"}}), "500 Broken")
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
ROLE = event({"role": "assistant", "content": ""})
WORD = event({"content": " lights"})
FINISH = (
    event({}, "stop")
    + event({}, usage={"prompt_tokens": 150, "completion_tokens": 40, "total_tokens": 190})
    + chunk(b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)
FINISH_EVENTS = 3


def stream_mark(words: int, every_ms: int) -> str:
    """Asks the mock upstream for a stream of so many words, one every so many milliseconds."""
    return f"@s{words:06d},{every_ms:05d} "


PLAIN_MARK = "@p "
LARGE_MARK = "@l "
ERROR_MARK = "@e "
