"""What an API must be able to say to be a way in: pure translation between its words and those of chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from proxy.core.chat import ChatRequest


class Wrong(NamedTuple):
    """What is wrong with a body, for the caller."""

    message: str
    param: str | None = None
    code: str | None = None
    status: int = 400


class Fault(NamedTuple):
    """An error as it would stand in OpenAI's `error` object, with its HTTP status."""

    status: int
    message: str
    type: str
    code: str | None = None
    param: str | None = None
    request_id: str = ""
    """Empty where the connection itself refuses, before the request has one."""
    received_chars: int | None = None
    """Characters of the answer that the client has; `None`: it is not known, or nothing was sent."""


class Renderer(Protocol):
    """One answer in the API's own words, made from what the engine gives in chat completions'.

    Nothing that comes from an upstream makes it raise: what it does not know it passes over.
    """

    def whole(self, body: bytes) -> bytes:
        """A complete answer, from a chat completion."""
        ...

    def push(self, data: bytes) -> bytes:
        """Events, from whole events of chat completion chunks (`data: …\n\n`, comments); it may hold some back."""
        ...

    def close(self, last: bytes) -> bytes:
        """The end of a stream, with its marker if the API has one; `last`: further chunks and comments before it."""
        ...

    def broken(self, fault: Fault) -> bytes:
        """The end of a stream that will not be complete. (Also asked of a renderer that was given nothing yet: where
        only comments were sent, or the upstream's own bytes.)"""
        ...


class Api(Protocol):
    """One way in."""

    @property
    def name(self) -> str:
        """`messages`, `responses`, `completions`: also the endpoint's word in metrics and log."""
        ...

    def read(self, body: dict[str, Any], raw: bytes, fields: Mapping[bytes, bytes]) -> ChatRequest | Wrong:
        """The chat request that says the same. `body`: the parsed form of `raw`, a JSON object whose nesting was
        checked. `fields`: the request's headers, names in lower case. Whatever it is given, it does not raise.

        `ChatRequest.native` is always set, with `api` = `name`: what chat completions cannot express travels there,
        and is named there (`lost`, `minor`). A stream asks for usage (`wants_usage`, and `stream_options` in the
        body), where the API has a place for it.
        """
        ...

    def renderer(self, request: ChatRequest, request_id: str, created: int) -> Renderer:
        """For the answer to this request, where it comes in chat completions' words. `created`: Unix time in seconds.

        (Where `Won.native` is this API's name the upstream's own bytes are handed on instead.)
        """
        ...

    def lines(self, request_id: str) -> bytes:
        """Header lines that every response of this API has besides, each ended by CRLF."""
        ...

    def error(self, fault: Fault) -> tuple[int, bytes]:
        """Status and body of an error response."""
        ...

    def ending(self, last: bytes) -> bytes:
        """What a complete stream of the upstream's own bytes still lacks; `last`: the piece sent last."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """An `Api` that keeps something for its callers: then each request has an `Api` of its own."""

    def of(self, caller: str) -> Api:
        """For one request of this caller (the name of its key; empty where there are no keys)."""
        ...


@runtime_checkable
class Notes(Protocol):
    """An `Api` that wants to see the whole answers which go to the client in the upstream's own bytes."""

    def handed_on(self, body: bytes) -> None:
        """Such a body."""
        ...


class Counts(Protocol):
    """A way in that only counts a request's tokens. A target is asked where it speaks `name`."""

    @property
    def name(self) -> str:
        """`count_tokens`."""
        ...

    def read(self, body: dict[str, Any], raw: bytes, fields: Mapping[bytes, bytes]) -> ChatRequest | Wrong:
        """As `Api.read`."""
        ...

    def lines(self, request_id: str) -> bytes:
        """As `Api.lines`."""
        ...

    def error(self, fault: Fault) -> tuple[int, bytes]:
        """As `Api.error`."""
        ...

    def counted(self, tokens: int) -> bytes:
        """The answer for our own estimate."""
        ...
