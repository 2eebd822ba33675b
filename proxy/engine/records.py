"""What an exchange tells of itself for the record, besides how its attempts ended."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.core.choice.wish import Wish


class OnRecord:
    """The part of an `Exchange` that says whose it is and what it met with on its way."""

    agent = ""
    """As in `Outcome`."""
    tags: tuple[str, ...] = ()
    """As in `Outcome`."""
    queued = 0.0
    """Seconds that it waited for its turn before anything was sent."""

    def _belongs(self, wish: Wish | None, of_key: Iterable[str]) -> None:
        """Note whose it is: what the caller says, and the tags of its key."""
        if wish is None:
            self.tags = tuple(of_key)
            return
        self.agent = wish.agent
        self.tags = tuple(sorted(wish.tags.union(of_key)))
