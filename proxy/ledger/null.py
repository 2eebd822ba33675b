"""The ledger of those who want none (`ledger: false`)."""

from __future__ import annotations

from proxy.core.outcome import Outcome
from proxy.core.told import Told


class NullLedger:
    """Keeps nothing."""

    def record(self, outcome: Outcome) -> None:
        """Forget it."""

    def tell(self, told: Told) -> None:
        """Forget it."""

    async def close(self) -> None:
        """Nothing to write out."""
