"""What a caller's key may do, and until when it is good."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.limiting.values import NONE, Limits
from proxy.core.money.budget import Budget

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")
MOST_TAGS = 16
"""As many as a request may name."""
LONGEST_OWNER = 200
LARGEST_LIMIT, LARGEST_CONCURRENCY = 10**12, 10**6
LATEST = 4_102_444_800.0
"""2100-01-01, in Unix time: a key that ends later might as well not end."""
_LABEL = re.compile(r"[^\x00-\x1f\x7f]{1,64}\Z")
_OWNER = re.compile(rf"[^\x00-\x1f\x7f]{{0,{LONGEST_OWNER}}}\Z")


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


def wrong(key: Key, expires: float | None = None) -> tuple[str, str] | None:
    """What cannot be meant in a new key of the database: which part of it, and why, as a sentence."""
    if not NAME.match(key.name):
        return "name", "A name must be letters, digits, . _ @ - (64 of them at most, the first a letter or a digit)."
    if key.routes is not None and not key.routes:
        return "routes", "Routes must be one at least; without them the key may ask for any."
    if len(key.tags) > MOST_TAGS or not all(map(_LABEL.match, key.tags)):
        return "tags", f"Tags must be 1 to 64 printable characters each, and {MOST_TAGS} at most."
    if not _OWNER.match(key.owner):
        return "owner", f"An owner must be printable characters, {LONGEST_OWNER} at most."
    if len({budget.per for budget in key.budgets}) < len(key.budgets):
        return "budgets", "There are two budgets for the same time."
    places = key.limits.concurrency
    if any(not 1 <= rate.amount <= LARGEST_LIMIT for rate in key.limits.rates):
        return "limits", f"Limits must be 1 to {LARGEST_LIMIT:,}."
    if places is not None and not 1 <= places <= LARGEST_CONCURRENCY:
        return "limits", f"'concurrency' must be 1 to {LARGEST_CONCURRENCY:,}."
    if expires is not None and expires > LATEST:
        return "expires", "It would end after the year 2099: leave that out."
    return None


EXPIRED, REVOKED, REPLACED = "expired", "revoked", "replaced"
