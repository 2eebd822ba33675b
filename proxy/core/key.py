"""What a caller's key may do, and until when it is good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.limiting.values import NONE, Limits
from proxy.core.money.budget import Budget


@dataclass(frozen=True, slots=True)
class Key:
    """Of one caller."""

    name: str
    """Whose it is, for log, ledger and metrics; empty where nobody is asked for a key."""
    routes: frozenset[str] | None = None
    """No other routes than these may be asked for (with `direct`, targets too); `None`: any."""
    tags: tuple[str, ...] = ()
    """What its requests count under besides, in order."""
    owner: str = ""
    budgets: tuple[Budget, ...] = ()
    limits: Limits = NONE
    weight: float = 1.0
    """Its share of the turns in the queue, against other keys."""

    def may(self, route: str) -> bool:
        """This route may be asked for."""
        return self.routes is None or route in self.routes


ANYONE = Key("")


class Known(NamedTuple):
    """One secret of a key: while a key is changed for another both are good."""

    key: Key
    until: float | None = None
    """Unix time from which it is not good any more; `None`: it is good for ever."""
    why: str = ""
    """What happens then: one of the words below."""


EXPIRED, REVOKED, REPLACED = "expired", "revoked", "replaced"
