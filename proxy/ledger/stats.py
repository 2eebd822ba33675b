"""What the ledger says about itself, for metrics and logs."""

from __future__ import annotations

from typing import Protocol


class Say(Protocol):
    """Where the ledger reports trouble: an event line of the log. Called from the writer's thread too."""

    def __call__(self, level: str, name: str, /, **fields: object) -> None:
        """`level` is `info`, `warning` or `error`."""


def silent(level: str, name: str, /, **fields: object) -> None:
    """Says nothing."""


class LedgerStats:
    """Counts since the start of this process. Each is written by one thread only."""

    __slots__ = ("durable", "errors", "recorded", "refused", "rows", "unreadable")

    def __init__(self) -> None:
        self.recorded = 0
        """Rows taken on, those found in the journals of dead processes included."""
        self.rows = 0
        """Rows written to the database."""
        self.errors = 0
        """Times that the database could not be written."""
        self.refused = 0
        """Rows for which there was no room to wait (or that came after the end)."""
        self.unreadable = 0
        """Rows taken on that could not be had again."""
        self.durable = True
        """The journal is a file: what is recorded outlives `kill -9`."""

    @property
    def waiting(self) -> int:
        """Rows that are in the journal and not yet in the database."""
        return max(0, self.recorded - self.rows - self.unreadable)

    @property
    def lost(self) -> int:
        """Rows that are on record nowhere."""
        return self.refused + self.unreadable
