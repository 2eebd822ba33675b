"""Whose a request is stands on record with each of its attempts: the caller's key, its agent, its tags."""

from __future__ import annotations

from collections.abc import Callable

from proxy.core.choice.wish import Wish
from proxy.core.failure import FailureKind
from tests.engine.stage import Stage

Story = Callable[[Callable[[], None]], None]


def test_agent_and_tags_are_with_each_attempt_and_at_the_end(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab")
        stage.ask(stream=False, wish=Wish(agent="scout", tags=frozenset({"b", "a"})))
        stage.flights[-1].fail(FailureKind.RESET)
        stage.flights[-1].whole()
        assert [(one.agent, one.tags) for one in stage.books.outcomes] == [("scout", ("a", "b"))] * 2
        (finish,) = stage.books.finishes
        assert (finish.agent, finish.tags) == ("scout", ("a", "b"))

    on_loop(story)


def test_the_tags_of_the_callers_key_count_with_its_own(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("a")
        stage.engine.key_tags = {"": ("team", "b")}
        stage.ask(stream=False)
        stage.ask(stream=False, wish=Wish(tags=frozenset({"b", "a"})))
        for flight in stage.flights:
            flight.whole()
        assert [one.tags for one in stage.books.outcomes] == [("team", "b"), ("a", "b", "team")]

    on_loop(story)


def test_saying_only_whose_it_is_changes_nothing_about_where_it_goes(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab")
        one = stage.ask(stream=False, wish=Wish(agent="scout"))
        assert one.exchange.choice is None
        assert [flight.at for flight in stage.flights] == ["a"]

    on_loop(story)
