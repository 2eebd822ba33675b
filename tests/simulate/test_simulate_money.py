"""The draft's budgets hold in a simulation as they do for live traffic, and whom they refuse is told apart."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.core.failure import FailureKind
from proxy.core.money.account import settle
from proxy.core.money.budget import UNIT, Owned, Scope, period
from proxy.core.usage import Usage
from proxy.simulate.inject import Supposed
from proxy.simulate.record import read
from proxy.simulate.run import Simulated, simulate
from proxy.simulate.view import lines, plain
from tests.simulate.recorded_log import BACKENDS, Log, config

NOTE = "Budgets begin with nothing spent; answers are reserved for as long as they were on record."
COST = Decimal("0.0035")
"""Of one recorded request at `cloud`: 1,000 tokens in, 100 out. What is reserved for it is $0.004335."""


def through(log: Log, path: Path, routes: str, more: str = "", backends: str = BACKENDS) -> Simulated:
    draft = config(routes, more=more, backends=backends)
    return simulate(read(log.write(path / f"{uuid4()}.db")), draft, zone=UTC)


def each_minute(count: int, **words: Any) -> Log:
    log = Log()
    for number in range(count):
        log.request(number * 60.0, [log.answer("cloud/large")], **words)
    return log


def keys(**said: str) -> str:
    each = (f"{{name: {name}, key: {name}-0123456789abcdef, {words}}}" for name, words in said.items())
    return f"keys: [{', '.join(each)}]"


def answered(found: Simulated) -> dict[str, int]:
    return {name: of.answered for name, of in found.draft.by_target.items()}


def test_a_key_s_budget_is_that_key_s_and_whom_it_refuses_is_not_lost(tmp_path: Path) -> None:
    log = each_minute(20, key="a")
    log.request(1300.0, [log.answer("cloud/large")], key="b")
    found = through(log, tmp_path, "  chat: {targets: [cloud/large]}", keys(a="budgets: [0.0175/day]", b="owner: B"))
    assert (found.draft.served, found.draft.unpaid, found.draft.lost) == (5, 16, 0)
    assert found.draft.cost == 5 * COST
    assert found.notes == (NOTE,)


def test_a_new_day_begins_with_all_of_it_and_a_total_never_does(tmp_path: Path) -> None:
    log = Log()
    for hour in range(24):  # twelve of them today, since the record begins at noon
        log.served(hour * 3600.0)
    for per, served in (("hour", 24), ("day", 4), ("month", 2), ("total", 2)):
        more = f"budgets: {{all: [{{amount: 0.008, per: {per}}}]}}"
        found = through(Log(log.rows), tmp_path, "  chat: {targets: [cloud/large]}", more)
        assert (found.draft.served, found.draft.unpaid) == (served, 24 - served), per


def test_a_backend_without_money_is_passed_over(tmp_path: Path) -> None:
    backends = BACKENDS.replace("cloud: {", "cloud: {budgets: [0.0175/day], ")
    found = through(each_minute(20), tmp_path, "  chat: {targets: [cloud/large, cheap/small]}", backends=backends)
    assert answered(found) == {"cloud/large": 4, "cheap/small": 16}
    assert (found.draft.unpaid, found.draft.lost, found.draft.failovers) == (0, 0, 0)


@pytest.mark.parametrize(
    ("then", "went"),
    [
        ("refuse", {"cloud/large": 4}),
        ("cheaper", {"cloud/large": 4, "cheap/small": 16}),
        ("local", {"cloud/large": 4, "near/m": 16}),
    ],
)
def test_what_follows_where_too_little_is_left_is_followed(tmp_path: Path, then: str, went: dict[str, int]) -> None:
    budget = f"{{amount: 0.0175, per: day, on_exceeded: {then}}}"
    route = f"  chat: {{targets: [cloud/large, cheap/small, near/m], budgets: [{budget}]}}"
    found = through(each_minute(20), tmp_path, route)
    assert answered(found) == went
    assert found.draft.unpaid == 20 - sum(went.values())


def test_tags_are_those_on_record_and_those_of_the_draft_s_keys(tmp_path: Path) -> None:
    log = Log()
    for number, (key, tags) in enumerate([("a", ()), ("", ("search",)), ("", ("other",))] * 5):
        log.request(number * 60.0, [log.answer("cloud/large")], key=key, tags=tags)
    more = f"{keys(a='tags: [search]')}\nbudgets: {{tags: {{search: [0.0175/day]}}}}"
    found = through(log, tmp_path, "  chat: {targets: [cloud/large]}", more)
    assert (found.draft.served, found.draft.unpaid) == (4 + 5, 6)


def test_a_budget_of_each_request_keeps_the_long_ones_out(tmp_path: Path) -> None:
    log = Log()
    for number in range(10):
        log.served(number * 60.0, usage=Usage(1000 * (number + 1), 100))
    found = through(log, tmp_path, "  chat: {targets: [cloud/large]}", "budgets: {all: [0.015/request]}")
    assert (found.draft.served, found.draft.unpaid) == (4, 6)


def test_what_is_under_way_holds_its_money(tmp_path: Path) -> None:
    log = Log()
    for number in range(10):
        log.served(number * 0.1)  # two seconds each
    found = through(log, tmp_path, "  chat: {targets: [cloud/large]}", "budgets: {all: [0.02/day]}")
    assert (found.draft.served, found.draft.unpaid) == (4, 6)
    alone = through(each_minute(10), tmp_path, "  chat: {targets: [cloud/large]}", "budgets: {all: [0.02/day]}")
    assert alone.draft.served == 5


def test_a_target_whose_price_nobody_knows_gets_nothing_under_a_budget_unless_that_is_allowed(tmp_path: Path) -> None:
    backends = "\nbackends: {cloud: {type: openai, base_url: 'https://cloud.test/v1', api_key: k}}\n"
    for allow, served in (("", 0), (", unbounded: allow", 5)):
        more = f"budgets: {{all: [1/day]{allow}}}"
        found = through(each_minute(5), tmp_path, "  chat: {targets: [cloud/large]}", more, backends)
        assert (found.draft.served, found.draft.unpaid) == (served, 5 - served)


def test_who_was_refused_by_a_budget_on_record_is_told_apart_too(tmp_path: Path) -> None:
    log = each_minute(3)
    log.tell(500.0, attempts=0, status=429, failure=FailureKind.BUDGET)
    found = through(log, tmp_path, "  chat: {targets: [cloud/large]}")
    assert (found.today.served, found.today.unpaid, found.today.lost) == (3, 1, 0)
    assert found.draft.served == 4


def test_the_report_has_a_line_for_them_where_there_are_some(tmp_path: Path) -> None:
    found = through(each_minute(20), tmp_path, "  chat: {targets: [cloud/large]}", "budgets: {all: [0.0175/day]}")
    told = list(lines(found, Supposed(), UTC))
    assert [line.split() for line in told if line.startswith("refused by budgets")] == [
        ["refused", "by", "budgets", "0", "16", "+16"]
    ]
    assert [line.split()[1:3] for line in told if line.startswith("lost ")] == [["0", "0"]]
    assert plain(found, Supposed())["draft"]["refused_by_budgets"] == 16
    none = through(each_minute(20), tmp_path, "  chat: {targets: [cloud/large]}")
    assert "refused by budgets" not in "\n".join(lines(none, Supposed(), UTC))


asked = st.tuples(
    st.floats(0.0, 90_000.0),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from([(), ("t",), ("t", "u")]),
    st.sampled_from(["cloud/large", "cheap/small"]),
    st.integers(1, 4000),
    st.integers(1, 2000),
    st.sampled_from([None, None, None, FailureKind.SERVER_ERROR, FailureKind.RESET, FailureKind.REFUSED]),
)
amounts = st.lists(
    st.tuples(
        st.sampled_from(["0.001", "0.01", "0.05"]),
        st.sampled_from(["request", "hour", "day", "month", "total"]),
        st.sampled_from(["refuse", "cheaper", "local"]),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda one: one[1],
)


def _said(given_: list[tuple[str, str, str]]) -> str:
    return "[" + ", ".join(f"{{amount: {a}, per: {per}, on_exceeded: {then}}}" for a, per, then in given_) + "]"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=st.lists(asked, min_size=1, max_size=40),
    of=st.fixed_dictionaries(dict.fromkeys(("all", "tag", "key", "route", "backend"), amounts)),
)
def test_no_budget_is_ever_overspent_and_the_same_comes_of_it_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[Any], of: dict[str, Any]
) -> None:
    log = Log()
    for at, key, tags, target, size, output, failure in sorted(made, key=lambda one: float(one[0])):
        usage: dict[str, Any] = {"usage": Usage(size, output)}
        attempts = [log.answer(target, **usage)] if failure is None else [log.failure(target, failure)]
        log.request(at, attempts, key=key, tags=tags)
    named = {name: _said(one) for name, one in of.items()}
    more = f"budgets: {{all: {named['all']}, tags: {{t: {named['tag']}}}}}\n"
    more += keys(a=f"budgets: {named['key']}", b="tags: [u]")
    backends = BACKENDS.replace("cheap: {", f"cheap: {{budgets: {named['backend']}, ")
    route = f"  chat: {{targets: [cloud/large, cheap/small, near/m], budgets: {named['route']}}}"
    spent: Counter[tuple[Owned, float]] = Counter()
    most: dict[Owned, int] = {}

    def noted(accounts: Any, held: int, paid: int, at: float) -> Any:
        for account in accounts:
            spent[account.owned, period(account.owned.per, at)[0]] += paid
            most[account.owned] = account.amount
        return settle(accounts, held, paid, at)

    monkeypatch.setattr("proxy.simulate.money.settle", noted)
    found = through(log, tmp_path, route, more, backends)
    assert all(amount <= most[owned] for (owned, _), amount in spent.items()), spent
    tally = found.draft
    assert tally.served + tally.lost + tally.unpaid + tally.left == len(made)
    everything = sum(amount for (owned, _), amount in spent.items() if owned.scope is Scope.ALL)
    longest = len({owned.per for owned, _ in spent if owned.scope is Scope.ALL}) or 1
    assert everything <= longest * tally.cost * UNIT + UNIT
    assert through(Log(log.rows), tmp_path, route, more, backends) == found


@pytest.mark.slow
def test_budgets_and_limits_of_a_hundred_thousand_requests_take_less_than_twenty_seconds_too(tmp_path: Path) -> None:
    """Of one processor; here a tenth of them."""
    log = Log()
    for number in range(10_000):
        key, tags = f"key-{number % 50}", ("t",) if number % 3 else ()
        log.served(number * 0.3, usage=Usage(100 + number % 900, 10 + number % 300), key=key, tags=tags)
    path = log.write(tmp_path / "l.db")
    each = {f"key-{number}": "budgets: [0.3/hour, 1/request], limits: {rpm: 30, tpm: 100000}" for number in range(50)}
    backends = BACKENDS.replace("cloud: {", "cloud: {budgets: [20/day], limits: {rpm: 150}, ")
    more = f"budgets: {{all: [30/day], tags: {{t: [{{amount: 5, per: hour, on_exceeded: cheaper}}]}}}}\n{keys(**each)}"
    draft = config(
        "  chat: {targets: [cloud/large, cheap/small, near/a], budgets: [20/hour], limits: {rpm: 190}}",
        more=more,
        backends=backends,
    )

    def seconds() -> float:
        began = time.process_time()
        found = simulate(read(path), draft, zone=UTC)
        assert found.draft.requests == 10_000 and found.draft.unpaid > 0 and found.draft.served > 5000
        return time.process_time() - began

    assert any(seconds() < 2.0 for _ in range(3)), "what else the machine does only adds to it"
