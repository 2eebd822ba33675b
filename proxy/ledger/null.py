"""The ledger of those who want none (`ledger: false`)."""

from __future__ import annotations

from proxy.core.outcome import Outcome


class NullLedger:
    """Keeps nothing."""

    def record(self, outcome: Outcome) -> None:
        """Forget it."""

    async def close(self) -> None:
        """Nothing to write out."""
