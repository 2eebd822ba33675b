"""What the engine asks of a place that serves a target. (Protocols only: the implementations do the I/O.)"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple, Protocol

from proxy.core.call import Origin
from proxy.core.failure import Failure


class State(NamedTuple):
    """For `/readyz`: `state` is one of `idle`, `loading`, `ready`, `backoff`, `unavailable`; `detail` says why."""

    state: str
    detail: str = ""
    progress: str = ""
    """How far its getting ready is, for those who wait for it."""


class Place(Protocol):
    """Where one target's calls go. For a network backend that never changes; a local model may have to be started."""

    def origin(self) -> Origin | Awaitable[Origin | Failure]:
        """The address when it can be used now; else something to wait for. Waiting can be cancelled freely:
        the start goes on for those who come after."""
        ...

    def lost(self) -> Failure | None:
        """Asked when a call to the last `origin` failed on its connection: the failure to report instead
        (`worker_crashed`) where it is known that the worker died; `None` otherwise."""
        ...

    def state(self) -> State:
        """Its state now."""
        ...
