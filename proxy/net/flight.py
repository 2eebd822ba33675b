"""The contract between whoever asks for a call and the engine that carries it out."""

from __future__ import annotations

from typing import Protocol

from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.failure import Failure


class Sink(Protocol):
    """Gets what comes back, called on the event loop: one `on_head`, any `on_data`, then exactly one of
    `on_end` and `on_failure`. `on_failure` may come at any point, also instead of all others.
    Nothing is called any more once `Flight.abort()` was called. A sink does not raise.
    """

    def on_head(self, status: int, headers: Headers) -> None:
        """Status and headers of the final response (1xx are skipped); names in lower case."""

    def on_data(self, data: bytes) -> None:
        """A piece of the body, de-chunked, and decompressed within bounds."""

    def on_end(self) -> None:
        """The body is complete as HTTP frames it."""

    def on_failure(self, failure: Failure) -> None:
        """It ended otherwise."""


class Flight(Protocol):
    """One call under way."""

    @property
    def sent(self) -> bool:
        """It was written to a connection. Asked only while the call is under way."""
        ...

    def abort(self) -> None:
        """Close its connection now (or stop waiting for one). Idempotent; harmless after the end."""

    def pause(self) -> None:
        """Stop reading from the upstream, since what came cannot be passed on yet."""

    def resume(self) -> None:
        """Read on."""


class Net(Protocol):
    """The engine, as others see it."""

    def send(self, origin: Origin, call: HttpCall, sink: Sink, *, connect: float) -> Flight:
        """Send one call. With a free pooled connection its bytes are written before this returns.

        `connect`: seconds for name lookup, TCP and TLS together. No other time is watched here: the caller
        watches first content, idleness and the whole, and calls `abort()`.
        """
        ...
