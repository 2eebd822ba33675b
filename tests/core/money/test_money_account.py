"""Accounts: nothing is overspent, periods begin anew, what was held before one's end is no part of the next."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from proxy.core.money.account import Account, reserve, settle
from proxy.core.money.budget import (
    UNIT,
    Budget,
    OnExceeded,
    Owned,
    Per,
    Scope,
    budget_of,
    dollars,
    parts,
    period,
    strictest,
)

NOON = datetime(2026, 11, 21, 12, 30, tzinfo=UTC).timestamp()


def owned(per: Per, name: str = "alice") -> Owned:
    return Owned(Scope.KEY, name, per)


def account(amount: int, per: Per = Per.DAY, now: float = NOON) -> Account:
    return Account(owned(per), Budget(amount, per), now)


@pytest.mark.parametrize(
    ("text", "amount", "per"),
    [
        ("5/day", 5 * UNIT, Per.DAY),
        ("0.05/request", UNIT // 20, Per.REQUEST),
        ("12.5 / month", 12 * UNIT + UNIT // 2, Per.MONTH),
        ("100/total", 100 * UNIT, Per.TOTAL),
        ("0/hour", 0, Per.HOUR),
    ],
)
def test_a_budget_is_read_from_a_few_characters(text: str, amount: int, per: Per) -> None:
    assert budget_of(text, OnExceeded.LOCAL) == Budget(amount, per, OnExceeded.LOCAL)


@pytest.mark.parametrize("text", ["5", "5/week", "-1/day", "1e9/day", "1000001/day", "5/day\n", "", "5/days"])
def test_what_is_no_budget_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no budget"):
        budget_of(text)


def test_money_is_rounded_against_the_caller_and_shown_with_what_tells_something() -> None:
    assert parts(Decimal("0.0000000000001")) == 1
    assert parts(Decimal("0.15")) == 150_000_000_000
    shown = [dollars(parts(Decimal(text))) for text in ("5", "4.98", "0.0315", "0.00000123456", "1234.5", "0")]
    assert shown == ["$5", "$4.98", "$0.0315", "$0.00000123", "$1,234.50", "$0"]


@pytest.mark.parametrize(
    ("per", "begins", "ends"),
    [
        (Per.HOUR, "2026-12-31T23:00", "2027-01-01T00:00"),
        (Per.DAY, "2026-12-31T00:00", "2027-01-01T00:00"),
        (Per.MONTH, "2026-12-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_periods_are_those_of_the_calendar_in_utc(per: Per, begins: str, ends: str) -> None:
    now = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    found = tuple(datetime.fromtimestamp(each, UTC).strftime("%Y-%m-%dT%H:%M") for each in period(per, now))
    assert found == (begins, ends)


def test_what_is_reserved_is_not_there_for_others_until_it_is_settled() -> None:
    one = account(100)
    assert reserve([one], 60, NOON) is None
    assert reserve([one], 60, NOON) is one
    settle([one], 60, 20, NOON)
    assert reserve([one], 60, NOON) is None
    assert (one.spent, one.reserved) == (20, 60)


def test_it_is_held_in_all_accounts_or_in_none() -> None:
    large, small = account(100), account(10)
    assert reserve([large, small], 50, NOON) is small
    assert (large.reserved, small.reserved) == (0, 0)


def test_a_period_begins_with_nothing_spent_and_late_ends_count_in_the_one_they_were_sent_in() -> None:
    one = account(100, Per.HOUR)
    assert reserve([one], 100, NOON) is None
    later = NOON + 3600
    assert reserve([one], 40, later) is None
    settle([one], 100, 90, NOON)
    assert (one.spent, one.reserved) == (0, 40)


def test_each_threshold_is_told_once_in_a_period() -> None:
    one = account(1000)
    told = []
    for _ in range(12):
        reserve([one], 90, NOON)
        for passed in settle([one], 90, 90, NOON):
            told += passed.passed()
    assert told == [50, 80, 100]
    assert reserve([one], 500, NOON + 86400) is None
    assert settle([one], 500, 500, NOON + 86400) == (one,)
    assert one.passed() == [50]


def test_what_was_spent_before_the_start_is_not_told_again() -> None:
    one = account(1000)
    one.was_spent(850)
    assert one.passed() == []
    assert settle([one], 0, 150, NOON) == (one,)
    assert one.passed() == [100]


def test_of_two_budgets_for_the_same_time_the_smaller_one_counts() -> None:
    found = strictest([budget_of("5/day"), budget_of("2/day"), budget_of("1/hour")])
    assert {per: budget.amount // UNIT for per, budget in found.items()} == {Per.DAY: 2, Per.HOUR: 1}


class Fifty(RuleBasedStateMachine):
    """Fifty callers that reserve, end, leave and crash in any order while time goes on. What each attempt cost is put
    on record under the time at which it was sent, as the ledger does."""

    @initialize(
        amounts=st.lists(st.integers(0, 200), min_size=1, max_size=3),
        pers=st.lists(st.sampled_from([Per.HOUR, Per.DAY, Per.MONTH, Per.TOTAL]), min_size=3, max_size=3),
    )
    def begin(self, amounts: list[int], pers: list[Per]) -> None:
        self.now = NOON
        self.budgets = [
            (owned(per, str(i)), Budget(amount, per))
            for i, (amount, per) in enumerate(zip(amounts, pers, strict=False))
        ]
        self.accounts = [Account(whose, budget, NOON) for whose, budget in self.budgets]
        self.live: dict[int, tuple[int, float]] = {}
        self.record: list[tuple[float, int]] = []
        self.settled = 0

    @rule(caller=st.integers(0, 49), amount=st.integers(0, 60))
    def sends(self, caller: int, amount: int) -> None:
        if caller not in self.live and reserve(self.accounts, amount, self.now) is None:
            self.live[caller] = (amount, self.now)

    @rule(caller=st.integers(0, 49), share=st.floats(0, 1))
    def ends(self, caller: int, share: float) -> None:
        if caller in self.live:
            amount, at = self.live.pop(caller)
            cost = int(amount * share)
            self.record.append((at, cost))
            settle(self.accounts, amount, cost, at)

    @rule(caller=st.integers(0, 49))
    def leaves(self, caller: int) -> None:
        if caller in self.live:
            amount, at = self.live.pop(caller)
            settle(self.accounts, amount, 0, at)

    @rule(seconds=st.sampled_from([0.5, 60.0, 1800.0, 86400.0, 40 * 86400.0]))
    def passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def is_killed(self) -> None:
        """All that is under way dies with it; what is spent is read from the record."""
        self.live.clear()
        self.accounts = [Account(whose, budget, self.now) for whose, budget in self.budgets]
        for each in self.accounts:
            each.was_spent(sum(cost for at, cost in self.record if at >= each.begins))

    @invariant()
    def nothing_is_overspent(self) -> None:
        if not hasattr(self, "accounts"):
            return
        for each in self.accounts:
            spent: dict[float, int] = defaultdict(int)
            for at, cost in self.record:
                spent[period(each.budget.per, at)[0]] += cost
            assert all(amount <= each.budget.amount for amount in spent.values())
            held = sum(amount for amount, at in self.live.values() if at >= each.begins)
            assert (each.spent, each.reserved) == (spent[each.begins], held)


def test_fifty_callers_never_overspend_whatever_they_do() -> None:
    slow = [HealthCheck.too_slow]
    run_state_machine_as_test(
        Fifty, settings=settings(max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=slow)
    )
