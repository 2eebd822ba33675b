"""The ledger of those who want none (`ledger: false`)."""

from __future__ import annotations

from proxy.core.choice.choose import Choice
from proxy.core.outcome import Outcome
from proxy.core.plan import Plan
from proxy.core.told import Told


class NullLedger:
    """Keeps nothing."""

    def record(self, outcome: Outcome) -> None:
        """Forget it."""

    def tell(self, told: Told) -> None:
        """Forget it."""

    def planned(
        self, request_id: str, started_at: float, plan: Plan, choice: Choice | None, rule: str, clock: float
    ) -> None:
        """Forget it."""

    async def close(self) -> None:
        """Nothing to write out."""
