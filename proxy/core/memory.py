"""Responses that are kept, so that a client can go on from one by its id. (A protocol only: `proxy.store` does I/O.)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol


class Kept(NamedTuple):
    """One response, with what it answered."""

    input: tuple[Mapping[str, Any], ...]
    """The items that came with its request; not those of the responses before it."""
    response: Mapping[str, Any]
    """The Response object. Its id is what it is kept under."""
    previous: str = ""
    """The id of the response that it goes on from."""


class Memory(Protocol):
    """What callers are remembered for. `owner`: the name of the caller's key; nobody sees what is another's."""

    def find(self, owner: str, id_: str) -> Kept | None:
        """A response; `None` where there is none, or no longer."""
        ...

    def chain(self, owner: str, id_: str) -> tuple[Kept, ...] | None:
        """The response and all that it goes on from, the first one first; `None` where one of them is not there."""
        ...

    def item(self, owner: str, id_: str) -> Mapping[str, Any] | None:
        """An item of some response's output, by its own id."""
        ...

    def keep(self, owner: str, kept: Kept) -> None:
        """Remember it. Comes back at once; what goes wrong is logged."""
        ...

    def forget(self, owner: str, id_: str) -> bool:
        """Was it there?"""
        ...
