"""A request that is nothing but texts is looked at once, and estimated as it would be without that look."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.ability import Ability
from proxy.core.chat import ChatRequest
from proxy.core.choice.facts import UNSEEN, facts_of, text_of
from proxy.core.money.afford import Buyer, need_of
from proxy.core.money.bound import asked_of, rates_of
from proxy.core.money.budget import UNIT, Budget, Per, Scope, Terms
from proxy.core.price import Price
from proxy.core.route import Target
from proxy.engine.purses import Purses
from proxy.engine.scopes import takes, tokens_of

MESSAGES = [{"role": "user", "content": "What is a queue?"}]


def chat(messages: object, **more: Any) -> ChatRequest:
    body = {"model": "chat", "messages": messages, **more}
    return ChatRequest(orjson.dumps(body), body, "chat", False, False)


def _exchange(request: ChatRequest) -> Any:
    road = SimpleNamespace(route=SimpleNamespace(name="chat"))
    return SimpleNamespace(key="", road=road, tags=(), spending=None, story=None, text=UNSEEN, request=request)


TEXTS = st.text(max_size=40) | st.integers(1, 12_000).map("word ".__mul__)
LENGTHS = st.none() | st.integers(-1, 9000)


@given(
    st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": TEXTS}), max_size=4),
    st.dictionaries(st.sampled_from(["max_tokens", "max_completion_tokens"]), LENGTHS),
    st.booleans(),
)
def test_the_look_changes_no_estimate(messages: list[dict[str, str]], lengths: dict[str, Any], named: bool) -> None:
    request = chat(messages, **lengths, **({"user": "u"} if named else {}))
    text = text_of(request)
    assert text is not None
    facts = facts_of(request.body)
    assert text == (facts.input, facts.output)
    assert tokens_of(request, 500.0, text) == tokens_of(request, 500.0, None)
    assert takes(_exchange(request), 500.0) == tokens_of(request, 500.0, None)
    assert asked_of(request, text) == asked_of(request, None)


CHEAP, DEAR = Price(Decimal("0.15"), Decimal("0.6")), Price(Decimal(3), Decimal(15), reasoning=Decimal(20))
PRICES = st.sampled_from([CHEAP, DEAR, CHEAP._replace(tiers=((100, DEAR),)), Price(Decimal(1), Decimal(0)), None])
ABILITIES = st.builds(Ability, st.none() | st.just(8192), st.none() | st.just(1000))
PARAMETERS = st.sampled_from([{}, {"max_tokens": 50}])


@given(
    st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": TEXTS}), max_size=3),
    st.dictionaries(st.sampled_from(["max_tokens", "max_completion_tokens", "n", "tools"]), LENGTHS),
    st.builds(
        lambda *said: Target("a/m", "a", "m", price=said[0], ability=said[1], defaults=said[2], overrides=said[3]),
        *(PRICES, ABILITIES, PARAMETERS, PARAMETERS),
    ),
    st.booleans(),
)
def test_what_is_reserved_is_what_a_closer_look_finds(
    messages: list[dict[str, str]], more: dict[str, Any], target: Target, ask: bool
) -> None:
    request = chat(messages, **more)
    purses = Purses()
    purses.adopt(Terms({(Scope.ALL, ""): (Budget(10**9 * UNIT, Per.TOTAL),)}, ask))
    lane: Any = SimpleNamespace(target=target)
    failure = purses.reserve(_exchange(request), lane, 1, 0.0)
    need = need_of(Buyer(asked_of(request, None), ask), target, rates_of(target))
    assert (failure is not None) == (need.amount is None)
    assert purses.standings()[0].reserved == (need.amount or 0)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": []},
        {"n": 2},
        {"service_tier": "flex"},
        {"modalities": ["audio"]},
        {"response_format": {"type": "text"}},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
        {"messages": [{"role": "user", "content": "Hi", "name": "bob"}]},
        {"messages": [{"role": "user", "content": "Hi", "cache_control": {"type": "ephemeral"}}]},
        {"messages": ["Hi"]},
    ],
    ids=str,
)
def test_what_is_more_than_texts_is_looked_at_in_full(more: dict[str, Any]) -> None:
    assert text_of(chat(MESSAGES)) is not None
    assert text_of(chat(**{"messages": MESSAGES, **more})) is None
