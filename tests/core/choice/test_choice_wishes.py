"""What callers may ask for: both forms say the same, and what is not understood is refused by name."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.choice.wish import NONE, WORDS, Unclear, Wish, wish_of, wish_of_header


def test_an_object_and_a_header_say_the_same() -> None:
    wish = Wish(
        max_cost=Decimal("0.01"),
        max_latency=1.5,
        min_speed=20.0,
        context=32_000,
        capabilities=frozenset({"tools", "vision"}),
        exclude=frozenset({"openai"}),
        only=frozenset({"a/b", "c"}),
        free=True,
        local_only=False,
        strategy="cheapest",
        task="analysis",
        priority="high",
        agent="crawler",
        tags=frozenset({"night"}),
    )
    said = {
        "max_cost": 0.01,
        "max_latency_ms": 1500,
        "min_speed": 20,
        "context": 32000,
        "capabilities": ["tools", "vision"],
        "exclude": "openai",
        "only": ["a/b", "c"],
        "free": True,
        "local_only": False,
        "strategy": "cheapest",
        "task": "analysis",
        "priority": "high",
        "agent": "crawler",
        "tags": ["night"],
    }
    assert set(said) == set(WORDS)
    assert wish_of(said) == wish
    header = (
        "max_cost=0.01, max_latency_ms=1500, min_speed=20, context=32000, capabilities=tools|vision, exclude=openai, "
        "only=a/b|c, free, local_only=false, strategy=cheapest, task=analysis, priority=high, agent=crawler, tags=night"
    )
    assert wish_of_header(header) == wish
    assert wish_of_header('{"free": true}') == Wish(free=True)


@pytest.mark.parametrize(
    ("header", "param", "told"),
    [
        ("cheap", "wayline", "unknown word 'cheap', expected one of max_cost,"),
        ("max_cost=lots", "max_cost", "'max_cost' must be US dollars"),
        ("max_cost=-1", "max_cost", "'max_cost' must be"),
        ("max_cost=nan", "max_cost", "'max_cost' must be"),
        ("context=1.5", "context", "positive number of tokens"),
        ("context=0", "context", "positive number of tokens"),
        ("context=1e30", "context", "positive number of tokens, at most 1,000,000,000"),
        ("only=a, free, only=b", "only", "'only' stands there twice"),
        ("strategy=custom", "strategy", "'strategy' must be one of order,"),
        ("capabilities=flying", "capabilities", "some of vision,"),
        ("free=perhaps", "free", "'free' must be true or false"),
        ("only=", "only", "a list of names"),
        ("agent=" + "a" * 65, "agent", "'agent' must be a text of 1 to 64 printable characters."),
        ("tags=a|" + "b" * 65, "tags", "'tags' must be a list of at most 16 names"),
        ("tags=" + "|".join("abcdefghijklmnopq"), "tags", "'tags' must be a list of at most 16 names"),
        ("{", "x-wayline-prefer", "is not valid JSON"),
    ],
)
def test_what_is_not_understood_is_named(header: str, param: str, told: str) -> None:
    with pytest.raises(Unclear) as error:
        wish_of_header(header)
    assert error.value.param == param
    assert told in str(error.value)


def test_only_whose_a_request_is_says_nothing_about_targets() -> None:
    """Such a request goes the way of one that asks for nothing, where its route has no strategy."""
    whose = Wish(agent="x", tags=frozenset("x"), priority="low", task="x")
    assert not whose.for_targets
    assert whose._replace(free=True).for_targets
    assert Wish(strategy="cheapest").for_targets


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=100) | st.sampled_from(WORDS).flatmap(lambda word: st.text(max_size=20).map(f"{word}=".__add__))
)
def test_any_header_is_a_wish_or_unclear(text: str) -> None:
    try:
        assert isinstance(wish_of_header(text), Wish)
    except Unclear as error:
        assert str(error)


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text() | st.integers())


@settings(max_examples=300, deadline=None)
@given(values | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), values, max_size=4))
def test_any_value_is_a_wish_or_unclear(said: object) -> None:
    try:
        assert isinstance(wish_of(said), Wish)
    except Unclear as error:
        assert str(error)


def test_of_two_bounds_the_stricter_holds() -> None:
    one = Wish(max_cost=Decimal(1), context=10, only=frozenset({"a", "b"}), exclude=frozenset({"x"}), strategy="score")
    other = Wish(max_cost=Decimal(2), context=20, only=frozenset({"b"}), free=True, strategy="ucb", min_speed=1.0)
    both = one.along(other)
    assert (both.max_cost, both.context, both.only, both.exclude) == (
        Decimal(1),
        20,
        frozenset({"b"}),
        frozenset({"x"}),
    )
    assert (both.free, both.strategy, both.min_speed) == (True, "score", 1.0)
    assert NONE.along(one) is one and one.along(NONE) is one
