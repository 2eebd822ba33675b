"""What the app asks of an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

Gone = Callable[[], bool]
"""Whether the client has left; asked often, on the engine's thread."""
Emit = Callable[[bytes], None]
"""Takes the body's next piece, on the engine's thread."""


class Cancelled(Exception):
    """The engine gave up since the client has left."""


class Turn(NamedTuple):
    """A request that was understood and fits, ready to be worked on."""

    stream: bool
    """Its body is a stream of events in many pieces; otherwise it is JSON in one."""
    run: Callable[[Gone, Emit], None]
    """Does the work. Raises `Cancelled`, `Refused`."""


class Engine(Protocol):
    """A loaded model. `chat`, `complete` and `embed` may be called by any thread at any time, and evaluate nothing."""

    @property
    def slots(self) -> int:
        """How many turns it can work on at once."""
        ...

    def chat(self, raw: bytes) -> Turn:
        """A body of /v1/chat/completions. Raises `Refused`."""
        ...

    def complete(self, raw: bytes) -> Turn:
        """A body of /v1/completions. Raises `Refused`."""
        ...

    def embed(self, raw: bytes) -> Turn:
        """A body of /v1/embeddings. Raises `Refused`."""
        ...

    def close(self) -> None:
        """Free the model. No turn runs any more."""
        ...
