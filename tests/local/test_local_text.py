"""Text completions of a local model, by either engine: it goes on with a text as it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local.unix import busy, get, post, seconds_until, sent

PROMPT = "One, two, three, four, five, six,"


def ask(prompt: Any = PROMPT, **more: Any) -> dict[str, Any]:
    return {"model": "any", "prompt": prompt, "temperature": 0, **more}


def whole(path: str, body: dict[str, Any]) -> dict[str, Any]:
    status, answer = post(path, "/v1/completions", body)
    assert status == 200, answer
    return answer


def streamed(path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events, which must end in `[DONE]`."""
    with sent(path, "/v1/completions", {**body, "stream": True}) as connection:
        response = connection.getresponse()
        raw = response.read()
        assert response.status == 200, raw
    events = [line[6:] for line in raw.decode().split("\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


def test_it_goes_on_with_the_text_and_does_not_answer_it(smollm: str) -> None:
    answer = whole(smollm, ask(max_tokens=8))
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"].startswith(" seven, eight")
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["model"] == "smollm2"
    assert answer["usage"]["completion_tokens"] == 8
    assert answer["usage"]["prompt_tokens"] < 20  # no template around it


def test_a_stream_says_the_same(smollm: str) -> None:
    events = streamed(smollm, ask(max_tokens=8, stream_options={"include_usage": True}))
    text = "".join(choice["text"] for event in events for choice in event["choices"])
    answer = whole(smollm, ask(max_tokens=8))
    assert text == answer["choices"][0]["text"]
    assert {event["object"] for event in events} == {"text_completion"}
    assert [e["choices"][0]["finish_reason"] for e in events if e["choices"]][-1] == "length"
    assert events[-1]["usage"]["completion_tokens"] == answer["usage"]["completion_tokens"]


def test_without_a_limit_it_is_sixteen_tokens(smollm: str) -> None:
    assert whole(smollm, ask())["usage"]["completion_tokens"] == 16


def test_a_stop_sequence_ends_it(smollm: str) -> None:
    [choice] = whole(smollm, ask(stop=[" eight"], max_tokens=30))["choices"]
    assert (choice["text"], choice["finish_reason"]) == (" seven,", "stop")


def test_token_ids_are_a_prompt_too(smollm: str) -> None:
    assert whole(smollm, ask([1, 2, 3], max_tokens=2))["usage"]["prompt_tokens"] in (3, 4)


@pytest.mark.parametrize(
    "body",
    [
        {"suffix": "."},
        {"echo": True},
        {"n": 2},
        {"best_of": 2},
        {"prompt": ["a", "b"]},
        {"prompt": ""},
        {"logprobs": 1},
    ],
)
def test_what_it_cannot_do_is_refused(smollm: str, body: dict[str, Any]) -> None:
    status, answer = post(smollm, "/v1/completions", {**ask(), **body})
    assert status == 400
    assert answer["error"]["message"]


def test_a_prompt_that_is_too_long_is_told_as_such(smollm: str) -> None:
    status, answer = post(smollm, "/v1/completions", ask("word " * 5000))
    assert (status, answer["error"]["type"]) == (400, "exceed_context_size_error")


def test_a_client_that_leaves_stops_it(smollm: str) -> None:
    with sent(smollm, "/v1/completions", ask("Once upon a time", max_tokens=400, stream=True)) as connection:
        assert connection.getresponse().read(10)
    seconds_until(lambda: not busy(smollm))
    assert get(smollm, "/health")[0] == 200


def test_a_model_for_embeddings_has_none(embedder: str) -> None:
    assert post(embedder, "/v1/completions", ask())[0] == 501
