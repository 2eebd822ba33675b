"""What a target cannot express: another one is asked, it is left out, or refused, as the route says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from proxy.core.failure import FailureKind as K
from proxy.core.outcome import Ended
from tests.engine.dialects import install
from tests.engine.stage import DONE, Asked, Stage, finish, refusal, until, word

OnLoop = Callable[[Callable[[], None]], None]
UNABLE = {"a": {"type": "ollama"}}
BOTH_UNABLE = {**UNABLE, "b": {"type": "ollama"}}
NONE = {n: {"type": "ollama"} for n in "abc"}
POLICIES = ["next", "drop", "refuse"]


@pytest.fixture(autouse=True)
def dialects(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def ask(stage: Stage, *, stream: bool = False, **more: Any) -> Asked:
    return stage.ask(stream=stream, **(more or {"seed": 7}))


def dropped(one: Asked) -> tuple[str, ...]:
    assert one.client.won is not None
    return one.client.won.dropped


@pytest.mark.parametrize("policy", POLICIES)
def test_where_the_target_can_express_all_no_policy_changes_anything(on_loop: OnLoop, policy: str) -> None:
    def story() -> None:
        stage = Stage("ab", backends=UNABLE, unsupported=policy)
        one = ask(stage, temperature=0.5)
        assert [f.at for f in stage.flights] == ["a"]
        stage.flights[0].whole()
        assert dropped(one) == ()

    on_loop(story)


def test_next_asks_those_that_can_first_and_keeps_the_order_of_both_kinds(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("acb", backends=BOTH_UNABLE)
        one = ask(stage)
        for flight in range(3):
            stage.flights[flight].fail(K.RESET)
        assert [f.at for f in stage.flights] == ["c", "a", "b"]
        assert stage.flights[0].asked["seed"] == 7
        assert "seed" not in stage.flights[1].asked
        assert one.client.failure is not None and one.client.failure.kind is K.RESET
        assert [o.attempt for o in stage.books.outcomes] == [1, 2, 3]

    on_loop(story)


def test_next_leaves_out_and_names_what_nobody_can_express(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=BOTH_UNABLE)
        one = ask(stage, seed=7, logit_bias={"1": 2}, temperature=0.5)
        assert stage.flights[0].at == "a"
        assert {"seed", "logit_bias"}.isdisjoint(stage.flights[0].asked)
        stage.flights[0].whole()
        assert dropped(one) == ("logit_bias", "seed")

    on_loop(story)


def test_next_is_not_held_up_by_one_that_is_out_of_order(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=UNABLE, direct=True)
        stage.fails("b")
        one = ask(stage)
        assert stage.flights[-1].at == "a"
        stage.flights[-1].whole()
        assert dropped(one) == ("seed",)

    on_loop(story)


def test_next_holds_within_max_attempts_and_for_embeddings_too(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=UNABLE, max_attempts=1)
        ask(stage)
        assert stage.flights[0].at == "b"
        stage.ask(embed=True, seed=7)
        assert stage.flights[1].at == "b"
        stage.flights[1].fail(K.RESET)
        assert len(stage.flights) == 2

    on_loop(story)


def test_drop_asks_in_the_order_of_the_route(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=UNABLE, unsupported="drop")
        one = ask(stage, stream=True)
        assert stage.flights[0].at == "a" and "seed" not in stage.flights[0].asked
        stage.flights[0].stream(word("Hello"), finish(), DONE)
        assert one.client.ends == ["closed"]
        assert dropped(one) == ("seed",)

    on_loop(story)


def test_what_was_dropped_is_named_for_the_attempt_that_answers(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=UNABLE, unsupported="drop")
        one = ask(stage)
        stage.flights[0].fail(K.RESET)
        assert stage.flights[1].asked["seed"] == 7
        stage.flights[1].whole()
        assert dropped(one) == ()

    on_loop(story)


def test_what_the_operator_wants_dropped_is_no_reason_to_go_elsewhere(on_loop: OnLoop) -> None:
    def story() -> None:
        for policy in POLICIES:
            stage = Stage([{"target": "a/m", "drop": ["seed"]}, "b"], backends=UNABLE, unsupported=policy)
            one = ask(stage)
            assert [f.at for f in stage.flights] == ["a"]
            stage.flights[0].whole()
            assert dropped(one) == ("seed",)

    on_loop(story)


def test_refuse_asks_only_those_that_can(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("acb", backends=BOTH_UNABLE, unsupported="refuse")
        one = ask(stage)
        assert [f.at for f in stage.flights] == ["c"]
        stage.flights[0].fail(K.RESET)
        assert len(stage.flights) == 1
        assert one.client.failure is not None and one.client.failure.kind is K.RESET, "no fault of the caller's"
        assert [o.attempt for o in stage.books.outcomes] == [1]
        assert stage.books.finishes[0].attempts == 1

    on_loop(story)


def test_refuse_names_the_parameter_where_nobody_can(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=BOTH_UNABLE, unsupported="refuse")
        one = ask(stage, seed=7, logit_bias={"1": 2})
        failure = one.client.failure
        assert not stage.flights and failure is not None
        assert failure.kind is K.UNSUPPORTED and failure.verdict.status == 400
        assert failure.param == "logit_bias" and "'logit_bias', 'seed'" in failure.message
        assert not stage.books.outcomes and stage.books.finishes[0].attempts == 0
        assert not stage.engine.trouble and not stage.busy()

    on_loop(story)


def test_refuse_tells_of_the_outage_of_those_that_can(on_loop: OnLoop) -> None:
    """A caller that is told of a fault of its own does not come back."""

    def story() -> None:
        stage = Stage("ab", backends=UNABLE, unsupported="refuse")
        ask(stage)
        assert stage.flights[0].at == "b"
        stage.flights[0].whole(refusal(429), 429, [(b"retry-after", b"20")])
        one = ask(stage)
        assert len(stage.flights) == 1
        assert one.client.failure is not None and one.client.failure.kind is K.RATE_LIMITED
        assert one.client.retry_after is not None and 19 < one.client.retry_after <= 20

    on_loop(story)


def test_the_outage_may_be_an_open_circuit(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=UNABLE, unsupported="refuse", direct=True)
        stage.fails("b")
        sent = len(stage.flights)
        one = ask(stage)
        assert len(stage.flights) == sent
        assert one.client.failure is not None and one.client.failure.kind is K.REFUSED

    on_loop(story)


def test_a_target_that_cannot_be_asked_at_all_costs_nothing(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends={"a": {"type": "llama-server"}}, max_attempts=1)
        one = ask(stage)
        assert [f.at for f in stage.flights] == ["b"]
        stage.flights[0].whole()
        assert one.client.won is not None and one.client.won.attempts == 1
        alone = Stage("a", backends={"a": {"type": "llama-server"}})
        two = ask(alone)
        assert two.client.failure is not None and two.client.failure.message == "This backend has no chat."

    on_loop(story)


def test_it_is_not_taken_for_one_that_can(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("acb", backends={**UNABLE, "c": {"type": "llama-server"}})
        ask(stage)
        assert [f.at for f in stage.flights] == ["b"]

    on_loop(story)


def test_an_outage_is_told_before_what_could_not_be_asked(on_loop: OnLoop) -> None:
    def story() -> None:
        for order in ("ab", "ba"):
            stage = Stage(order, backends={"a": {"type": "llama-server"}})
            one = ask(stage)
            stage.flights[0].fail(K.REFUSED)
            assert one.client.failure is not None and one.client.failure.kind is K.REFUSED

    on_loop(story)


HEDGE = {"after": 1, "budget": 1, "max": 2}


def test_a_hedge_races_for_the_same_answer_and_not_for_less(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ba", backends=UNABLE, hedge=HEDGE)
        one = ask(stage, stream=True, seed=7)
        one.pass_time(2)
        assert [f.at for f in stage.flights] == ["b"], "the other one could win with less than was asked for"
        stage.flights[0].fail(K.RESET)
        assert [f.at for f in stage.flights] == ["b", "a"], "but it is better than none"
        stage.flights[1].stream(word("Hello"), finish(), DONE)
        assert one.client.ends == ["closed"] and dropped(one) == ("seed",)

    on_loop(story)


def test_a_hedge_goes_to_the_next_that_can(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("bac", backends=UNABLE, hedge=HEDGE)
        one = ask(stage, stream=True, seed=7)
        one.pass_time(1.5)
        assert [f.at for f in stage.flights] == ["b", "c"]
        for flight in stage.flights[:2]:
            flight.fail(K.RESET)
        assert [f.at for f in stage.flights] == ["b", "c", "a"]

    on_loop(story)


def test_among_those_that_all_lack_it_a_hedge_is_as_ever(on_loop: OnLoop) -> None:
    def story() -> None:
        for policy in ("next", "drop"):
            stage = Stage("ab", backends=BOTH_UNABLE, unsupported=policy, hedge=HEDGE)
            one = ask(stage, stream=True, seed=7)
            one.pass_time(1.5)
            assert [f.at for f in stage.flights] == ["a", "b"]

    on_loop(story)


def test_the_first_that_is_really_asked_is_hedged_though_another_could_not_be(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("abc", backends={"a": {"type": "llama-server"}}, hedge=HEDGE)
        one = ask(stage, stream=True, temperature=0.5)
        assert [f.at for f in stage.flights] == ["b"]
        one.pass_time(1.5)
        assert [f.at for f in stage.flights] == ["b", "c"]

    on_loop(story)


def test_with_refuse_a_hedge_goes_to_those_that_can_alone(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("bac", backends=UNABLE, unsupported="refuse", hedge=HEDGE)
        one = ask(stage, stream=True, seed=7)
        one.pass_time(4)
        for flight in stage.flights:  # those that follow too
            flight.fail(K.RESET)
        assert [f.at for f in stage.flights] == ["b", "c"]
        assert one.client.failure is not None and one.client.failure.kind is K.RESET

    on_loop(story)


def test_a_retry_at_the_same_target_says_the_same_again() -> None:
    async def story() -> None:
        stage = Stage("ab", backends=UNABLE, retry={"same_target": 1, "patience": 5})
        one = ask(stage)
        assert stage.flights[0].at == "b"
        stage.flights[0].whole(refusal(429), 429, [(b"retry-after-ms", b"20")])
        await until(lambda: len(stage.flights) == 2)
        assert stage.flights[1].at == "b" and stage.flights[1].asked == stage.flights[0].asked
        stage.flights[1].fail(K.REFUSED)
        assert stage.flights[2].at == "a"
        stage.flights[2].whole()
        assert dropped(one) == ("seed",)

    asyncio.run(story())


@pytest.mark.parametrize(("policy", "goes_on"), [("next", True), ("drop", True), ("refuse", False)])
def test_an_answer_is_gone_on_with_by_one_that_lacks_it_unless_the_route_refuses_that(
    on_loop: OnLoop, policy: str, goes_on: bool
) -> None:
    def story() -> None:
        unable = {"a": {"type": "ollama", "prefill": True}}
        stage = Stage("bac", backends=unable, unsupported=policy, on_cut="continue")
        one = ask(stage, stream=True, seed=7)
        stage.flights[0].stream(word("Hello"))
        stage.flights[0].fail(K.RESET)
        asked = [f for f in stage.flights[1:] if f.at == "a"]
        assert len(stage.flights) == 2, "by one way at a time"
        assert bool(asked) is goes_on
        if goes_on:
            assert asked[0].asked["messages"][-1]["content"] == "Hello"
        one.exchange.gone()
        assert stage.books.outcomes[0].ended is Ended.CUT

    on_loop(story)
