"""What is put on record of a request besides its attempts: why it went where it went."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

from proxy.app.limiting import terms_of
from proxy.core.choice.choose import Choice
from proxy.core.choice.wish import Wish
from proxy.core.failure import Failure, FailureKind
from proxy.core.limiting.values import NONE, Limits, Rate
from proxy.core.money.budget import OnExceeded, Scope, Terms, budget_of
from proxy.core.outcome import Ended
from proxy.core.plan import Plan
from proxy.core.told import Note, Told
from proxy.engine.admission import Admission
from proxy.engine.limiter import Limiter
from proxy.engine.purses import Purses
from tests.engine.stage import Asked, Stage, answer, finish, until, word

Story = Callable[[Callable[[], None]], None]


def the_only(stage: Stage) -> Told:
    (told,) = stage.books.told
    return told


def planned(told: Told) -> list[str]:
    planned = told.planned.plan if isinstance(told.planned, Choice) else told.planned
    assert planned is not None
    return [target.backend for target in planned.targets]


def test_where_the_first_target_serves_its_attempt_says_it_all(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab")
        for stream in (True, False):
            stage.ask(stream=stream)
        stage.flights[0].stream(word("hello"), finish(), b"data: [DONE]\n\n")
        stage.flights[1].whole()
        assert len(stage.books.finishes) == 2
        assert stage.books.told == []

    on_loop(story)


def test_a_failover_is_told_with_its_plan(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab")
        stage.ask(stream=False)
        stage.flights[-1].fail(FailureKind.RESET)
        stage.flights[-1].whole()
        told = the_only(stage)
        assert planned(told) == ["a", "b"]
        assert (told.ended, told.status, told.attempts) == (Ended.SERVED, 200, 2)
        assert [one.planned for one in stage.books.outcomes] == [None, None]

    on_loop(story)


def test_a_target_that_is_out_of_order_is_told_with_its_time(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab", direct=True)
        stage.fails("a")
        stage.books.told.clear()
        stage.books.outcomes.clear()
        for _ in range(2):
            stage.ask(stream=False)
            stage.flights[-1].whole()
        assert stage.books.told == [], "its attempt knows its plan"
        plan, same = (one.planned for one in stage.books.outcomes)
        assert plan is same and isinstance(plan, Plan)
        (skipped,) = plan.skipped
        assert [target.backend for target in plan.targets] == ["b"] and skipped.target.backend == "a"

    on_loop(story)


def test_a_target_elsewhere_that_is_out_of_order_is_nothing_to_tell(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab", direct=True)
        stage.fails("c")
        stage.books.told.clear()
        stage.ask(stream=False)
        stage.flights[-1].whole()
        assert stage.books.told == [] and stage.books.outcomes[-1].planned is None

    on_loop(story)


def test_a_choice_is_told_with_strategy_rule_and_wish(on_loop: Story) -> None:
    def story() -> None:
        rules = [{"when": {"tag": "night"}, "use": "cheapest"}]
        stage = Stage("abc", strategy="least_busy", rules=rules)
        wish = Wish(tags=frozenset({"night"}), exclude=frozenset({"b"}), max_cost=Decimal(1))
        stage.ask(stream=False, wish=wish)
        stage.flights[-1].whole()
        told = the_only(stage)
        choice = told.planned
        assert isinstance(choice, Choice) and stage.books.outcomes[-1].planned is choice
        assert (choice.strategy, choice.rule, choice.use) == ("cheapest", 0, "cheapest")
        assert [(one.target.backend, one.reason) for one in choice.left_out] == [("b", "excluded")]
        assert told.wish == wish and told.tags == ("night",)
        (end,) = stage.books.finishes
        assert (end.strategy, end.rule) == ("cheapest", 1)

    on_loop(story)


def test_where_a_choice_left_all_in_order_a_failover_still_names_them(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage([{"target": "a/m", "capabilities": {"vision": False}}, "b"])
        stage.ask(stream=False, tools=[{"type": "function", "function": {"name": "f"}}], wish=Wish(context=1))
        stage.flights[-1].fail(FailureKind.RESET)
        stage.flights[-1].whole()
        told = the_only(stage)
        assert isinstance(told.planned, Plan) and planned(told) == ["a", "b"]

    on_loop(story)


def test_a_choice_alone_needs_no_more_than_its_attempt(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage([{"target": "a/m", "weight": 3}, "b"], strategy="weighted")
        for _ in range(2):
            stage.ask(stream=False, wish=Wish(agent="scout"))
            stage.flights[-1].whole()
        assert stage.books.told == []
        assert all(isinstance(one.planned, Choice) for one in stage.books.outcomes)

    on_loop(story)


def test_what_is_refused_before_any_attempt_is_told(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab")
        stage.ask(stream=False, wish=Wish(exclude=frozenset({"a", "b"})))
        told = the_only(stage)
        assert (told.ended, told.status, told.failure) == (Ended.FAILED, 400, FailureKind.UNSUPPORTED)
        assert told.attempts == 0 and isinstance(told.planned, Choice) and len(told.planned.left_out) == 2
        assert told.message == "", "each target's reason says it; such a message may hold words of the request"

    on_loop(story)


def limited(stage: Stage, limits: Limits = NONE, budget: str = "") -> Stage:
    """With limits of the caller's key, and a budget for all."""
    admission = stage.engine.admission = Admission()
    admission.limiter = limiter = Limiter(admission, lambda _: (limits, 1.0), stage.engine.closed)
    limiter.adopt(terms_of(stage.config))
    if budget:
        admission.purses = purses = Purses()
        purses.adopt(Terms({(Scope.ALL, ""): (budget_of(budget, OnExceeded.REFUSE),)}, True))
    return stage


def test_limits_and_budgets_are_told_as_they_stand_where_it_was_not_simply_served(on_loop: Story) -> None:
    def story() -> None:
        stage = limited(Stage("ab"), Limits((Rate("requests", 60, 60.0),), 4), "5/day")
        stage.ask(stream=False, max_tokens=1000)
        stage.flights[-1].whole()
        assert stage.books.told == [], "the usual case has no record"
        stage.ask(stream=False, max_tokens=1000)
        stage.flights[-1].fail(FailureKind.REFUSED)
        stage.flights[-1].whole()
        assert the_only(stage).notes == (
            Note("limit", "key ''", "1 of 4 requests at once, 2 of 60 requests a minute"),
            Note("budget", "all requests", "$0.000022 of $5 a day spent"),
        )

    on_loop(story)


def test_one_that_a_budget_refuses_says_which_target_it_was_not_let_to(on_loop: Story) -> None:
    def story() -> None:
        stage = limited(Stage("a"), budget="0.001/day")
        stage.ask(stream=False, max_tokens=1000)
        told = the_only(stage)
        assert (told.attempts, told.failure) == (0, FailureKind.BUDGET)
        passed, budget = told.notes
        assert passed[:2] == ("not asked", "a/m") and "budget of all requests is $0.001 a day" in passed.words
        assert budget == Note("budget", "all requests", "$0 of $0.001 a day spent")

    on_loop(story)


def test_a_target_without_a_place_is_told_as_not_asked(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage([{"target": "a/m", "concurrency": 1}, "b"])
        for _ in range(2):
            stage.ask(stream=False)
        stage.flights[-1].whole()
        told = the_only(stage)
        assert (planned(told), told.attempts) == (["a", "b"], 1)
        assert told.notes == (Note("not asked", "a/m", "our queue for this model is full"),)
        stage.flights[0].whole()

    on_loop(story)


def test_what_a_dialect_says_of_the_request_is_not_told(on_loop: Story) -> None:
    """It may quote it."""

    def story() -> None:
        stage = Stage("ab", unsupported="refuse")
        exchange = stage.ask(stream=False).exchange
        exchange._not_sent(1, Failure(FailureKind.UNSUPPORTED, "No target of this route supports 'my secret'."))
        assert exchange.notes == [Note("not asked", "a/m", "unsupported")]
        exchange.gone()

    on_loop(story)


def test_one_that_waited_its_turn_says_how_long() -> None:
    async def story() -> None:
        stage = limited(Stage("a", queue={"size": 3, "wait": 30}), Limits((), 1))
        first = stage.ask(stream=False)
        second = stage.ask(stream=False)
        assert len(stage.flights) == 1
        await asyncio.sleep(0.02)
        stage.flights[0].whole()
        await until(lambda: len(stage.flights) == 2)
        stage.flights[1].whole()
        assert (first.client.ends, second.client.ends) == (["whole"], ["whole"])
        told = the_only(stage)
        assert told.request_id == second.exchange.request_id and told.queued >= 0.02
        assert [one.queued >= 0.02 for one in stage.books.finishes] == [False, True]

    asyncio.run(story())


def test_one_that_is_not_let_in_is_told_with_our_words(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("a")

        class Shut:
            purses = None

            def admit(self, exchange: object) -> bool:
                one.append(exchange)
                return False

            def leave(self, exchange: object) -> None: ...

        one: list[object] = []
        stage.engine.admission = Shut()  # type: ignore[assignment]  # as much of it as is asked here
        asked = stage.ask(stream=False)
        failure = Failure(FailureKind.RATE_LIMITED, "60 of 60 requests a minute", retry_after=2.0, ours=True)
        asked.exchange.refuse(failure)
        told = the_only(stage)
        assert (told.planned, told.attempts, told.status) == (None, 0, 429)
        assert told.message == "60 of 60 requests a minute"
        assert one == [asked.exchange]

    on_loop(story)


def test_a_cut_and_a_client_that_leaves_are_told(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("a")
        stage.ask()
        stage.flights[-1].stream(word("half"))
        stage.flights[-1].fail(FailureKind.RESET)
        gone = stage.ask()
        gone.exchange.gone()
        cut, left = stage.books.told
        assert (cut.ended, cut.failure, cut.status) == (Ended.CUT, FailureKind.RESET, 200)
        assert (left.ended, left.status) == (Ended.CANCELLED, 499)

    on_loop(story)


def test_it_is_on_record_before_the_client_sees_the_end(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab")

        def ask() -> Asked:
            one = stage.ask(stream=False)
            end = one.client._end

            def seen(how: str) -> None:
                known.append(len(stage.books.told))
                end(how)

            one.client._end = seen  # type: ignore[method-assign]
            return one

        known: list[int] = []
        ask()
        stage.flights[-1].fail(FailureKind.RESET)
        stage.flights[-1].whole(answer())
        ask()
        stage.flights[-1].fail(FailureKind.RESET)
        stage.flights[-1].fail(FailureKind.RESET)
        assert known == [1, 2]

    on_loop(story)
