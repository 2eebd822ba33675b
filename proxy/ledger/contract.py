"""What the rest of Wayline asks of a ledger."""

from __future__ import annotations

from typing import Protocol

from proxy.core.choice.choose import Choice
from proxy.core.outcome import Outcome
from proxy.core.plan import Plan
from proxy.core.told import Told


class Ledger(Protocol):
    """Takes outcomes. `record` never blocks and never raises; it is called before the client sees the last byte."""

    def record(self, outcome: Outcome) -> None:
        """Put one attempt on record: when this returns, `kill -9` of this process no longer loses it."""

    def tell(self, told: Told) -> None:
        """Put on record why a request went where it went, in the same way. It is kept for some days only."""

    def planned(
        self, request_id: str, started_at: float, plan: Plan, choice: Choice | None, rule: str, clock: float
    ) -> None:
        """The same, in short, for one whose first target served: the rest is as its attempt says. As in `Told`."""

    async def close(self) -> None:
        """Write out what is waiting, within a few seconds."""
