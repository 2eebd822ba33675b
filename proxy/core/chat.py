"""A request as Wayline sees it, and what comes back: whole, or as events. Raw bytes travel along."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from proxy.core.choice.wish import Wish
from proxy.core.failure import Failure
from proxy.core.usage import Usage


class Native(NamedTuple):
    """A request that came in another API than chat completions, in that API's own terms."""

    api: str
    """`messages`, `count_tokens` (Anthropic's), `responses` or `completions` (OpenAI's)."""
    body: Mapping[str, Any]
    headers: tuple[tuple[str, str], ...] = ()
    """Headers of the client that belong to the request (`anthropic-beta`)."""
    lost: tuple[str, ...] = ()
    """What of it chat completions cannot express: only a target that speaks `api` itself can."""
    minor: tuple[str, ...] = ()
    """What besides is left out elsewhere, and named, but is no reason to prefer a target: it only tunes how `api`'s own
    server works."""
    only: str = ""
    """Why a target that does not speak `api` cannot be asked at all, for the caller; empty: it can."""


class ChatRequest(NamedTuple):
    """One chat request, in the terms of chat completions. `body` is never changed.

    `body` is the parsed form of `raw`, or, where the request came in another API, its translation.
    """

    raw: bytes
    body: Mapping[str, Any]
    model: str
    stream: bool
    wants_usage: bool
    """The client itself asked for a usage chunk (`stream_options.include_usage`)."""
    native: Native | None = None
    wish: Wish | None = None
    """What the caller asks of targets; `None`: nothing. It stands in none of the other parts any more."""


class EmbedRequest(NamedTuple):
    """One embeddings request. `body` is the parsed form of `raw` and is never changed."""

    raw: bytes
    body: Mapping[str, Any]
    model: str
    base64: bool
    """The client asked for `encoding_format: base64`."""
    wish: Wish | None = None
    """As of a `ChatRequest`."""


class Kind(IntEnum):
    """What an event of a stream is. Kinds from CONTENT on commit the answer: a failure after them is told or mended."""

    EMPTY = 0
    """Nothing that a client would miss: role only, an empty delta. Held back until something commits."""
    USAGE = 1
    """A usage chunk without choices."""
    DONE = 2
    """The dialect's own end marker (`[DONE]`). `raw` is empty: the wire writes its own."""
    ERROR = 3
    """The upstream says it failed; `failure` says how."""
    CONTENT = 10
    REASONING = 11
    TOOL = 12


class Event(NamedTuple):
    """One event of a stream, with the bytes that the client is to see (`data: …\\n\\n`), or none."""

    kind: Kind
    raw: bytes
    text: str = ""
    """The content text it adds (for counting, and for going on where it broke off)."""
    usage: Usage | None = None
    failure: Failure | None = None


class End(IntEnum):
    """How a stream ended, as its decoder sees it."""

    COMPLETE = 0
    TRUNCATED = 1
    ERRORED = 2


class Completion(NamedTuple):
    """A whole answer: the bytes for the client, and what Wayline needs to know of them."""

    raw: bytes
    model: str
    usage: Usage | None
    empty: bool
    """No choice holds content, a refusal, a tool call, audio or reasoning."""
    filtered: bool
    """The upstream's content filter left nothing of it."""
    chars: int
    """Characters of content, for an estimate where no usage was reported."""


class Embedding(NamedTuple):
    """A whole embeddings answer, in the encoding that the client asked for."""

    raw: bytes
    model: str
    usage: Usage | None
    vectors: int
    """How many there are."""
