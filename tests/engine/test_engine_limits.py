"""A target that says of itself that it is about to refuse is passed over, as long as there is another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.core.call import Headers
from proxy.core.failure import FailureKind as K
from proxy.core.health import Standing, standing
from proxy.engine.roads import MAX_DIRECT
from tests.engine.stage import DONE, JSON, SSE, Stage, finish, refusal, word

OnLoop = Callable[[Callable[[], None]], None]
SPENT: Headers = [(b"x-ratelimit-remaining-requests", b"0"), (b"x-ratelimit-reset-requests", b"6m0s")]
TWO = {"a": {"api_keys": ["key-one", "key-two"]}}


def test_it_is_passed_over_until_the_reset_and_then_asked_again(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab")
        one = stage.ask(stream=False)
        stage.flights[0].whole(headers=[*JSON, *SPENT])
        assert one.client.ends == ["whole"]
        health = stage.engine.health["a/m"]
        assert health.cool_until - health.cooled_at == pytest.approx(360) and health.cause is K.RATE_LIMITED
        assert standing(health, health.cooled_at + 359) is Standing.SPENT
        for _ in range(2):
            stage.ask(stream=False)
            assert stage.flights[-1].at == "b"
            stage.flights[-1].whole()
        stage.engine.health["a/m"] = stage.engine.trouble["a/m"] = health._replace(cool_until=health.cooled_at)
        stage.engine.plans.clear()
        stage.ask(stream=False)
        assert stage.flights[-1].at == "a"
        stage.flights[-1].whole()
        assert not stage.engine.trouble

    on_loop(story)


def test_a_stream_says_it_with_its_head_and_not_only_at_its_end(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab")
        stage.ask()
        stage.flights[0].sink.on_head(200, [*SSE, *SPENT])
        stage.ask()
        assert stage.flights[1].at == "b"
        stage.flights[0].sink.on_data(word("Hello") + finish() + DONE)
        stage.ask()
        assert stage.flights[2].at == "b", "what was sent before says nothing about now"

    on_loop(story)


def test_where_there_is_no_other_it_is_asked_all_the_same(on_loop: OnLoop) -> None:
    """Most providers name the time when the whole of a limit is there again, and a part of it is there before."""

    def story() -> None:
        stage = Stage("a")
        stage.ask(stream=False)
        stage.flights[0].whole(headers=[*JSON, *SPENT])
        again = stage.ask(stream=False)
        stage.flights[1].whole()
        assert again.client.ends == ["whole"]
        assert not stage.engine.trouble, "its limit is not used up any more"

    on_loop(story)


def test_when_the_others_fail_it_is_the_last_hope(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("abc")
        stage.ask(stream=False)
        stage.flights[0].whole(headers=[*JSON, *SPENT])
        one = stage.ask(stream=False)
        for place, name in enumerate("bc", 1):
            assert stage.flights[place].at == name
            stage.flights[place].fail(K.REFUSED)
        assert stage.flights[3].at == "a"
        stage.flights[3].whole(refusal(429), 429, [(b"retry-after", b"9")])
        assert one.client.failure is not None and one.client.failure.kind is K.RATE_LIMITED
        health = stage.engine.health["a/m"]
        assert health.cool_until - health.cooled_at == pytest.approx(9), "now it has said itself how long"

    on_loop(story)


def test_a_refusals_own_time_counts_and_not_its_limits(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab")
        stage.ask(stream=False)
        stage.flights[0].whole(refusal(429), 429, [(b"retry-after", b"2"), *SPENT])
        health = stage.engine.health["a/m"]
        assert health.cool_until - health.cooled_at == pytest.approx(2) and not health.foretold

    on_loop(story)


def test_a_refusal_that_names_no_other_time_waits_for_the_limit(on_loop: OnLoop) -> None:
    def story() -> None:
        for headers in (SPENT, [(b"ratelimit", b'"burst";r=0;t=360')]):
            stage = Stage("ab")
            stage.ask(stream=False)
            stage.flights[0].whole(refusal(429), 429, headers)
            health = stage.engine.health["a/m"]
            assert health.cool_until - health.cooled_at == pytest.approx(360) and not health.foretold

    on_loop(story)


def test_of_several_keys_only_the_one_that_was_used_is_passed_over(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=TWO)
        stage.ask(stream=False)
        stage.flights[0].whole(headers=[*JSON, *SPENT])
        for _ in range(2):
            stage.ask(stream=False)
            assert (stage.flights[-1].at, stage.flights[-1].key) == ("a", "key-two")
            stage.flights[-1].whole()
        assert not stage.engine.trouble
        stage.ask(stream=False)
        stage.flights[-1].whole(headers=[*JSON, *SPENT])
        stage.ask(stream=False)
        assert stage.flights[-1].at == "b"
        stage.flights[-1].fail(K.REFUSED)
        assert (stage.flights[-1].at, stage.flights[-1].key) == ("a", "key-one"), "the one that is due first"

    on_loop(story)


def test_callers_who_name_targets_directly_cannot_fill_the_memory_by_it(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a", direct=True)
        for n in range(MAX_DIRECT + 20):
            stage.ask(f"b/made-up-{n}", stream=False)
            stage.flights.pop().whole(headers=[*JSON, *SPENT])
        assert len(stage.engine.health) <= MAX_DIRECT and len(stage.engine.trouble) <= MAX_DIRECT

    on_loop(story)


def test_limits_of_which_something_remains_change_nothing(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a")
        stage.ask(stream=False)
        plenty = [(b"x-ratelimit-remaining-requests", b"99"), (b"x-ratelimit-reset-requests", b"1s"), (b"age", b"0")]
        stage.flights[0].whole(headers=[*JSON, *plenty])
        assert not stage.engine.trouble

    on_loop(story)
