"""What a backend must be able to say: pure translation, no clock, no socket, no client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from proxy.core.call import Headers, HttpCall
from proxy.core.chat import ChatRequest, Completion, Embedding, EmbedRequest, End, Event
from proxy.core.failure import Failure
from proxy.core.usage import Usage


class Malformed(ValueError):
    """The upstream sent bytes that its protocol does not allow, or more than our bounds."""


class TooLarge(Malformed):
    """It is more than our bounds allow."""


class Prepared(NamedTuple):
    """A call, and what of the request is not in it."""

    call: HttpCall
    dropped: tuple[str, ...] = ()
    """The names of all parameters of the request that were left out."""
    unsupported: tuple[str, ...] = ()
    """Those of them that this target cannot express. (The others the operator wants dropped.)"""


class Stamp(NamedTuple):
    """What a dialect that translates needs to write an answer: it has no clock and no chance of its own."""

    id: str = ""
    """The answer's id where the upstream gives none."""
    created: int = 0
    """Unix time in seconds."""
    body: Mapping[str, Any] = {}
    """The request in the terms of chat completions."""
    native: str = ""
    """The API whose own bytes are handed on as they are (one of `Dialect.speaks`); empty: chat completions."""


UNSTAMPED = Stamp()


class Prefill(NamedTuple):
    """How a target is made to continue an assistant message that comes last."""

    message: Mapping[str, Any] = {}
    """What that message must hold besides (Mistral: `prefix`)."""
    body: Mapping[str, Any] = {}
    """What the request must hold besides (vLLM: `continue_final_message`)."""
    strips: bool = False
    """White space at the end of the message is refused, or lost, and comes back at the beginning of the answer."""


class Decoder(Protocol):
    """Turns a stream's bytes into events. The same events come whatever the cuts between the bytes.

    What it knows of the stream so far can be read from it at any time, also after `close` or `Malformed`.
    """

    @property
    def model(self) -> str:
        """The model as the upstream names it; empty until it said so."""
        ...

    @property
    def usage(self) -> Usage | None:
        """The usage reported last (where it is cumulative, the last one counts)."""
        ...

    @property
    def chars(self) -> int:
        """Characters of content, refusal, reasoning and tool arguments so far: what an estimate is made of."""
        ...

    @property
    def counted(self) -> tuple[int, int] | None:
        """Tokens of input and of output so far, where the stream's own events tell; `None`: they do not."""
        ...

    @property
    def choices_seen(self) -> int:
        """How many different choices have shown up."""
        ...

    @property
    def finished(self) -> bool:
        """At least one choice was seen, and every choice seen has its finish reason."""
        ...

    @property
    def filtered(self) -> bool:
        """The upstream's content filter ended it before anything was said."""
        ...

    @property
    def empty(self) -> bool:
        """Nothing was said. An answer whose whole token budget went into hidden reasoning is not empty."""
        ...

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Raises `Malformed`."""
        ...

    def close(self) -> End:
        """Called at the upstream's end of body: was that the end of the answer?"""
        ...


@runtime_checkable
class TellsTokens(Protocol):
    """A decoder that knows the ids of the answer's tokens."""

    @property
    def tokens(self) -> Sequence[int] | None:
        """All of the answer so far, in the vocabulary of the target's model; `None`: not, or not all, are known."""
        ...


class Dialect(Protocol):
    """One target's language, bound to its address, key and parameters when the configuration is loaded."""

    @property
    def prefill(self) -> Prefill | None:
        """How this target continues a partial answer; `None`: it does not, or nobody knows."""
        ...

    @property
    def repeatable(self) -> bool:
        """The same request with the same seed (or greedy) gives the same bytes again."""
        ...

    @property
    def speaks(self) -> frozenset[str]:
        """The APIs besides chat completions in which a request can be handed on as it came (`Native.api`)."""
        ...

    @property
    def translates(self) -> bool:
        """It writes answers anew in OpenAI's words, and needs a `Stamp` for them even where nothing came in another
        API's words."""
        ...

    @property
    def stream_type(self) -> bytes:
        """What the content type of its streams holds, in lower case (`event-stream`)."""
        ...

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        """The call that asks this target; a `Failure` (UNSUPPORTED) where it cannot be asked this at all."""
        ...

    def embed(self, request: EmbedRequest) -> Prepared | Failure:
        """The call that asks this target for embeddings; a `Failure` where it has none, or not of this input."""
        ...

    def completion(self, body: bytes, *, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Completion | Failure:
        """A whole 2xx body; a `Failure` where it holds an error all the same. Raises `Malformed`.

        With `model`, that name stands in the answer instead of the upstream's.
        """
        ...

    def embedding(self, body: bytes, *, base64: bool, model: str | None = None) -> Embedding | Failure:
        """A whole 2xx embeddings body, encoded as the client asked. Raises `Malformed`."""
        ...

    def decoder(self, *, wants_usage: bool, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Decoder:
        """A new decoder. Without `wants_usage` the usage is taken out of what the client sees."""
        ...

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        """What a non-2xx answer means. Takes any bytes at all."""
        ...
