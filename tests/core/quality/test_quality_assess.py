"""Parts of an evaluation: bounded, monotone in what they look at, and safe on anything."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.quality.assess import COHERENCE, COMPLETENESS, RELEVANCE, Answer, Parts, assess
from proxy.core.quality.forms import fits


def asked(text: str, **more: Any) -> dict[str, Any]:
    """A request."""
    return {"messages": [{"role": "user", "content": text}], **more}


def value(body: dict[str, Any], text: str, finish: str | None = "stop") -> float:
    """What one answer is worth."""
    return assess(body, (Answer(text, finish),)).value


def test_the_weights_are_40_35_and_25_per_cent() -> None:
    assert (COMPLETENESS, RELEVANCE, COHERENCE) == (0.40, 0.35, 0.25)
    assert Parts(1.0, 0.0, 0.0).value == 0.40
    assert Parts(1.0, 1.0, 1.0).value == pytest.approx(1.0)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300), st.text(max_size=400), st.sampled_from(["stop", "length", "content_filter", None, "odd"]))
def test_any_texts_at_all_give_parts_between_0_and_1(question: str, answer: str, finish: str | None) -> None:
    parts = assess(asked(question), (Answer(answer, finish),))
    assert all(0.0 <= part <= 1.0 for part in parts)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(JSON, JSON, JSON, JSON)
def test_whatever_stands_in_a_request_nothing_raises(messages: Any, form: Any, tools: Any, schema: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    body = {"messages": messages, "response_format": form, "tools": tools}
    assess(body, (Answer("{}", "stop"), Answer("", "tool_calls", calls=(("f", "{"),))))
    assess({**body, "response_format": wanted}, (Answer('{"a": [1, null]}', "stop"),))


def test_an_answer_that_ran_into_its_limit_is_worth_less() -> None:
    body, text = asked("What is a river?"), "A river is water that flows through land towards a sea."
    assert value(body, text, "length") < value(body, text) - 0.2


def test_an_empty_answer_is_worth_nothing() -> None:
    assert value(asked("Hi"), "  \n") == 0.0
    assert assess(asked("Hi"), ()).value == 0.0


SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["n"],
}


@pytest.mark.parametrize(
    ("found", "fitting"),
    [
        ({"n": 1}, True),
        ({"n": 1, "tags": ["a"]}, True),
        ({"n": "1"}, False),
        ({"tags": []}, False),
        ({"n": 1, "tags": [1]}, False),
        ([], False),
        ({"n": True}, False),
    ],
)
def test_structured_output_is_held_against_its_schema(found: Any, fitting: bool) -> None:
    assert fits(found, SCHEMA) is fitting


def test_a_call_of_a_tool_is_good_where_its_arguments_fit() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
    body = asked("Call f with 1", tools=[tool])
    good = assess(body, (Answer("", "tool_calls", calls=(("f", '{"n": 1}'),)),)).value
    unfit = assess(body, (Answer("", "tool_calls", calls=(("f", '{"n": "x"}'),)),)).value
    unknown = assess(body, (Answer("", "tool_calls", calls=(("g", '{"n": 1}'),)),)).value
    broken = assess(body, (Answer("", "tool_calls", calls=(("f", '{"n": '),)),)).value
    assert good == pytest.approx(1.0)
    assert max(unfit, unknown) < 0.8 > broken


def test_another_language_is_right_where_it_was_asked_for() -> None:
    german = "Der Zug fährt um acht Uhr ab, und er kommt um neun in der Stadt an."
    assert value(asked("Translate into German: the train leaves at eight."), german) > 0.85
    assert value(asked("What time does the train leave in the morning?"), german) < 0.85


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "```x\n" * 100_000,
        "```python\n" + "(" * 7000 + "\n```",
        "```json\n" + "[" * 7000 + "\n```",
        "[" * 500_000,
        "- " * 300_000,
        "I'm sorry " * 50_000,
        "\n" * 500_000 + "a",
    ],
)
def test_the_time_is_bounded_whatever_the_text(text: str) -> None:
    began = time.process_time()
    assess(asked("x " * 100_000), (Answer(text, "stop"),))
    assert time.process_time() - began < 1.0
