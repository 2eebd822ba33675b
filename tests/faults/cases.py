"""The rows of the fault matrix: what the upstream does, and which row of the verdict table that lands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.core.failure import FailureKind as K
from tests.faults.rig import EASY
from tests.upstream import Script
from tests.upstream_answers import (
    DONE,
    chat_ok,
    chunk,
    completion,
    dumps,
    error,
    head,
    last,
    plain,
    raw_stream,
    role,
    sse,
    word,
)
from tests.upstream_faults import NO_SUCH_HOST, after_content, before_content
from tests.upstream_steps import Behaviour, Close, Hang, Pause, Repeat, Send


@dataclass(frozen=True)
class Fault:
    """`kinds` are those that may be on record: one, but where the kernel decides what we get to know first."""

    name: str
    kinds: tuple[K, ...]
    script: Script | None
    """None: nothing of ours listens there, `backend` says where it is."""
    backend: Mapping[str, Any] = field(default_factory=dict)
    reported: tuple[int, int] | None = None
    """Tokens that the upstream says it used all the same."""
    tls: bool = False


PATIENCE: dict[K, dict[str, float]] = {
    K.CONNECT_TIMEOUT: {**EASY, "connect": 0.4},
    K.FIRST_TIMEOUT: {**EASY, "first": 0.5},
    K.IDLE_TIMEOUT: {**EASY, "idle": 0.4},
    K.TOTAL_TIMEOUT: {**EASY, "total": 0.6},
}
"""Times for the faults that end by our patience alone: only the one that is to end them is short."""
IMPATIENT = {**EASY, "first": 0.5, "idle": 0.5}

_BROKEN = (K.REFUSED, K.RESET, K.EMPTY_REPLY)

COMMON: dict[str, K | tuple[K, ...]] = {
    "reset on connect": _BROKEN,
    "closed on connect": _BROKEN,
    "reset after the request": K.RESET,
    "closed after the request": K.EMPTY_REPLY,
    "no answer": K.FIRST_TIMEOUT,
    "half headers, then nothing": K.FIRST_TIMEOUT,
    "half headers, then closed": K.TRUNCATED,
    "headers, then closed": K.TRUNCATED,
    "slow headers": K.FIRST_TIMEOUT,
    "garbage": K.MALFORMED,
    "endless headers": K.OVERSIZE,
    "bad chunk size": K.MALFORMED,
    "redirect": K.REDIRECT,
    "400": K.BAD_REQUEST,
    "401": K.KEY_REFUSED,
    "402": K.QUOTA,
    "403": K.KEY_REFUSED,
    "404": K.NOT_FOUND,
    "408": K.SERVER_ERROR,
    "413": K.BAD_REQUEST,
    "422": K.BAD_REQUEST,
    "429": K.RATE_LIMITED,
    "500": K.SERVER_ERROR,
    "502": K.SERVER_ERROR,
    "503": K.OVERLOADED,
    "529": K.OVERLOADED,
    "429 insufficient_quota": K.QUOTA,
    "429 whose body never comes": K.RATE_LIMITED,
    "503 whose body breaks off": K.OVERLOADED,
    "400 context length": K.CONTEXT_LENGTH,
    "400 unsupported parameter": K.UNSUPPORTED,
    "400 content filter": K.FILTERED,
    "400 tool use": K.TOOL_USE,
    "503 loading": K.LOADING,
    "HTML with 200": K.WRONG_TYPE,
    "empty 200": K.EMPTY_ANSWER,
    "invalid UTF-8": K.MALFORMED,
}
WHOLE: dict[str, K | tuple[K, ...]] = {
    "gzip bomb": K.OVERSIZE,
    "a stream where JSON was asked": K.WRONG_TYPE,
    "an endless stream where JSON was asked": K.WRONG_TYPE,
    "an error with 200": K.SERVER_ERROR,
    "an empty answer": K.EMPTY_ANSWER,
    "no choices": K.EMPTY_ANSWER,
    "half a body": K.TRUNCATED,
    "half a body, then nothing": K.IDLE_TIMEOUT,
    "half a body, then reset": K.RESET,
    "dribbling": K.TOTAL_TIMEOUT,
    "oversize body": K.OVERSIZE,
}
STREAM: dict[str, K | tuple[K, ...]] = {
    "gzip bomb": K.WRONG_TYPE,
    "JSON where a stream was asked": K.WRONG_TYPE,
    "an error as JSON with 200": K.SERVER_ERROR,
    "error as first event": K.SERVER_ERROR,
    "error after role": K.SERVER_ERROR,
    "error, then [DONE]": K.SERVER_ERROR,
    "overloaded in the stream": K.OVERLOADED,
    "empty deltas, then the end": K.EMPTY_ANSWER,
    "finished without content, then nothing": K.EMPTY_ANSWER,
    "finished by the filter": K.FILTERED,
    "[DONE] alone": K.TRUNCATED,
    "role, then the end": K.TRUNCATED,
    "role, then closed": K.TRUNCATED,
    "role, then reset": K.RESET,
    "role, then nothing": K.FIRST_TIMEOUT,
    "half an event, then the end": K.TRUNCATED,
    "dribbling": K.FIRST_TIMEOUT,
    "comments for ever": K.FIRST_TIMEOUT,
    "oversize event": K.OVERSIZE,
    "empty events for ever": K.OVERSIZE,
    "not JSON": K.MALFORMED,
}
CUT: dict[str, K | tuple[K, ...]] = {
    "closed between events": K.TRUNCATED,
    "closed in a chunk": K.TRUNCATED,
    "ended in an event": K.TRUNCATED,
    "ended without finish_reason": K.TRUNCATED,
    "reset": K.RESET,
    "stalled": K.IDLE_TIMEOUT,
    "comments for ever after content": K.IDLE_TIMEOUT,
    "error event": K.SERVER_ERROR,
    "error event, then [DONE]": K.SERVER_ERROR,
    "overloaded": K.OVERLOADED,
    "invalid UTF-8": K.MALFORMED,
    "not JSON": K.MALFORMED,
    "oversize event": K.OVERSIZE,
    "bad chunk size": K.MALFORMED,
    "one of two choices is finished, then the end": K.TRUNCATED,
}

REPORTED = {"an empty answer": (7, 0)}


def more_before(stream: bool) -> dict[str, Script]:
    """Faults before content that are not among the upstream's own."""
    limited = {"content-type": "application/json", "content-length": "500", "retry-after": "7"}
    scripts: dict[str, Script] = {
        "402": error(402, "Payment Required"),
        "429 insufficient_quota": error(429, "You exceeded your current quota", code="insufficient_quota"),
        "429 whose body never comes": raw_head(429, limited).then(Hang()),
        "503 whose body breaks off": raw_head(503, limited).then(Send(b'{"err'), Close()),
        "400 context length": error(400, "too long", type_="invalid_request_error", code="context_length_exceeded"),
        "400 unsupported parameter": error(400, "no seed here", code="unsupported_parameter", param="seed"),
        "400 content filter": error(400, "flagged", code="content_filter"),
        "400 tool use": error(400, "bad call", code="tool_use_failed"),
        "503 loading": error(503, "Loading model", type_="unavailable_error"),
    }
    if stream:
        events = raw_stream(end=False)
        scripts |= {
            "an error as JSON with 200": plain(dumps({"error": {"message": "it broke", "type": "server_error"}})),
            "finished without content, then nothing": raw_stream(role(), last(), Hang(), end=False),
            "finished by the filter": raw_stream(role(), last("content_filter"), DONE),
            "empty events for ever": events.then(Repeat(chunk(word("") * 100))),
        }
    else:
        scripts["an endless stream where JSON was asked"] = raw_stream(role(), Repeat(chunk(word("more")), every=0.02))
    return scripts


NO_TLS = Behaviour((Send(head(400, {})), Close()), at="connect")
"""As a plain HTTP server answers a TLS handshake."""


def raw_head(status: int, headers: Mapping[str, str]) -> Behaviour:
    """A response's head and no body."""
    return Behaviour((Send(head(status, headers)),))


def more_after() -> dict[str, Script]:
    """Faults after content that are not among the upstream's own."""
    two = {**completion(""), "object": "chat.completion.chunk"}
    both = [{"index": i, "delta": {"content": t}, "finish_reason": None} for i, t in ((0, "Hello"), (1, "Bye"))]
    one = [{"index": 1, "delta": {}, "finish_reason": "stop"}]
    return {
        "comments for ever after content": raw_stream(
            role(), word("Hel"), word("lo"), Repeat(chunk(b": ping\n\n"), every=0.05)
        ),
        "one of two choices is finished, then the end": raw_stream(
            role(), sse({**two, "choices": both}), sse({**two, "choices": one})
        ),
    }


def _faults(scripts: Mapping[str, Script], kinds: Mapping[str, K | tuple[K, ...]]) -> list[Fault]:
    unnamed, unplayed = scripts.keys() - kinds.keys(), kinds.keys() - scripts.keys()
    assert not unnamed and not unplayed, (unnamed, unplayed)
    found = []
    for name, script in scripts.items():
        kind = kinds[name]
        each = kind if isinstance(kind, tuple) else (kind,)
        times = IMPATIENT if name == "429 whose body never comes" else PATIENCE.get(each[0], EASY)
        found.append(Fault(name, each, script, {"timeouts": times}, REPORTED.get(name)))
    return found


def before(stream: bool, *, refused: int, blackhole: int) -> list[Fault]:
    """All faults before content. `refused`, `blackhole`: ports at which nobody answers."""
    kinds = COMMON | (STREAM if stream else WHOLE)
    return [
        Fault("refused", (K.REFUSED,), None, {"base_url": at(refused)}),
        Fault(
            "blackholed",
            (K.CONNECT_TIMEOUT,),
            None,
            {"base_url": at(blackhole), "timeouts": PATIENCE[K.CONNECT_TIMEOUT]},
        ),
        Fault("no such name", (K.DNS,), None, {"base_url": f"http://{NO_SUCH_HOST}/v1"}),
        Fault("a certificate that nobody signed", (K.TLS,), chat_ok(), tls=True),
        Fault("TLS where plain HTTP is spoken", (K.TLS,), NO_TLS, {"scheme": "https"}),
        *_faults({**before_content(stream), **more_before(stream)}, kinds),
    ]


def at(port: int) -> str:
    """A base URL on this machine."""
    return f"http://127.0.0.1:{port}/v1"


def after() -> list[Fault]:
    """All faults after content, which comes in three events and is seen before the fault."""
    scripts = {**after_content(), **more_after()}
    return _faults({name: _then_pause(script) for name, script in scripts.items()}, CUT)


def _then_pause(script: Script) -> Behaviour:
    """With a pause after the head and three events: were all in one read, no content would have been sent yet."""
    assert isinstance(script, Behaviour)
    return Behaviour((*script.steps[:4], Pause(0.1), *script.steps[4:]))
