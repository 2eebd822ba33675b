"""Budgets, as requests meet them: what an attempt may cost is reserved before it is sent; too little is a refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from proxy.core.chat import Native
from proxy.core.choice.wish import Wish
from proxy.core.failure import FailureKind as K
from proxy.core.money.budget import UNIT, Budget, OnExceeded, Owned, Per, Scope, Terms, budget_of
from proxy.engine import purses as purses_
from proxy.engine.admission import Admission
from proxy.engine.fares import Passed
from proxy.engine.purses import Purses
from tests.engine.stage import Stage, refusal
from tests.upstream_answers import completion, dumps
from tests.upstream_steps import Tokens

Story = Callable[[Callable[[], None]], None]
FREE = {"input": 0, "output": 0}
LIMIT = 1000
"""Tokens; $0.002 at the usual target."""
NOON = 1_795_262_400.0
"""2026-11-21 12:00 UTC."""


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(purses_, "time", found)
    return found


class Money:
    """A stage with budgets."""

    def __init__(
        self,
        targets: Iterable[str | dict[str, Any]] = "a",
        budgets: Mapping[tuple[Scope, str], tuple[Budget, ...]] | None = None,
        *,
        ask: bool = True,
        key: Iterable[Budget] = (),
        **route: Any,
    ) -> None:
        self.stage = Stage(targets, **route)
        self.passed: list[Passed] = []
        self.purses = Purses(lambda _: key, self.passed.append)
        self.purses.adopt(Terms(budgets or {}, ask))
        self.stage.engine.admission = Admission(purses=self.purses)

    def ask(self, **more: Any) -> Any:
        return self.stage.ask(**{"stream": False, "max_tokens": LIMIT, **more})

    def stands(self, scope: Scope = Scope.ALL, name: str = "") -> tuple[float, float]:
        """Dollars spent and reserved."""
        (found,) = [one for one in self.purses.standings() if one.owned[:2] == (scope, name)]
        return found.spent / UNIT, found.reserved / UNIT


def for_all(text: str, then: OnExceeded = OnExceeded.REFUSE) -> dict[tuple[Scope, str], tuple[Budget, ...]]:
    return {(Scope.ALL, ""): (budget_of(text, then),)}


def costing(output: int) -> bytes:
    return dumps(completion("Hello", Tokens(0, output)))


@pytest.mark.usefixtures("clock")
def test_fifty_requests_at_once_with_room_for_ten_cost_at_most_ten(on_loop: Story) -> None:
    def story() -> None:
        money = Money("a", for_all("0.02/day"))
        asked = [money.ask() for _ in range(50)]
        assert len(money.stage.flights) == 10
        assert [one.client.failure.kind for one in asked[10:]] == [K.BUDGET] * 40
        assert money.stands() == (0.0, 0.02)
        for flight in money.stage.flights:
            flight.whole(costing(LIMIT))
        assert money.stands() == (0.02, 0.0)
        assert sum(one.cost or Decimal(0) for one in money.stage.books.outcomes) == Decimal("0.02")

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_what_was_not_needed_is_there_for_the_next(on_loop: Story) -> None:
    def story() -> None:
        money = Money("a", for_all("0.003/day"))
        money.ask()
        refused = money.ask()
        assert refused.client.failure.kind is K.BUDGET
        assert refused.client.retry_after == 1.0, "what is reserved comes back soon"
        money.stage.flights[0].whole(costing(100))
        assert money.stands() == (0.0002, 0.0)
        money.ask()
        assert len(money.stage.flights) == 2

    on_loop(story)


def test_who_has_nothing_left_is_told_what_of_what_and_until_when(on_loop: Story, clock: Clock) -> None:
    def story() -> None:
        money = Money("a", key=[budget_of("0.003/day")])
        money.ask()
        money.stage.flights[0].whole(costing(LIMIT))
        refused = money.ask().client
        assert refused.failure.message == (
            "The budget of key '' is $0.003 a day; $0.002 of it is spent until 2026-11-22 00:00 UTC, "
            "and this request may cost $0.002 at a/m."
        )
        assert refused.retry_after == 12 * 3600
        clock.now += 12 * 3600
        assert money.ask().client.failure is None

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_a_client_that_leaves_gives_back_what_was_reserved(on_loop: Story) -> None:
    def story() -> None:
        money = Money("a", for_all("0.003/day"))
        money.stage.net.dialing = True
        one = money.ask()
        assert money.stands() == (0.0, 0.002)
        one.exchange.gone()
        assert money.stands() == (0.0, 0.0)

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_an_attempt_that_may_be_charged_for_though_nobody_says_how_much_costs_what_was_reserved(on_loop: Story) -> None:
    def story() -> None:
        money = Money("ab", for_all("1/day"))
        money.ask()
        money.stage.flights[0].fail(K.RESET)
        assert money.stands() == (0.002, 0.002), "spent at a, reserved at b"
        money.stage.flights[1].whole(refusal(500), 500)
        assert money.stands() == (0.002, 0.0), "an error costs nothing"

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_refuse_ends_it_though_a_cheaper_target_would_do(on_loop: Story) -> None:
    def story() -> None:
        money = Money(["a", {"target": "b/m", "price": {"input": 0.1, "output": 0.1}}], for_all("0.001/day"))
        assert money.ask().client.failure.kind is K.BUDGET
        assert not money.stage.flights

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_cheaper_goes_to_the_targets_for_which_enough_is_left(on_loop: Story) -> None:
    def story() -> None:
        cheap = {"target": "b/m", "price": {"input": 0.1, "output": 0.1}}
        money = Money(["a", cheap], for_all("0.001/day", OnExceeded.CHEAPER))
        money.ask()
        assert [flight.at for flight in money.stage.flights] == ["b"]
        assert money.stands() == (0.0, 0.0001)

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_local_goes_to_this_machine_and_nowhere_else(on_loop: Story) -> None:
    def story() -> None:
        near = {"base_url": "http://127.0.0.1:9/v1", "price": FREE}
        then = OnExceeded.LOCAL
        money = Money(["a", {"target": "b/m", "price": FREE}, "c"], for_all("0.001/day", then), backends={"c": near})
        money.ask()
        assert [flight.origin.host for flight in money.stage.flights] == ["127.0.0.1"]

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_what_is_free_needs_no_money(on_loop: Story) -> None:
    def story() -> None:
        money = Money([{"target": "a/m", "price": FREE}], for_all("0/total"))
        money.ask()
        money.stage.flights[0].whole()
        assert money.stage.books.finishes[0].status == 200

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_a_backends_budget_leaves_other_backends_alone(on_loop: Story) -> None:
    def story() -> None:
        money = Money("ab", {(Scope.BACKEND, "a"): (budget_of("0.001/day"),)})
        money.ask()
        assert [flight.at for flight in money.stage.flights] == ["b"]

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_a_request_without_an_end_is_asked_for_max_tokens(on_loop: Story) -> None:
    def story() -> None:
        money = Money("a", for_all("0.001/day"))
        failure = money.ask(max_tokens=None).client.failure
        assert (failure.kind, failure.param, failure.verdict.status) == (K.UNBOUNDED, "max_tokens", 400)
        assert failure.message == (
            "The budget of all requests is $0.001 a day, and $0.001 is left; what an answer of a/m costs has no bound "
            "without 'max_tokens': name it, with at most 500."
        )
        money.ask(max_tokens=500)
        assert len(money.stage.flights) == 1
        other = money.ask(max_tokens=None, native=Native("responses", {})).client.failure
        assert (other.kind, other.param) == (K.BUDGET, None), "all of it is reserved"
        money.stage.flights[0].whole(costing(100))
        assert money.ask(max_tokens=None, native=Native("responses", {})).client.failure.param == "max_output_tokens"

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_where_the_operator_allows_it_a_usual_answer_is_reserved_for_one_without_an_end(on_loop: Story) -> None:
    def story() -> None:
        money = Money("a", for_all("1/day"), ask=False)
        money.ask(max_tokens=None)
        assert money.stands() == (0.0, 4096 * 2e-6)

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_a_target_without_a_price_is_no_place_for_money_that_is_counted(on_loop: Story) -> None:
    def story() -> None:
        money = Money([{"target": "a/m"}], for_all("1/day"), backends={"a": {"price": {"input": 1, "output": 1}}})
        lane = money.stage.roads.by_name["chat"].lanes["a/m"]
        object.__setattr__(lane.target, "price", None)
        failure = money.ask().client.failure
        assert (failure.kind, failure.code) == (K.UNBOUNDED, "price_unknown")
        money.purses.adopt(Terms(for_all("1/day"), ask=False))
        assert money.ask().client.failure is None

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_a_request_by_itself_has_a_bound_over_all_its_attempts(on_loop: Story) -> None:
    def story() -> None:
        money = Money("ab", {(Scope.ROUTE, "chat"): (budget_of("0.003/request"),)})
        one = money.ask()
        money.stage.flights[0].fail(K.RESET)
        assert one.client.failure.kind is K.RESET, "an outage is told before too little money"
        assert len(money.stage.flights) == 1
        money.ask()
        assert len(money.stage.flights) == 2, "the next one has its own"

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_tags_of_the_key_and_of_the_caller_have_their_budgets(on_loop: Story) -> None:
    def story() -> None:
        budgets = {(Scope.TAG, "team"): (budget_of("1/day"),), (Scope.TAG, "night"): (budget_of("0.002/month"),)}
        money = Money("a", budgets)
        money.stage.engine.key_tags = {"": ("team",)}
        money.ask()
        money.ask(wish=Wish(tags=frozenset({"night", "other"})))
        assert money.stands(Scope.TAG, "team") == (0.0, 0.004)
        assert money.stands(Scope.TAG, "night") == (0.0, 0.002)

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_each_threshold_is_told_once(on_loop: Story) -> None:
    def story() -> None:
        money = Money("a", for_all("0.010/day"))
        for _ in range(5):
            money.ask()
            money.stage.flights[-1].whole(costing(LIMIT))
        assert [(one.percent, one.stands.owned) for one in money.passed] == [
            (percent, Owned(Scope.ALL, "", Per.DAY)) for percent in (50, 80, 100)
        ]

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_what_the_record_says_was_spent_counts_from_the_start(on_loop: Story) -> None:
    def story() -> None:
        money = Money("a", for_all("0.003/day"))
        money.purses.were_spent({Owned(Scope.ALL, "", Per.DAY): UNIT // 500}, NOON - 3600)
        assert money.ask().client.failure.kind is K.BUDGET
        assert money.stands() == (0.002, 0.0)

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_another_amount_comes_into_force_with_what_was_spent(on_loop: Story) -> None:
    def story() -> None:
        money = Money("a", for_all("0.002/day"))
        money.ask()
        assert money.ask().client.failure is not None
        money.purses.adopt(Terms(for_all("0.004/day")))
        assert money.ask().client.failure is None
        assert money.stands() == (0.0, 0.004)
        money.purses.adopt(Terms({}))
        assert money.purses.standings() == []

    on_loop(story)


@pytest.mark.usefixtures("clock")
def test_nothing_is_held_for_a_request_that_is_over(on_loop: Story) -> None:
    def story() -> None:
        money = Money("a", for_all("1/day"))
        money.ask()
        money.ask().exchange.gone()
        money.stage.flights[0].whole()
        assert money.stands()[1] == 0

    on_loop(story)
