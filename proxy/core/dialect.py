"""What a backend must be able to say: pure translation, no clock, no socket, no client."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from proxy.core.call import Headers, HttpCall
from proxy.core.chat import ChatRequest, Completion, Embedding, EmbedRequest, End, Event
from proxy.core.failure import Failure


class Malformed(ValueError):
    """The upstream sent bytes that its protocol does not allow, or more than our bounds."""


class Prepared(NamedTuple):
    """A call, and the names of the request's parameters that this target cannot express and that were left out."""

    call: HttpCall
    dropped: tuple[str, ...] = ()


class Decoder(Protocol):
    """Turns a stream's bytes into events. The same events come whatever the cuts between the bytes."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Raises `Malformed`."""
        ...

    def close(self) -> End:
        """Called at the upstream's end of body: was that the end of the answer?"""
        ...


class Dialect(Protocol):
    """One target's language, bound to its address, key and parameters when the configuration is loaded."""

    def chat(self, request: ChatRequest) -> Prepared:
        """The call that asks this target."""
        ...

    def embed(self, request: EmbedRequest) -> Prepared:
        """The call that asks this target for embeddings."""
        ...

    def completion(self, body: bytes, *, model: str | None = None) -> Completion | Failure:
        """A whole 2xx body; a `Failure` where it holds an error all the same. Raises `Malformed`.

        With `model`, that name stands in the answer instead of the upstream's.
        """
        ...

    def embedding(self, body: bytes, *, base64: bool, model: str | None = None) -> Embedding | Failure:
        """A whole 2xx embeddings body, encoded as the client asked. Raises `Malformed`."""
        ...

    def decoder(self, *, wants_usage: bool, model: str | None = None) -> Decoder:
        """A new decoder. Without `wants_usage` the usage is taken out of what the client sees."""
        ...

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        """What a non-2xx answer means. Takes any bytes at all."""
        ...
