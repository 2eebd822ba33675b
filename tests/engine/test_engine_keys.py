"""A backend with several keys: used in turn, each resting by itself, and none takes another along."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from proxy.app.build import Builder
from proxy.core.failure import FailureKind as K
from proxy.core.health import Standing, standing
from proxy.core.outcome import Ended
from tests.engine.stage import DONE, Flight, Stage, finish, refusal, until, word
from tests.upstream_answers import sse

OnLoop = Callable[[Callable[[], None]], None]
THREE = {"a": {"api_keys": ["key-one", "key-two", "key-three"]}}
TWO = {"a": {"api_keys": ["key-one", "key-two"]}}


def refused(flight: Flight, status: int = 429, *headers: tuple[bytes, bytes]) -> None:
    """Answers with an error."""
    flight.whole(refusal(status), status, list(headers))


def served(stage: Stage, count: int = 1) -> list[str]:
    """So many requests, all answered at once: the keys that they were sent with."""
    keys = []
    for _ in range(count):
        one = stage.ask(stream=False)
        keys.append(stage.flights[-1].key)
        stage.flights[-1].whole()
        assert one.client.ends == ["whole"]
    return keys


def age(stage: Stage, seconds: float) -> None:
    """As if so many seconds had passed for the keys and targets."""
    ring = stage.roads.by_name["chat"].lanes["a/m"].ring
    assert ring is not None
    for key in ring.keys:
        key.health = key.health._replace(cool_until=key.health.cool_until - seconds)
    for name, health in list(stage.engine.trouble.items()):
        stage.engine.health[name] = stage.engine.trouble[name] = health._replace(cool_until=health.cool_until - seconds)
    stage.engine.plans.clear()


def test_keys_are_used_in_turn(on_loop: OnLoop) -> None:
    def story() -> None:
        assert served(Stage("a", backends=THREE), 5) == ["key-one", "key-two", "key-three", "key-one", "key-two"]

    on_loop(story)


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_a_key_that_fails_rests_and_the_next_one_is_tried_at_the_same_target_at_once(
    on_loop: OnLoop, status: int
) -> None:
    def story() -> None:
        stage = Stage("ab", backends=THREE, max_attempts=1)
        one = stage.ask(stream=False)
        refused(stage.flights[0], status)
        assert [(f.at, f.key) for f in stage.flights] == [("a", "key-one"), ("a", "key-two")]
        stage.flights[1].whole()
        assert one.client.ends == ["whole"]
        assert one.client.won is not None and one.client.won.attempts == 2
        assert [(o.attempt, o.target, o.ended) for o in stage.books.outcomes] == [
            (1, "a/m", Ended.FAILED),
            (2, "a/m", Ended.SERVED),
        ]
        assert "a/m" not in stage.engine.trouble, "the target is well"
        assert served(stage, 4) == ["key-three", "key-two", "key-three", "key-two"]

    on_loop(story)


def test_other_failures_are_the_targets_and_no_other_key_is_tried(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=THREE)
        for status in (500, 404, 503):
            stage.ask(stream=False)
            refused(stage.flights[-1], status)
            assert stage.flights[-1].at == "b"
            stage.flights[-1].whole()
            stage.engine.forget(["a/m"])

    on_loop(story)


def test_when_every_key_rests_the_target_does_until_the_first_is_due(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=TWO)
        one = stage.ask(stream=False)
        refused(stage.flights[0], 429, (b"retry-after", b"30"))
        refused(stage.flights[1], 429, (b"retry-after", b"20"))
        assert stage.flights[2].at == "b"
        stage.flights[2].whole()
        assert one.client.ends == ["whole"]
        health = stage.engine.trouble["a/m"]
        assert health.cause is K.RATE_LIMITED and 19 < health.cool_until - health.cooled_at <= 20
        stage.ask(stream=False)
        assert stage.flights[-1].at == "b"
        stage.flights[-1].whole()
        age(stage, 21)
        assert served(stage, 2) == ["key-two", "key-two"]
        age(stage, 10)
        assert sorted(served(stage, 2)) == ["key-one", "key-two"]
        assert "a/m" not in stage.engine.trouble

    on_loop(story)


def test_a_caller_is_told_the_shortest_time_that_any_key_takes(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a", backends=TWO)
        one = stage.ask(stream=False)
        refused(stage.flights[0], 429, (b"retry-after", b"7"))
        refused(stage.flights[1], 429, (b"retry-after", b"30"))
        again = stage.ask(stream=False)
        assert len(stage.flights) == 2
        for each in (one, again):
            assert each.client.failure is not None and each.client.failure.kind is K.RATE_LIMITED
            assert each.client.retry_after is not None and 6 < each.client.retry_after <= 7

    on_loop(story)


def test_the_other_targets_of_the_backend_rest_too(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage(["a", "b", {"target": "a/other"}], backends=TWO, direct=True)
        stage.ask(stream=False)
        refused(stage.flights[0])
        refused(stage.flights[1])
        assert stage.flights[2].at == "b"
        stage.flights[2].fail(K.REFUSED)
        assert len(stage.flights) == 3, "it would be with the same keys"
        assert {"a/m", "a/other"} <= set(stage.engine.trouble)
        one = stage.ask("a/named-by-a-caller", stream=False)
        assert len(stage.flights) == 3
        assert one.client.failure is not None and one.client.failure.kind is K.RATE_LIMITED

    on_loop(story)


def test_callers_who_name_targets_directly_cannot_fill_the_memory_while_all_keys_rest(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a", backends=TWO, direct=True)
        stage.ask(stream=False)
        refused(stage.flights[0])
        refused(stage.flights[1])
        for n in range(50):
            assert stage.ask(f"a/made-up-{n}", stream=False).client.ends == ["refused"]
        assert set(stage.engine.health) == {"a/m"}

    on_loop(story)


def test_keys_that_are_all_refused_are_tried_when_nothing_else_is_left(on_loop: OnLoop) -> None:
    """As a target with a wrong key is: somebody may have mended it."""

    def story() -> None:
        stage = Stage("a", backends=TWO)
        one = stage.ask(stream=False)
        refused(stage.flights[0], 401)
        refused(stage.flights[1], 401)
        assert one.client.failure is not None and one.client.failure.kind is K.KEY_REFUSED
        mended = stage.ask(stream=False)
        stage.flights[2].whole()
        assert mended.client.ends == ["whole"]
        assert served(stage, 2) == [stage.flights[2].key] * 2, "the other one still rests"

    on_loop(story)


def test_a_key_that_turns_out_to_be_good_again_is_good_for_all_targets(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage(["a", {"target": "a/other"}], backends=TWO)
        stage.ask(stream=False)
        refused(stage.flights[0], 401)
        refused(stage.flights[1], 401)
        assert set(stage.engine.trouble) == {"a/m", "a/other"}
        stage.ask(stream=False)
        stage.flights[-1].whole()
        assert not stage.engine.trouble

    on_loop(story)


def test_a_key_that_may_be_used_again_at_once_is_not_tried_again_by_the_same_request(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage(["a", {"target": "a/other"}, "b"], backends=TWO)
        stage.ask(stream=False)
        refused(stage.flights[0], 429, (b"retry-after", b"0"))
        refused(stage.flights[1], 429, (b"retry-after", b"0"))
        assert [(f.at, f.asked["model"]) for f in stage.flights] == [("a", "m"), ("a", "m"), ("b", "m")]
        assert served(stage) == ["key-one"], "the next request does"

    on_loop(story)


def test_waiting_at_the_same_target_comes_after_its_other_keys() -> None:
    async def story() -> None:
        stage = Stage("ab", backends=TWO, retry={"same_target": 1, "patience": 5})
        one = stage.ask(stream=False)
        refused(stage.flights[0], 429, (b"retry-after-ms", b"40"))
        refused(stage.flights[1], 429, (b"retry-after", b"4"))
        assert len(stage.flights) == 2
        await until(lambda: len(stage.flights) == 3)
        assert (stage.flights[2].at, stage.flights[2].key) == ("a", "key-one"), "the one that is due first"
        stage.flights[2].whole()
        assert one.client.ends == ["whole"]

    asyncio.run(story())


def test_a_hedge_does_not_keep_the_first_target_from_its_other_keys(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=TWO, hedge={"after": 1, "budget": 1})
        one = stage.ask()
        one.pass_time(1.1)
        assert [f.at for f in stage.flights] == ["a", "b"]
        refused(stage.flights[0])
        assert [(f.at, f.key) for f in stage.flights[2:]] == [("a", "key-two")]
        stage.flights[2].stream(word("Hello"), finish(), DONE)
        assert one.client.ends == ["closed"] and stage.flights[1].aborted
        assert sorted(o.ended.value for o in stage.books.outcomes) == ["cancelled", "failed", "served"]

    on_loop(story)


def test_a_continuation_tries_the_other_keys_too(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ba", backends={"a": {**TWO["a"], "prefill": True}}, on_cut="continue")
        one = stage.ask()
        stage.flights[0].stream(word("Hello"))
        stage.flights[0].fail(K.RESET)
        assert (stage.flights[1].at, stage.flights[1].asked["messages"][-1]["content"]) == ("a", "Hello")
        refused(stage.flights[1])
        assert (stage.flights[2].at, stage.flights[2].key) == ("a", "key-two")
        assert stage.flights[2].asked == stage.flights[1].asked
        stage.flights[2].stream(word(" you"), finish(), DONE)
        assert one.client.ends == ["closed"]
        assert b"Hello" in one.client.body and b" you" in one.client.body

    on_loop(story)


def test_a_key_that_fails_in_the_middle_of_a_stream_rests_too(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a", backends=TWO)
        one = stage.ask()
        said = {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}
        stage.flights[0].stream(word("Hello"), sse(said))
        assert one.client.ends == ["broken"]
        assert served(stage, 2) == ["key-two", "key-two"]

    on_loop(story)


def test_a_new_configuration_goes_on_with_what_is_known_of_the_keys_that_it_still_has(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a", backends=THREE)
        stage.ask(stream=False)
        refused(stage.flights[0])
        stage.flights[1].whole()
        fewer: Any = Stage("a", backends={"a": {"api_keys": ["key-three", "key-one", "key-new"]}})
        stage.roads = Builder(fewer.config, {}, stage.gates, rings=stage.rings).roads()
        assert served(stage, 4) == ["key-three", "key-new", "key-three", "key-new"]

    on_loop(story)


def test_of_a_key_only_four_digits_of_its_digest_are_told(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a", backends=TWO)
        told: list[tuple[str, str, float]] = []
        stage.engine.on_key = lambda backend, key, seconds: told.append((backend, key.fingerprint, seconds))
        stage.ask(stream=False)
        refused(stage.flights[0], 401)
        refused(stage.flights[1], 429, (b"retry-after", b"9"))
        digests = [hashlib.sha256(key).hexdigest()[:4] for key in (b"key-one", b"key-two")]
        assert [one[:2] for one in told] == [("a", digest) for digest in digests]
        assert [one[2] for one in told] == pytest.approx([300.0, 9.0])
        lane = stage.roads.by_name["chat"].lanes["a/m"]
        assert "key-one" not in repr(lane)

    on_loop(story)


def test_unset_variables_among_the_keys_are_passed_over(on_loop: OnLoop) -> None:
    def story() -> None:
        given = {"a": {"api_keys": ["${ONE}", "${TWO}", "${THREE}"]}}
        assert served(Stage("a", backends=given, environ={"ONE": "k-1", "THREE": "k-3"}), 3) == ["k-1", "k-3", "k-1"]
        single = Stage("a", backends=given, environ={"TWO": "k-2"})
        assert served(single, 2) == ["k-2", "k-2"]
        assert single.roads.by_name["chat"].lanes["a/m"].ring is None, "one key is no ring"
        none = Stage("ab", backends=given)
        assert set(none.roads.by_name["chat"].lanes) == {"b/m"}
        assert none.config.backends["a"].missing == ("ONE", "TWO", "THREE")

    on_loop(story)


def test_a_half_open_target_is_probed_with_another_key_when_the_first_one_fails(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=TWO)
        for _ in range(5):
            stage.ask(stream=False)
            stage.flights[-1].fail(K.RESET)
            stage.flights[-1].whole()
        state = stage.engine.health["a/m"]
        assert standing(state, state.opened_at) is Standing.OPEN
        stage.engine.health["a/m"] = stage.engine.trouble["a/m"] = state._replace(open_until=0.0)
        stage.engine.plans.clear()
        stage.ask(stream=False)
        refused(stage.flights[-1])
        assert stage.flights[-1].at == "a"
        stage.flights[-1].whole()
        assert "a/m" not in stage.engine.trouble

    on_loop(story)
