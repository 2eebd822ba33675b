"""An estimate is marked as one, and is of the right size."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.tokens import MOST, estimated, of_bounded, of_chars, of_request, of_text
from proxy.core.usage import Source


def test_four_characters_are_a_token_and_a_started_one_counts() -> None:
    assert [of_chars(n) for n in (0, 1, 4, 5, 400)] == [0, 1, 1, 2, 100]


def test_scripts_beyond_latin_take_more_tokens_a_character() -> None:
    assert of_text("你好世界") == 3
    assert of_text("\ud800") == 1  # a lone surrogate is no reason to fail


def test_a_request_counts_its_messages_and_tools() -> None:
    """OpenAI reported 17 for this message to one model; an estimate is near, not equal."""
    body = {"model": "m", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
    plain = of_request(body)
    assert 9 <= plain <= 20
    assert of_request({**body, "tools": [{"type": "function", "function": {"name": "weather"}}]}) > plain


def test_an_image_does_not_count_by_the_length_of_its_data() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    assert of_request({"messages": [{"role": "user", "content": [image]}]}) < 1000


def test_embeddings_inputs_are_texts_or_token_ids() -> None:
    assert of_request({"input": "four"}) == 1
    assert of_request({"input": ["four", "four"]}) == 2
    assert of_request({"input": [1, 2, 3]}) == 3
    assert of_request({"input": [[1, 2], [3]]}) == 3
    assert of_request({"input": None, "messages": "no list"}) == 0


def test_an_estimate_says_that_it_is_one() -> None:
    usage = estimated({"input": "four"}, 8)
    assert (usage.input, usage.output, usage.source) == (1, 2, Source.ESTIMATED)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30_000), max_size=30), st.sampled_from(["a", "漢", "word "]))
def test_what_counts_in_bounded_time_is_given_no_more_and_finds_as_much(lengths: list[int], unit: str) -> None:
    """Of a text that is the same everywhere: in pieces, many or few, of any length, also of none."""
    given_to: list[int] = []

    def count(text: str) -> int:
        given_to.append(len(text))
        return len(text)

    body = {"messages": [{"content": (unit * length)[:length]} for length in lengths]}
    whole = of_request(body, len)
    assert of_bounded(body, count) == whole
    assert sum(given_to) <= MOST * 1.1


def test_a_million_short_texts_are_bounded_too() -> None:
    calls: list[str] = []

    def count(text: str) -> int:
        calls.append(text)
        return 1

    assert of_bounded({"input": ["ab"] * 500_000}, count) == 500_000
    assert len(calls) <= MOST


def test_token_ids_are_counted_by_nobody() -> None:
    assert of_bounded({"input": [[1] * 50_000, [2] * 50_000]}, len) == 100_000
