"""What is explained is what live traffic then does, whatever has happened before: they read the same of what is known,
also while requests share it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import ChatRequest
from proxy.core.choice.ranking import Closed
from proxy.core.choice.wish import ASKABLE, Wish
from proxy.core.failure import FailureKind
from proxy.engine.exchange import Exchange
from tests.engine.stage import Client, Flight, Stage
from tests.examples import many

PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]}]
LONG = [{"role": "user", "content": "What is written here? " * 400}]


def made(stage: Stage, wish: Wish | None, **more: Any) -> Exchange:
    """A request with its bytes, not started yet."""
    body = {"model": "chat", "messages": [{"role": "user", "content": "Say hello."}], **more}
    request = ChatRequest(orjson.dumps(body), body, "chat", False, False, wish=wish)
    road = stage.roads.find("chat")
    assert road is not None
    return stage.engine.exchange(road, request, Client(), "r", "")


def play(flight: Flight, ending: str) -> None:
    """What becomes of an attempt."""
    if ending == "whole":
        flight.whole()
    elif ending == "limited":
        flight.whole(b"{}", 429, [(b"retry-after", b"0.02")])
    elif ending == "reset":
        flight.fail(FailureKind.RESET)


def check(stage: Stage, exchange: Exchange, seed: int) -> None:
    """Starts it, and compares it with what was told a moment before."""
    engine, sent = stage.engine, len(stage.flights)
    draw = random.Random(seed).random
    told = engine.choices.explain(exchange.road, exchange.request, "", engine.trouble, exchange.began, draw)
    random.seed(seed)
    exchange.start()
    live = exchange.choice
    assert live == told, (live, told)
    assert [flight.at for flight in stage.flights[sent:]] == [t.backend for t in told.plan.targets[:1]]


targets = st.builds(
    lambda context, vision, weight: {"capabilities": {"vision": vision, **context}, "weight": weight},
    st.sampled_from([{}, {"context": 1500}, {"context": 4000}]),
    st.booleans(),
    st.integers(1, 5),
)
routes = st.fixed_dictionaries(
    {"strategy": st.sampled_from(ASKABLE)},
    optional={
        "sticky": st.just(True),
        "prefer_other_backend": st.just(True),
        "exclude_failed": st.just(0.01),
        "rules": st.just([{"when": {"tokens": ">1000"}, "use": "cheapest"}]),
        "require": st.just({"max_latency_ms": 60_000}),
    },
)
steps = st.lists(
    st.tuples(
        st.fixed_dictionaries(
            {},
            optional={
                "max_tokens": st.integers(1, 5000),
                "messages": st.sampled_from([PICTURE, LONG]),
                "user": st.sampled_from("xy"),
                "tools": st.just([{"type": "function", "function": {"name": "f"}}]),
            },
        ),
        st.none()
        | st.tuples(st.sampled_from(ASKABLE), st.frozensets(st.sampled_from("abc"), max_size=1)).map(
            lambda said: Wish(strategy=said[0], exclude=said[1])
        ),
        st.sampled_from(["whole", "whole", "whole", "reset", "limited", "open", "closed"]),
    ),
    min_size=20,
    max_size=40,
)


@settings(max_examples=many(100), deadline=None)
@given(st.lists(targets, min_size=3, max_size=3), routes, st.booleans(), steps, st.integers(0, 10**6))
def test_what_is_explained_is_what_is_done_a_moment_later(
    given_: list[dict[str, Any]], route: dict[str, Any], nested: bool, then: list[tuple[Any, Any, str]], seed: int
) -> None:
    async def story() -> None:
        named = [{"target": f"{name}/m", **one} for name, one in zip("abc", given_, strict=True)]
        if nested:
            group = {"strategy": "least_latency", "targets": named[1:]}
            stage = Stage([named[0], {"group": "rest"}], groups={"rest": group}, **route)
        else:
            stage = Stage(named, **route)
        for place, (body, wish, ending) in enumerate(then):
            exchange = made(stage, wish, **body)
            if ending == "closed":
                stage.engine.closed["b/m"] = Closed("60 requests a minute are used up", exchange.began + 0.001)
            sent = len(stage.flights)
            check(stage, exchange, seed + place)
            for flight in stage.flights[sent:]:
                play(flight, ending)

    asyncio.run(story())


def test_shares_stay_exact_while_targets_come_and_go() -> None:
    """For as long as the same targets are there, each window of their turns holds each as often as its weight says."""

    async def story() -> None:
        dice = random.Random(5)
        stage = Stage(
            [{"target": f"{name}/m", "weight": w} for name, w in zip("abc", (3, 2, 1), strict=True)],
            strategy="weighted",
        )
        served: dict[frozenset[str], list[str]] = {}
        for _ in range(3000):
            away = frozenset("abc"[: dice.randrange(3)])
            stage.engine.closed.clear()
            stage.engine.closed.update({f"{name}/m": Closed("away", float("inf")) for name in away})
            stage.ask(stream=False)
            stage.flights[-1].whole()
            served.setdefault(away, []).append(stage.flights[-1].at)
        weights = {"a": 3, "b": 2, "c": 1}
        for away, firsts in served.items():
            here = {name: weight for name, weight in weights.items() if name not in away}
            window = sum(here.values())
            for start in range(len(firsts) - window):
                assert Counter(firsts[start : start + window]) == here

    asyncio.run(story())


def test_a_limit_that_is_over_is_forgotten_though_nobody_takes_it_away() -> None:
    async def story() -> None:
        stage = Stage("ab", strategy="weighted")
        stage.engine.closed["a/m"] = Closed("60 a minute", 0.0)
        for _ in range(10):
            stage.ask(stream=False)
            stage.flights[-1].whole()
        assert Counter(flight.at for flight in stage.flights) == {"a": 5, "b": 5}
        one, other = (stage.ask(stream=False).exchange.choice for _ in range(2))
        assert one is not None and other is not None and one.plan is not other.plan
        again = stage.ask(stream=False).exchange.choice
        assert again is one, "what was worked out is used again"

    asyncio.run(story())


def test_a_failure_is_known_to_the_very_next_request() -> None:
    async def story() -> None:
        for strategy in ("least_latency", "least_busy"):
            stage = Stage("abc", strategy=strategy)
            for _ in range(9):
                stage.ask(stream=False)
                stage.flights[-1].whole()
            one = stage.ask(stream=False)
            ill = stage.flights[-1].at
            stage.flights[-1].fail(FailureKind.RESET)
            stage.flights[-1].whole()
            assert one.client.ends == ["whole"]
            for _ in range(20):
                stage.ask(stream=False)
                assert stage.flights[-1].at != ill
                stage.flights[-1].whole()

    asyncio.run(story())


def test_of_many_targets_each_that_is_drawn_is_measured() -> None:
    async def story() -> None:
        named = [f"{'abc'[place % 3]}/m{place}" for place in range(26)]
        stage = Stage([{"target": name} for name in named], strategy="least_latency")
        drawn: Counter[str] = Counter()
        for _ in range(1000):
            choice = stage.ask(stream=False).exchange.choice
            assert choice is not None
            names = [one.name for one in choice.plan.targets]
            assert sorted(names) == sorted(named)
            stage.flights.pop().whole()
            assert stage.books.outcomes.pop().target == names[0]
            drawn[names[0]] += 1
        measured = stage.engine.choices.measured
        assert len(drawn) > 13 and drawn.keys() == measured.keys()
        assert all(one.whole is not None for one in measured.values())

    asyncio.run(story())


def test_ucb_learns_from_live_traffic_though_requests_share_what_is_known() -> None:
    async def story() -> None:
        stage = Stage("abc", strategy="ucb", max_attempts=1)
        good = {"a": 0.2, "b": 0.5, "c": 0.9}
        dice, went = random.Random(3), Counter[str]()
        for place in range(2000):
            stage.ask(stream=False)
            flight = stage.flights.pop()
            if place >= 500:
                went[flight.at] += 1
            if dice.random() < good[flight.at]:
                flight.whole()
            else:
                flight.whole(b"{}", 400)
            stage.books.outcomes.clear()
        assert went["c"] > 0.8 * sum(went.values())

    asyncio.run(story())
