"""Live traffic goes where the choice says: past targets that must refuse, by the route's strategy, and nowhere that a
request's own conditions forbid."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.ability import CAPABILITIES
from proxy.core.call import Origin
from proxy.core.chat import ChatRequest
from proxy.core.choice.wish import ASKABLE, Wish
from proxy.core.failure import FailureKind
from proxy.core.place import State
from proxy.engine.exchange import Exchange
from proxy.engine.shelf import cold_of
from tests.engine.stage import Client, Stage, word
from tests.examples import many

Story = Callable[[Callable[[], None]], None]
PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]}]


def made(stage: Stage, wish: Wish | None = None, **more: Any) -> Exchange:
    """A request with its bytes, not started yet."""
    body = {"model": "chat", "messages": [{"role": "user", "content": "Say hello."}], **more}
    request = ChatRequest(orjson.dumps(body), body, "chat", bool(more.get("stream")), False, wish=wish)
    road = stage.roads.find("chat")
    assert road is not None
    return stage.engine.exchange(road, request, Client(), "r", "")


def ask(stage: Stage, wish: Wish | None = None, **more: Any) -> Exchange:
    """The same, started."""
    exchange = made(stage, wish, **more)
    exchange.start()
    return exchange


def test_a_picture_goes_past_a_model_that_sees_nothing(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage([{"target": "a/m", "capabilities": {"vision": False}}, "b"])
        stage.ask(stream=False, messages=PICTURE)
        assert [flight.at for flight in stage.flights] == ["b"]
        stage.ask(stream=False)
        assert [flight.at for flight in stage.flights] == ["b", "a"]

    on_loop(story)


def test_where_nobody_can_no_one_is_asked_and_the_caller_is_told_why(on_loop: Story) -> None:
    def story() -> None:
        blind = {"vision": False}
        stage = Stage([{"target": "a/m", "capabilities": blind}, {"target": "b/m", "capabilities": blind}])
        one = stage.ask(stream=False, messages=PICTURE)
        assert (stage.flights, one.client.ends) == ([], ["refused"])
        (finish,) = stage.books.finishes
        assert (finish.status, finish.failure, finish.attempts) == (400, FailureKind.UNSUPPORTED, 0)
        assert not stage.books.outcomes and not stage.engine.health

    on_loop(story)


def test_what_is_too_long_for_all_is_a_context_length_error(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage([{"target": "a/m", "capabilities": {"context": 50}}])
        ask(stage, messages=[{"role": "user", "content": "x" * 4000}])
        assert not stage.flights
        assert stage.books.finishes[-1].failure is FailureKind.CONTEXT_LENGTH
        ask(stage, messages=[{"role": "user", "content": "x" * 100}])
        assert len(stage.flights) == 1

    on_loop(story)


def test_shares_are_those_of_the_weights(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage([{"target": "a/m", "weight": 3}, {"target": "b/m", "weight": 1}], strategy="weighted")
        for _ in range(40):
            stage.ask(stream=False)
            stage.flights[-1].whole()
        assert Counter(flight.at for flight in stage.flights) == {"a": 30, "b": 10}

    on_loop(story)


def test_a_target_that_fails_comes_last_and_the_next_one_serves(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab", strategy="least_busy")
        one = stage.ask(stream=False)
        stage.flights[-1].fail(FailureKind.RESET)
        stage.flights[-1].whole()
        assert one.client.ends == ["whole"]
        stage.ask(stream=False)
        assert [flight.at for flight in stage.flights] == ["a", "b", "b"]

    on_loop(story)


def test_requests_spread_over_those_that_are_free(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("abc", strategy="least_busy")
        for _ in range(6):
            stage.ask(stream=False)
        assert "".join(flight.at for flight in stage.flights) == "abcabc"

    on_loop(story)


def test_a_request_may_leave_targets_out_and_is_not_gone_on_with_there(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("abc", on_cut="continue", max_attempts=3)
        stage.ask(stream=True)
        one = ask(stage, Wish(exclude=frozenset({"b"})), stream=True)
        mine = stage.flights[-1]
        mine.stream(word("Once"))
        mine.fail(FailureKind.RESET)
        assert [flight.at for flight in stage.flights] == ["a", "a", "c"]
        stage.flights[-1].fail(FailureKind.RESET)
        assert "b" not in [flight.at for flight in stage.flights]
        assert one.over

    on_loop(story)


def test_a_plain_route_measures_nothing_until_somebody_asks(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab")
        one = stage.ask(stream=False)
        stage.flights[-1].whole()
        assert one.exchange.choice is None
        assert not stage.engine.choices.measured
        ask(stage, Wish(strategy="cheapest"))
        stage.flights[-1].whole()
        assert set(stage.engine.choices.measured) == {"a/m"}

    on_loop(story)


def test_a_model_that_is_not_loaded_is_passed_over_where_the_route_wants_a_warm_one(on_loop: Story) -> None:
    class Cold:
        """A place whose model would have to be loaded."""

        stands = State("idle")

        def origin(self) -> Origin:
            raise AssertionError("it is not asked")

        def lost(self) -> None: ...

        def state(self) -> State:
            return self.stands

    def story() -> None:
        stage, place = Stage("ab", warm="only"), Cold()
        road = stage.roads.find("chat")
        assert road is not None
        lanes = {**road.lanes, "a/m": replace(road.lanes["a/m"], place=place)}
        assert cold_of(replace(road, lanes=lanes)) == {"a/m": "idle"}
        body = {"model": "chat", "messages": [{"role": "user", "content": "Say hello."}]}
        request = ChatRequest(orjson.dumps(body), body, "chat", False, False)
        exchange = stage.engine.exchange(replace(road, lanes=lanes), request, Client(), "r", "")
        exchange.start()
        assert [flight.at for flight in stage.flights] == ["b"]
        assert exchange.choice is not None and exchange.choice.left_out[0].kind is FailureKind.LOADING
        place.stands = State("ready")
        assert cold_of(replace(road, lanes=lanes)) == {}

    on_loop(story)


def test_an_answer_of_any_length_is_no_other_requests_shape(on_loop: Story) -> None:
    """What is worked out for one that asks for 2^44 tokens is not what a short one gets."""

    def story() -> None:
        stage = Stage(["a", {"target": "b/m", "price": {"input": 10_000, "output": 1}}], strategy="cheapest")
        ask(stage, max_tokens=31 << 40)
        ask(stage, messages=[{"role": "user", "content": "x" * 96}])
        assert [flight.at for flight in stage.flights] == ["b", "a"]

    on_loop(story)


def test_a_conversation_stays(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab", strategy="weighted", sticky=True)
        for name, at in (("one", "a"), ("two", "b"), ("one", "a"), ("two", "b"), ("two", "b")):
            stage.ask(stream=False, prompt_cache_key=name)
            assert stage.flights[-1].at == at
            stage.flights[-1].whole()

    on_loop(story)


def broken(_candidates: object, _facts: object) -> list[str]:
    """A function of the operator's that fails."""
    raise RuntimeError("no idea")


def test_a_function_that_raises_is_said_in_the_log_once(on_loop: Story, caplog: pytest.LogCaptureFixture) -> None:
    def story() -> None:
        stage = Stage("ab", strategy="custom", custom=f"{__name__}:broken")
        for _ in range(3):
            stage.ask(stream=False)
        assert [flight.at for flight in stage.flights] == ["a", "a", "a"]

    sys.modules.setdefault(__name__, sys.modules[broken.__module__])
    on_loop(story)
    assert [record.getMessage() for record in caplog.records] == [
        "the function of route chat failed, its order holds: RuntimeError: no idea"
    ]


flags = st.dictionaries(st.sampled_from([*CAPABILITIES[:-1]]), st.booleans(), max_size=3)
one_target = st.builds(
    lambda context, flags, weight: {"capabilities": {**flags, **context}, "weight": weight},
    st.sampled_from([{}, {"context": 30}, {"context": 4000}]),
    flags,
    st.integers(1, 5),
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "tools": st.just([{"type": "function", "function": {"name": "f"}}]),
        "max_tokens": st.integers(1, 5000),
        "messages": st.just(PICTURE),
        "response_format": st.just({"type": "json_schema"}),
    },
)
wishes = st.none() | st.builds(
    Wish,
    exclude=st.frozensets(st.sampled_from("abc"), max_size=1),
    strategy=st.sampled_from(["", *ASKABLE]),
    priority=st.sampled_from(["", "high", "low"]),
    max_latency=st.none() | st.floats(0.001, 1),
    min_speed=st.none(),
    context=st.none(),
    max_cost=st.none(),
    capabilities=st.just(frozenset[str]()),
    only=st.none(),
    free=st.just(False),
    local_only=st.just(False),
    task=st.just(""),
    agent=st.just(""),
    tags=st.just(frozenset[str]()),
    headers=st.just(()),
)
endings = st.lists(st.sampled_from(["whole", "reset", "limited", "open"]), max_size=8)


@settings(max_examples=many(150), deadline=None)
@given(st.lists(one_target, min_size=3, max_size=3), st.sampled_from(ASKABLE), endings, requests, wishes, st.integers())
def test_what_is_explained_is_what_is_done(
    targets: list[dict[str, Any]],
    strategy: str,
    before: list[str],
    body: dict[str, Any],
    wish: Wish | None,
    seed: int,
) -> None:
    async def story() -> None:
        given_ = [{"target": f"{name}/m", **one} for name, one in zip("abc", targets, strict=True)]
        stage = Stage(given_, strategy=strategy)
        for ending in before:
            sent = len(stage.flights)
            stage.ask(stream=False)
            for flight in stage.flights[sent:]:
                if ending == "whole":
                    flight.whole()
                elif ending == "limited":
                    flight.whole(b"{}", 429)
                elif ending == "reset":
                    flight.fail(FailureKind.RESET)
        sent = len(stage.flights)
        engine = stage.engine
        exchange = made(stage, wish, **body)
        health, draw = dict(engine.trouble), random.Random(seed).random
        told = engine.choices.explain(exchange.road, exchange.request, "", health, exchange.began, draw)
        random.seed(seed)
        exchange.start()
        live = exchange.choice
        assert live is not None and live == told
        assert [flight.at for flight in stage.flights[sent:]] == [t.backend for t in told.plan.targets[:1]]

    asyncio.run(story())
