"""What the rest of Wayline asks of a ledger."""

from __future__ import annotations

from typing import Protocol

from proxy.core.outcome import Outcome
from proxy.core.told import Told


class Ledger(Protocol):
    """Takes outcomes. `record` never blocks and never raises; it is called before the client sees the last byte."""

    def record(self, outcome: Outcome) -> None:
        """Put one attempt on record: when this returns, `kill -9` of this process no longer loses it."""

    def tell(self, told: Told) -> None:
        """Put on record why a request went where it went, in the same way. It is kept for some days only."""

    async def close(self) -> None:
        """Write out what is waiting, within a few seconds."""
