"""What an attempt can cost at most."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.ability import Ability
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.facts import text_of
from proxy.core.money import bound
from proxy.core.money.account import NEVER
from proxy.core.money.bound import Asked, affordable, longest, most, rates_of, usual
from proxy.core.money.budget import UNIT, parts
from proxy.core.price import Price, cost
from proxy.core.relay import Request
from proxy.core.route import Target
from proxy.core.usage import Usage
from proxy.inbound.completions import Completions

PRICE = Price(Decimal(3), Decimal(15), cache_write=Decimal("3.75"))
TARGET = Target("a/m", "a", "m", price=PRICE)


def asked_of(request: Request) -> Asked:
    return bound.asked_of(request, text_of(request))


def chat(**more: Any) -> ChatRequest:
    body = {"model": "chat", "messages": [{"role": "user", "content": "What is a budget?"}], **more}
    return ChatRequest(orjson.dumps(body), body, "chat", False, False)


def target(**more: Any) -> Target:
    return Target("a/m", "a", "m", price=PRICE, **more)


def test_it_is_the_input_with_a_margin_and_all_the_output_that_is_allowed() -> None:
    asked, rates = asked_of(chat(max_tokens=100)), rates_of(TARGET)
    assert rates is not None
    assert asked.input == len(chat(max_tokens=100).raw) // 3
    assert most(asked, rates) == (asked.input * 3 + 100 * 15) * UNIT // 1_000_000


def test_several_answers_cost_several_times() -> None:
    rates = rates_of(TARGET)
    assert rates is not None
    assert longest(asked_of(chat(max_tokens=100, n=3)), rates) == 300
    for lenient in (3.0, "3", " 3 "):
        assert longest(asked_of(chat(max_tokens=100, n=lenient)), rates) == 300, "some servers take it for the number"
    for odd in (None, 0, -1, True, "", "x", "9" * 5000, float("inf"), list[int]()):
        assert longest(asked_of(chat(max_tokens=100, n=odd)), rates) == 100


def text(**body: Any) -> ChatRequest:
    raw = orjson.dumps({"model": "chat", **body})
    read = Completions().read({"model": "chat", **body}, raw, {})
    assert isinstance(read, ChatRequest)
    return read


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"prompt": "x", "max_tokens": 10}, 10),
        ({"prompt": ["x", "y", "z"], "max_tokens": 10}, 30),
        ({"prompt": [[1, 2], [3]], "max_tokens": 10}, 20),
        ({"prompt": [1, 2, 3], "max_tokens": 10}, 10),
        ({"prompt": ["x", "y"], "n": 2, "best_of": 5, "max_tokens": 10}, 100),
        ({"prompt": "x"}, None),
    ],
)
def test_of_text_completions_each_prompt_has_all_its_answers(body: dict[str, Any], expected: int | None) -> None:
    """Without `max_tokens` servers differ: OpenAI's API gives 16 tokens, llama.cpp's all that there are."""
    rates = rates_of(TARGET)
    assert rates is not None
    assert longest(asked_of(text(**body)), rates) == expected


def test_token_ids_count_as_so_many_tokens() -> None:
    ids = [1] * 3000
    body = {"model": "e", "input": [ids, ids]}
    assert asked_of(EmbedRequest(orjson.dumps(body), body, "e", False)).input >= 6000
    assert asked_of(text(prompt=ids)).input >= 3000


@pytest.mark.parametrize(
    ("settings_", "body", "expected"),
    [
        ({}, {}, None),
        ({}, {"max_completion_tokens": 50}, 50),
        ({}, {"max_completion_tokens": 50, "max_tokens": 90}, 90),
        ({}, {"max_completion_tokens": 90, "max_tokens": 50}, 90),
        ({}, {"max_completion_tokens": 50, "max_tokens": None}, 50),
        ({}, {"max_completion_tokens": 50, "max_tokens": "90"}, None),
        ({}, {"max_tokens": 90.0}, None),
        ({}, {"max_tokens": 0}, None),
        ({}, {"max_tokens": True}, None),
        ({"ability": Ability(output=400)}, {}, 400),
        ({"ability": Ability(output=400)}, {"max_tokens": 1000}, 400),
        ({"ability": Ability(context=8192)}, {}, 8192),
        ({"defaults": {"max_tokens": 70}}, {}, 70),
        ({"defaults": {"max_tokens": 70}}, {"max_tokens": 90}, 90),
        ({"overrides": {"max_tokens": 70}}, {"max_tokens": 90}, 70),
        ({"drop": frozenset({"max_tokens", "max_completion_tokens"})}, {"max_tokens": 90}, None),
    ],
)
def test_how_long_an_answer_may_be_is_what_the_target_is_told_or_known_for(
    settings_: dict[str, Any], body: dict[str, Any], expected: int | None
) -> None:
    rates = rates_of(target(**settings_))
    assert rates is not None
    assert longest(asked_of(chat(**body)), rates) == expected


def test_vectors_have_no_output_and_their_bound_is_their_input() -> None:
    body = {"model": "e", "input": "x" * 300}
    asked, rates = asked_of(EmbedRequest(orjson.dumps(body), body, "e", False)), rates_of(TARGET)
    assert rates is not None
    assert most(asked, rates) == asked.input * rates.input


def test_without_a_price_nobody_knows() -> None:
    assert rates_of(Target("a/m", "a", "m")) is None


def test_a_plain_request_meets_the_plain_price_and_one_that_writes_a_cache_the_dearer_one() -> None:
    part = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    marked_ = chat(messages=[{"role": "user", "content": [part]}])
    plain, marked = rates_of(TARGET, asked_of(chat())), rates_of(TARGET, asked_of(marked_))
    assert plain is not None and marked is not None
    assert (plain.input, marked.input) == (3_000_000, 3_750_000)


def test_a_long_request_meets_the_price_of_long_requests() -> None:
    tiered = Target("a/m", "a", "m", price=PRICE._replace(tiers=((1000, Price(Decimal(6), Decimal(30))),)))
    rates = rates_of(tiered)
    assert rates is not None and rates.beyond == 1000
    long = rates_of(tiered, Asked(1001, 10))
    assert long is not None and (long.input, long.output) == (6_000_000, 30_000_000)
    plain = rates_of(TARGET)
    assert plain is not None and plain.beyond == NEVER


def test_a_picture_counts_as_one_and_not_by_the_length_of_its_data() -> None:
    url = "data:image/png;base64," + "A" * 400_000
    asked = asked_of(chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]))
    assert asked.input < 2000
    assert asked.unusual
    address = {"type": "image_url", "image_url": {"url": "https://a.test/p.png"}}
    assert asked_of(chat(messages=[{"role": "user", "content": [address] * 4}])).input > 4 * 765


@pytest.mark.parametrize("letter", ["i", "_", "l", "r"])
def test_a_picture_whose_word_is_written_with_an_escape_counts_as_one(letter: str) -> None:
    body = chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.test"}}]}])
    raw = body.raw.replace(b"image_url", "image_url".replace(letter, f"\\u{ord(letter):04x}").encode())
    assert b"image_url" not in raw and orjson.loads(raw) == body.body
    asked = asked_of(body._replace(raw=raw))
    assert asked.unusual and asked.input > 765


def test_where_answers_without_a_bound_are_allowed_a_usual_one_is_reserved() -> None:
    rates = rates_of(TARGET)
    assert rates is not None
    assert usual(Asked(0), rates) == 4096 * rates.output
    small = rates_of(target(ability=Ability(output=100)))
    assert small is not None
    assert usual(Asked(0), small) == 100 * small.output


@given(text=st.text(max_size=400), output=st.integers(1, 5000), room=st.integers(0, UNIT))
@settings(max_examples=100, deadline=None)
def test_what_it_costs_is_within_the_bound_and_what_is_called_affordable_is(text: str, output: int, room: int) -> None:
    rates = rates_of(TARGET)
    assert rates is not None
    asked = asked_of(chat(messages=[{"role": "user", "content": text}], max_tokens=output))
    bound, real = most(asked, rates), cost(PRICE, Usage(asked.input, output))
    assert bound is not None and real is not None and parts(real) <= bound
    tokens = affordable(asked, rates, room)
    if tokens > 0:
        within = most(asked._replace(output=tokens), rates)
        assert within is not None and within <= room
