"""A request that is nothing but texts is looked at once, and estimated as it would be without that look."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import ChatRequest
from proxy.core.choice.facts import facts_of, text_of
from proxy.core.money.bound import asked_of
from proxy.engine.scopes import tokens_of

MESSAGES = [{"role": "user", "content": "What is a queue?"}]


def chat(messages: object, **more: Any) -> ChatRequest:
    body = {"model": "chat", "messages": messages, **more}
    return ChatRequest(orjson.dumps(body), body, "chat", False, False)


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
    assert asked_of(request, text) == asked_of(request, None)


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
