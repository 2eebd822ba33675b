"""The client's side of an exchange, as the engine sees it."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Protocol

from proxy.core.failure import Failure
from proxy.core.limiting.values import Rooms


class Won(NamedTuple):
    """Which attempt answers, for the response headers."""

    route: str
    target: str
    attempts: int
    cost: Decimal | None
    """US dollars, where known by the time the headers go out."""
    dropped: tuple[str, ...]
    native: str = ""
    """The API of the client's own in which the answer's bytes are; empty: chat completions."""
    content_type: str = ""
    """The upstream's, where its answer is handed on as it is."""
    screened: str = ""
    """Categories that the route's screen found in the request."""
    queued: float = 0.0
    """Seconds that it waited for a place or a limit; 0: it did not."""
    room: Rooms | None = None
    """Of the limits of the caller's key."""


class Caller(Protocol):
    """Gets the answer: `whole`, or `open`, `push`…, `close`; or `refuse` before any content, `broken` after it."""

    def whole(self, body: bytes, won: Won) -> None:
        """The complete answer."""

    def open(self, won: Won) -> None:
        """A stream begins; its first content follows at once."""

    def push(self, data: bytes) -> bool:
        """Events as they go to the client. False: the client is slow, hold on until `Exchange.ready`."""
        ...

    def comment(self, text: str = "") -> None:
        """Nothing to say yet but perhaps what is waited for: a comment, so that nobody on the way takes the stream for
        dead."""

    def close(self, last: bytes = b"") -> None:
        """The stream is complete; `last` goes before its end marker."""

    def refuse(self, failure: Failure, retry_after: float | None, target: str, attempts: int) -> None:
        """There is no answer. `retry_after` in seconds. `target`: the last one tried, or empty."""

    def broken(self, failure: Failure, chars: int | None) -> None:
        """No more will come, and what came is not the whole answer: so many characters, where that is known."""


class Nobody:
    """Implements `Caller`: takes the place of one whose request is over, so that the two do not keep each other until
    the next garbage collection."""

    def whole(self, body: bytes, won: Won) -> None: ...

    def open(self, won: Won) -> None: ...

    def push(self, data: bytes) -> bool:
        return True

    def comment(self, text: str = "") -> None: ...

    def close(self, last: bytes = b"") -> None: ...

    def refuse(self, failure: Failure, retry_after: float | None, target: str, attempts: int) -> None: ...

    def broken(self, failure: Failure, chars: int | None) -> None: ...


NOBODY = Nobody()
