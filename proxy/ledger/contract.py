"""What the rest of Wayline asks of a ledger."""

from __future__ import annotations

from typing import Protocol

from proxy.core.outcome import Outcome


class Ledger(Protocol):
    """Takes outcomes. `record` never blocks and never raises; it is called before the client sees the last byte."""

    def record(self, outcome: Outcome) -> None:
        """Put one attempt on record: when this returns, `kill -9` of this process no longer loses it."""

    async def close(self) -> None:
        """Write out what is waiting, within a few seconds."""
