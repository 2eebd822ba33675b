"""The fault matrix's rows that an upstream can play, by name; and addresses at which nobody answers.

`before_content(stream)` are faults that come before anything useful was sent (for a stream some come after its role
event), `after_content()` those that break a stream when the client has seen a part of it.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import socket
from collections.abc import Iterator
from email.utils import formatdate

from tests.upstream_answers import (
    DONE,
    Headers,
    chat_ok,
    chunk,
    completion,
    cut_after,
    dumps,
    error,
    error_after,
    head,
    last,
    plain,
    raw_stream,
    role,
    sse,
    stream_ok,
    word,
)
from tests.upstream_steps import Behaviour, Close, Hang, OneByteAtATime, Pause, Repeat, Reset, Send, Tokens

STATUSES = (400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 529)
MIB = 1024 * 1024


@contextlib.contextmanager
def refused() -> Iterator[int]:
    """A loopback port that refuses: bound, so that nobody else gets it, but not listening."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@contextlib.contextmanager
def blackhole() -> Iterator[int]:
    """A loopback port at which connecting never ends (Linux: a full accept queue drops the SYN, see listen(2))."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        while True:
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.2)
            try:
                filler.connect(address)
            except TimeoutError:
                break
        yield address[1]


NO_SUCH_HOST = "nowhere.invalid"
"""A name that never resolves (RFC 6761 section 6.4)."""


def retry_after_forms(seconds: int, now: float) -> dict[str, Headers]:
    """Every way in which providers say in a 429's headers how long to wait; `now` is Unix time."""
    return {
        "seconds": {"retry-after": str(seconds)},
        "date": {"retry-after": formatdate(now + seconds, usegmt=True)},
        "milliseconds": {"retry-after-ms": str(seconds * 1000)},
        "reset duration": {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{seconds}s"},
        "reset epoch ms": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int((now + seconds) * 1000))},
        "none": {},
    }


def rate_limited(headers: Headers | None = None) -> Behaviour:
    """A 429 of the kind that passes."""
    return error(429, "Rate limit reached", type_="requests", code="rate_limit_exceeded", headers=headers)


def connection_faults() -> dict[str, Behaviour]:
    """Faults below HTTP's meaning; the same for a stream and a whole answer."""
    body = dumps(completion("Hello!"))
    start = head(200, {"content-type": "application/json", "content-length": str(len(body))})
    return {
        "reset on connect": Behaviour((Reset(),), at="connect"),
        "closed on connect": Behaviour((Close(),), at="connect"),
        "reset after the request": Behaviour((Reset(),)),
        "closed after the request": Behaviour((Close(),)),
        "no answer": Behaviour((Hang(),)),
        "half headers, then nothing": Behaviour((Send(start[:20]), Hang())),
        "half headers, then closed": Behaviour((Send(start[:20]), Close())),
        "headers, then closed": Behaviour((Send(start), Close())),
        "slow headers": Behaviour((OneByteAtATime(start, every=0.05), Send(body))),
        "garbage": Behaviour((Send(b"\x16\x03\x01 this is no HTTP at all\r\n\r\n"), Close())),
        "endless headers": Behaviour((Send(b"HTTP/1.1 200 OK\r\n"), Repeat(b"x-more: " + b"y" * 1000 + b"\r\n"))),
        "bad chunk size": Behaviour((Send(head(200, {"transfer-encoding": "chunked"}) + b"zz\r\n"), Close())),
        "redirect": plain(b"", 302, headers={"location": "http://127.0.0.1:9/stolen"}),
        "gzip bomb": gzip_bomb(),
    }


@functools.cache
def gzip_bomb(size: int = 64 * MIB) -> Behaviour:
    """A body that was not asked to be compressed and grows to `size` bytes."""
    packed = gzip.compress(b" " * size, mtime=0)
    return plain(packed, headers={"content-encoding": "gzip"})


def before_content(stream: bool) -> dict[str, Behaviour]:
    """Faults after which another target can still give the whole answer. Some only end by the peer's own timeout."""
    faults = connection_faults()
    faults |= {str(status): error(status, "no") for status in STATUSES if status != 429}
    faults["429"] = rate_limited({"retry-after": "7"})
    faults |= {
        "HTML with 200": plain(b"<html><body>It works!</body></html>", content_type="text/html"),
        "empty 200": plain(b""),
        "invalid UTF-8": _invalid_utf8(stream),
    }
    return faults | (_stream_before() if stream else _whole())


def _invalid_utf8(stream: bool) -> Behaviour:
    if stream:
        return raw_stream(sse(dumps({"choices": []}) + b"\xff\xfe{"), DONE)
    return plain(dumps(completion("Hello!")).replace(b"Hello", b"He\xff\xfeo"))


def _whole() -> dict[str, Behaviour]:
    body = dumps(completion("Hello!"))
    start = head(200, {"content-type": "application/json", "content-length": str(len(body))})
    long = head(200, {"content-type": "application/json", "transfer-encoding": "chunked"})
    return {
        "a stream where JSON was asked": stream_ok(usage=None),
        "an error with 200": plain(dumps({"error": {"message": "it broke", "type": "server_error"}})),
        "an empty answer": plain(dumps({**completion("", Tokens(7, 0))})),
        "no choices": plain(dumps({**completion(""), "choices": []})),
        "half a body": Behaviour((Send(start + body[: len(body) // 2]), Close())),
        "half a body, then nothing": Behaviour((Send(start + body[: len(body) // 2]), Hang())),
        "half a body, then reset": Behaviour((Send(start + body[: len(body) // 2]), Pause(0.02), Reset())),
        "dribbling": Behaviour((Send(start), OneByteAtATime(body, every=0.05))),
        "oversize body": Behaviour((Send(long), Repeat(chunk(b" " * MIB)))),
    }


def _stream_before() -> dict[str, Behaviour]:
    return {
        "JSON where a stream was asked": chat_ok(usage=None),
        "error as first event": error_after(None),
        "error after role": error_after(0),
        "error, then [DONE]": error_after(None, done=True),
        "overloaded in the stream": error_after(0, "overloaded", type_="overloaded_error"),
        "empty deltas, then the end": raw_stream(role(), word(""), last(), DONE),
        "[DONE] alone": raw_stream(DONE),
        "role, then the end": cut_after(0, "clean"),
        "role, then closed": cut_after(0, "close"),
        "role, then reset": cut_after(0, "reset"),
        "role, then nothing": cut_after(0, "hang"),
        "half an event, then the end": cut_after(0, "in_event"),
        "dribbling": raw_stream(end=False).then(OneByteAtATime(chunk(word("slow")), every=0.05), Hang()),
        "comments for ever": raw_stream(end=False).then(Repeat(chunk(b": PROCESSING\n\n"), every=0.05)),
        "oversize event": raw_stream(end=False).then(Send(chunk(b"data: ")), Repeat(chunk(b"x" * 65_536))),
        "not JSON": raw_stream(sse(b"{this is not JSON"), DONE),
    }


def after_content() -> dict[str, Behaviour]:
    """Faults of a stream of which the client has seen two words."""
    begun = [role(), word("Hel"), word("lo")]
    return {
        "closed between events": cut_after(2, "close"),
        "closed in a chunk": cut_after(2, "in_chunk"),
        "ended in an event": cut_after(2, "in_event"),
        "ended without finish_reason": cut_after(2, "clean"),
        "reset": cut_after(2, "reset"),
        "stalled": cut_after(2, "hang"),
        "error event": error_after(2),
        "error event, then [DONE]": error_after(2, done=True),
        "overloaded": error_after(2, "overloaded", type_="overloaded_error"),
        "invalid UTF-8": raw_stream(*begun, sse(b'{"choices":[{"index":0,"delta":{"content":"\xff"}}]}'), DONE),
        "not JSON": raw_stream(*begun, sse(b"{this is not JSON"), DONE),
        "oversize event": raw_stream(*begun, b"data: ", end=False).then(Repeat(chunk(b"x" * 65_536))),
        "bad chunk size": raw_stream(*begun, end=False).then(Send(b"zz\r\n"), Close()),
    }


def harmless() -> dict[str, Behaviour]:
    """Streams that look odd but are whole: they must arrive as such, from this target."""
    begun = [role(), word("Hel"), word("lo"), word("!")]
    return {
        "missing [DONE]": stream_ok(done=False),
        "no usage": stream_ok(usage=None),
        "slow but steady": stream_ok(every=0.02),
        "no role event": raw_stream(word("Hel"), word("lo"), word("!"), last(), DONE),
        "comments and CRLF": raw_stream(
            b": OPENROUTER PROCESSING\n\n", *(e.replace(b"\n\n", b"\r\n\r\n") for e in [*begun, last(), DONE])
        ),
        "one byte at a time": raw_stream(end=False).then(
            OneByteAtATime(b"".join(chunk(e) for e in [*begun, last(), DONE]) + b"0\r\n\r\n")
        ),
        "all in one write": raw_stream(b"".join([*begun, last(), DONE])),
        "closed instead of chunked": Behaviour(
            (
                Send(head(200, {"content-type": "text/event-stream", "connection": "close"})),
                Send(b"".join([*begun, last(), DONE])),
                Close(),
            )
        ),
    }
