"""Endpoints that are handed on as they are: what is asked, what comes back, and what a backend must say to have them.

Failover, key and accounting are those of chat. Nothing is translated: a target that does not have such an endpoint
cannot be asked, and another one is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.wish import Wish
from proxy.core.dialect import Decoder, Prepared
from proxy.core.failure import Failure
from proxy.core.usage import Usage


class Relay(NamedTuple):
    """One such endpoint; it takes POST."""

    name: str
    """Its word in metrics and log."""
    path: str
    """Behind the base URL, and here with `/v1` or without."""
    form: bool = False
    """It takes `multipart/form-data` besides JSON."""
    flows: bool = False
    """Its answer is worth something before it is whole, whether a stream was asked for or not."""
    data: bool = True
    """Its answer is JSON."""


RELAYS = (
    Relay("moderations", "/moderations"),
    Relay("rerank", "/rerank"),
    Relay("transcriptions", "/audio/transcriptions", form=True, data=False),
    Relay("translations", "/audio/translations", form=True, data=False),
    Relay("speech", "/audio/speech", flows=True, data=False),
    Relay("images", "/images/generations"),
    Relay("image_edits", "/images/edits", form=True),
)


class RelayRequest(NamedTuple):
    """One request. Where it is a form, `body` is empty and `span` says where in `raw` the model's name stands."""

    relay: Relay
    raw: bytes
    body: Mapping[str, Any]
    model: str
    stream: bool
    """Its answer is handed on while it comes, unless that turns out to be no stream."""
    content_type: str = "application/json"
    span: tuple[int, int] | None = None
    wish: Wish | None = None
    """Targets that do not meet its conditions are left out; the others are tried in the route's order."""
    prompt: str = ""
    """Of a form that has one."""


class Relayed(NamedTuple):
    """A whole answer, and what Wayline needs to know of it."""

    raw: bytes
    model: str
    usage: Usage | None
    content_type: str


Request = ChatRequest | EmbedRequest | RelayRequest
"""Whatever a target can be asked."""


@runtime_checkable
class Relays(Protocol):
    """A dialect that has such endpoints."""

    def relay(self, request: RelayRequest) -> Prepared | Failure:
        """The call that asks this target; a `Failure` (UNSUPPORTED) where it does not have the endpoint."""
        ...

    def relayed(
        self, request: RelayRequest, content_type: str, body: bytes, *, model: str | None = None
    ) -> Relayed | Failure:
        """A whole 2xx body; a `Failure` where it holds an error all the same. Raises `Malformed`.

        With `model`, that name stands in the answer instead of the upstream's.
        """
        ...

    def relay_decoder(self, content_type: str) -> Decoder:
        """A decoder for an answer that is handed on while it comes; its events hold the upstream's own bytes."""
        ...
