"""What is spent and reserved of one budget. Deterministic: it knows no clock, each call says what time it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from proxy.core.money.budget import THRESHOLDS, Budget, Owned, period

NEVER = 1 << 62
"""More than anybody has."""


class Standing(NamedTuple):
    """An account at one moment. Amounts in parts of a dollar; times in Unix time."""

    owned: Owned
    budget: Budget
    spent: int
    reserved: int
    begins: float
    ends: float

    @property
    def room(self) -> int:
        """What is left, at most all of it."""
        return max(self.budget.amount - self.spent - self.reserved, 0)


class Account:
    """Of one budget. Money counts in the period in which the attempt that it is for was sent, whenever that ends: what
    was reserved before a period's end is no part of the next one.

    Times given to it do not go back.
    """

    __slots__ = ("amount", "begins", "budget", "ends", "next_at", "owned", "place", "reserved", "spent", "told")

    def __init__(self, owned: Owned, budget: Budget, now: float) -> None:
        self.owned = owned
        self.budget = budget
        self.amount = budget.amount
        self.spent = 0
        self.reserved = 0
        self.begins, self.ends = period(budget.per, now)
        self.told = 0
        """How many of the thresholds were passed."""
        self.next_at = 0
        """What has to be spent for the next one to be passed."""
        self.place = -1
        """Where it stands in what several processes share."""
        self._aim()

    def roll(self, now: float) -> None:
        """A new period."""
        self.begins, self.ends = period(self.budget.per, now)
        self.spent = self.reserved = 0
        self.told = 0
        self._aim()

    def stands(self, now: float) -> Standing:
        """At this moment."""
        if now >= self.ends:
            self.roll(now)
        return Standing(self.owned, self.budget, self.spent, self.reserved, self.begins, self.ends)

    def passed(self) -> list[int]:
        """The thresholds (per cent) that are passed and were not told of yet: each is told once a period."""
        told = self.told
        while self.spent >= self.next_at:
            self.told += 1
            self._aim()
        return list(THRESHOLDS[told : self.told])

    def was_spent(self, amount: int) -> None:
        """So much was spent in this period before. What that passed was told of then."""
        self.spent += amount
        self.passed()

    def were_told(self, count: int) -> None:
        """So many of the thresholds were told of, by others."""
        self.told = count
        self._aim()

    def is_now(self, budget: Budget) -> None:
        """Another amount for the same time."""
        self.budget = budget
        self.amount = budget.amount
        self.told = 0
        self._aim()
        self.passed()

    def _aim(self) -> None:
        done = self.told >= len(THRESHOLDS)
        self.next_at = NEVER if done else -(-THRESHOLDS[self.told] * self.amount // 100)


def reserve(accounts: Iterable[Account], amount: int, now: float) -> Account | None:
    """Hold it in all of these, or in none: then the one that has not so much left."""
    for account in accounts:
        if now >= account.ends:
            account.roll(now)
        reserved = account.reserved + amount
        if account.spent + reserved > account.amount:
            for before in accounts:
                if before is account:
                    break
                before.reserved -= amount
            return account
        account.reserved = reserved
    return None


def settle(accounts: Iterable[Account], held: int, cost: int, at: float) -> Sequence[Account]:
    """What was held at this time has cost so much. Those in which a threshold is passed by it."""
    passed: Sequence[Account] = ()
    for account in accounts:
        if at >= account.begins:
            account.reserved -= held
            spent = account.spent = account.spent + cost
            if spent >= account.next_at:
                passed = (*passed, account)
    return passed
