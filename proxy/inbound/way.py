"""What an API must be able to say to be a way in: pure translation between its words and those of chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

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
    received_chars: int | None = None
    """Characters of the answer that the client has; `None`: it is not known, or nothing was sent."""


class Renderer(Protocol):
    """One answer in the API's own words, made from what the engine gives in chat completions'."""

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
        """The end of a stream that will not be complete."""
        ...


class Api(Protocol):
    """One way in."""

    @property
    def name(self) -> str:
        """`messages`, `responses`, `completions`: also the endpoint's word in metrics, log and ledger."""
        ...

    def read(self, raw: bytes, fields: Mapping[bytes, bytes], max_depth: int) -> ChatRequest | Wrong:
        """The chat request that says the same. `fields`: the request's headers, names in lower case.

        What chat completions cannot express travels in `ChatRequest.native`, and is named there (`lost`).
        """
        ...

    def renderer(self, request: ChatRequest, request_id: str, created: int) -> Renderer:
        """For the answer to this request, where it comes in chat completions' words. `created`: Unix time in seconds.

        (Where `Won.native` is this API's name the upstream's own bytes are handed on instead.)
        """
        ...

    def error(self, fault: Fault) -> bytes:
        """The body of an error response."""
        ...
