"""Budgets and what callers' keys may do, as the file says them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from proxy.config.load import load
from proxy.config.problem import Problems
from proxy.config.values import Config
from proxy.core.key import Key
from proxy.core.money.budget import OnExceeded, Scope, Terms, budget_of

START = """
backends: {a: {type: openai, base_url: "http://a.test/v1", budgets: [200/month]}}
routes: {chat: {targets: [a/m], budgets: [10/day, 0.5/request]}, other: {targets: [a/m]}}
"""
KEY = 'key: "0123456789"'


def read(text: str, *, keys: bool = False) -> Config | Problems:
    return load(START + text, {}, "routes.yaml", lambda _: "x", lambda _: keys)


def good(text: str) -> Config:
    found = read(text)
    assert isinstance(found, Config), str(found)
    return found


def told(text: str) -> str:
    found = read(text)
    assert isinstance(found, Problems)
    return str(found)


def test_budgets_stand_at_what_they_are_for() -> None:
    config = good("budgets: {all: [{amount: 500, per: month, on_exceeded: cheaper}], tags: {x y: [1/total]}}")
    assert config.budgets == Terms(
        {
            (Scope.ALL, ""): (budget_of("500/month", OnExceeded.CHEAPER),),
            (Scope.ROUTE, "chat"): (budget_of("10/day"), budget_of("0.5/request")),
            (Scope.BACKEND, "a"): (budget_of("200/month"),),
            (Scope.TAG, "x y"): (budget_of("1/total"),),
        }
    )
    assert not good("budgets: {unbounded: allow}").budgets.ask


def test_a_key_says_what_it_may_do() -> None:
    more = "routes: [chat], tags: [b, a], owner: Alice, expires: 2030-01-01, budgets: [5/day], weight: 2"
    (key,) = good(f"keys: [{{name: alice, {KEY}, {more}}}]").keys
    assert key.key == Key("alice", frozenset({"chat"}), ("a", "b"), "Alice", (budget_of("5/day"),), weight=2.0)
    assert key.expires == datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    (at,) = good(f'keys: [{{name: alice, {KEY}, expires: "2030-01-01T12:00+02:00"}}]').keys
    assert at.expires == datetime(2030, 1, 1, 10, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ledger: false", "what was spent is read from the ledger: needs one"),
        ("budgets: {all: [5/day, {amount: 1, per: day}]}", "budgets.all[1]: the second budget for the same time (day)"),
        ("budgets: {all: [5/week]}", 'budgets.all[0]: found "5/week", expected US dollars for a time, like 5/day'),
        ("budgets: {all: [{amount: 1}]}", "is missing"),
        (
            f"keys: [{{name: a, {KEY}, routes: [chta]}}]",
            'unknown route "chta", expected chat or other; did you mean "chat"?',
        ),
        (f"keys: [{{name: a, {KEY}, expires: tomorrow}}]", "expected a day like 2026-12-31"),
        (f"keys: [{{name: a, {KEY}, expires: 2026-13-01}}]", "expected a day like 2026-12-31"),
    ],
)
def test_a_mistake_is_told_with_what_was_expected(text: str, message: str) -> None:
    assert message in told(text)


def test_a_key_may_be_for_a_target_where_requests_may_name_one() -> None:
    assert good(f"direct: true\nkeys: [{{name: a, {KEY}, routes: [a/m]}}]").keys[0].routes == frozenset({"a/m"})
    assert "unknown route" in told(f"keys: [{{name: a, {KEY}, routes: [a/m]}}]")


def test_a_key_in_the_database_is_enough_for_other_machines_to_be_let_in() -> None:
    listen = "listen: {host: 0.0.0.0}\n"
    assert isinstance(read(listen, keys=True), Config)
    for nowhere in (listen, listen + "state: false\n"):
        assert "`wayline keys add me`" in told(nowhere)
    assert isinstance(read(listen + "keys: []\n"), Problems)
