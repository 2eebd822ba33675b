"""The contract between the guarded server and an endpoint: a whole request in, a reply pushed out.

The hot endpoints do not go through ASGI: a request is handed over as one value when its body is whole, and the
reply is pushed synchronously from whatever callback has the bytes, so that a streamed event costs no task switch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from proxy.core.call import Headers
from proxy.wire.errors import Refusal


class Inbound(NamedTuple):
    """A whole request. Header names are in lower case."""

    method: str
    path: str
    headers: Headers
    fields: Mapping[bytes, bytes]
    """The headers by name; of several of one name the last."""
    body: bytes
    client: str
    """The peer's address, for the log; empty on a Unix socket."""


class Reply(Protocol):
    """One response. Exactly one of `whole` or (`start`, `push`…, `end`) is used, or `abandon`.

    After the client left, all of it is harmless and does nothing.
    """

    @property
    def gone(self) -> bool:
        """The client left (a half-close counts as leaving)."""
        ...

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        """A complete response. `headers` are header lines, each ended by CRLF, without Content-Length, Date
        and Connection, which are added here."""

    def start(self, status: int, headers: bytes) -> None:
        """The head of a streamed response, to be sent together with the first `push` or by `flush`."""

    def flush(self) -> None:
        """Send the head now, if it was not sent yet."""

    def push(self, data: bytes) -> bool:
        """One piece of the body. False when the client reads slower than we write: stop until `on_ready` calls."""
        ...

    def end(self, data: bytes = b"") -> None:
        """The last piece, and the end of the response."""

    def abandon(self) -> None:
        """Break the connection off, so that the client cannot take what it got for whole."""

    def watch(self, on_gone: Callable[[], None], on_ready: Callable[[], None]) -> None:
        """`on_gone` is called once if the client leaves before the end of the response, `on_ready` each time
        it has caught up after `push` returned False."""


Endpoint = Callable[[Inbound, Reply], None]
"""Takes over a request; returns at once. It does not raise."""


class Worded:
    """An endpoint whose errors have another shape than OpenAI's: `words` says one of ours in it."""

    __slots__ = ("take", "words")

    def __init__(self, take: Endpoint, words: Callable[[Refusal], Refusal]) -> None:
        self.take = take
        self.words = words

    def __call__(self, inbound: Inbound, reply: Reply) -> None:
        self.take(inbound, reply)


class Formed:
    """An endpoint that takes `multipart/form-data` besides JSON."""

    __slots__ = ("take",)

    def __init__(self, take: Endpoint) -> None:
        self.take = take

    def __call__(self, inbound: Inbound, reply: Reply) -> None:
        self.take(inbound, reply)
