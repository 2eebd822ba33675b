"""The old text completions in the words of chat, and back."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import Completion

from proxy.core.chat import ChatRequest
from proxy.inbound.completions import Completions
from proxy.inbound.way import Fault, Wrong

RID = "req_1"


def request(**body: Any) -> ChatRequest:
    given_ = {"model": "m", "prompt": "Once upon", **body}
    read = Completions().read(given_, orjson.dumps(given_), {})
    assert not isinstance(read, Wrong), read
    return read


def wrong(**body: Any) -> Wrong:
    given_ = {"model": "m", "prompt": "Once upon", **body}
    read = Completions().read(given_, orjson.dumps(given_), {})
    assert isinstance(read, Wrong), read
    return read


def native(asked: ChatRequest) -> Any:
    assert asked.native is not None
    return asked.native


def chunk(text: str | None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m-served", **more}
    return (
        b"data: "
        + orjson.dumps({**body, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]})
        + b"\n\n"
    )


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
COUNTED = b"data: " + orjson.dumps({"model": "m-served", "choices": [], "usage": USAGE}) + b"\n\n"


def streamed(asked: ChatRequest, *chunks: bytes) -> list[dict[str, Any]]:
    """The chunks of a complete stream."""
    renderer = Completions().renderer(asked, RID, 1_700_000_000)
    out = b"".join([renderer.push(one) for one in chunks]) + renderer.close(b"")
    *events, done, nothing = out.split(b"\n\n")
    assert (done, nothing) == (b"data: [DONE]", b"")
    found = [orjson.loads(event.removeprefix(b"data: ")) for event in events]
    for one in found:  # as the API's own stream: `finish_reason` is null until the end
        ended = [{**choice, "finish_reason": choice["finish_reason"] or "stop"} for choice in one["choices"]]
        Completion.model_validate({**one, "choices": ended})
    return found


def whole(asked: ChatRequest, *texts: str, **more: Any) -> Any:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "length"}
        for i, text in enumerate(texts)
    ]
    reply = {"id": "c", "object": "chat.completion", "model": "m-served", "choices": choices, **more}
    body = Completions().renderer(asked, RID, 1_700_000_000).whole(orjson.dumps(reply))
    Completion.model_validate_json(body)
    return orjson.loads(body)


@pytest.mark.parametrize("prompt", ["Once upon", ["Once upon"]])
def test_a_prompt_is_a_message_of_the_user(prompt: Any) -> None:
    asked = request(prompt=prompt, temperature=0.5, stop=["\n"], top_k=5)
    assert asked.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Once upon"}],
        "max_tokens": 16,
        "temperature": 0.5,
        "stop": ["\n"],
        "top_k": 5,
    }
    assert native(asked).api == "completions"
    assert native(asked).body["prompt"] == prompt
    assert native(asked).only == ""


def test_without_a_limit_it_is_that_of_the_api() -> None:
    assert request().body["max_tokens"] == 16
    assert request(max_tokens=7).body["max_tokens"] == 7


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"prompt": ["a", "b"]}, "several prompts"),
        ({"prompt": [1, 2]}, "token ids"),
        ({"prompt": [[1], [2]]}, "token ids"),
        ({"suffix": "the end"}, "middle"),
    ],
)
def test_what_a_chat_cannot_do_only_a_server_of_the_api_is_asked_for(body: dict[str, Any], word: str) -> None:
    assert word in native(request(**body)).only


def test_what_is_left_out_elsewhere_is_named() -> None:
    assert native(request(best_of=3, logprobs=2)).lost == ("best_of", "logprobs")
    assert native(request(best_of=1)).lost == ()
    assert "logprobs" not in request(logprobs=2).body


def test_a_whole_answer() -> None:
    answer = whole(request(n=2), " a time", " a hill", usage=USAGE)
    assert (answer["object"], answer["model"], answer["created"]) == ("text_completion", "m-served", 1_700_000_000)
    assert [choice["text"] for choice in answer["choices"]] == [" a time", " a hill"]
    assert answer["choices"][0] == {"text": " a time", "index": 0, "logprobs": None, "finish_reason": "length"}
    assert answer["usage"] == USAGE


def test_a_stream() -> None:
    found = streamed(request(stream=True), chunk(""), chunk(" a"), chunk(" time"), chunk(None, "stop"), COUNTED)
    assert [one["choices"][0]["text"] for one in found] == [" a", " time", ""]
    assert [one["choices"][0]["finish_reason"] for one in found] == [None, None, "stop"]


def test_usage_is_for_those_who_ask_for_it() -> None:
    asked = request(stream=True, stream_options={"include_usage": True})
    assert asked.wants_usage
    assert streamed(asked, chunk("a"), chunk(None, "stop"), COUNTED)[-1]["usage"] == USAGE
    assert not request(stream=True).wants_usage


def test_an_echo_is_the_prompt_before_each_choice() -> None:
    asked = request(echo=True, stream=True, n=2)
    found = streamed(asked, chunk(" a"), chunk(" b", index=1), chunk(" c"), chunk(None, "stop"))
    assert [one["choices"][0]["text"] for one in found] == ["Once upon a", "Once upon b", " c", ""]
    assert whole(request(echo=True), " a")["choices"][0]["text"] == "Once upon a"


def test_a_stream_that_breaks_off_ends_with_the_error_and_without_its_marker() -> None:
    renderer = Completions().renderer(request(stream=True), RID, 1)
    renderer.push(chunk(" a"))
    out = renderer.broken(Fault(502, "It broke.", "upstream_error", "upstream_reset", None, RID, 2))
    error = orjson.loads(out.removeprefix(b"data: "))["error"]
    assert (error["message"], error["received_chars"], error["request_id"]) == ("It broke.", 2, RID)
    assert b"[DONE]" not in out


def test_a_native_stream_gets_its_end_marker() -> None:
    assert Completions().ending(b"") == b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"echo": "yes"}, "echo"),
        ({"stream_options": 1}, "stream_options"),
        ({"model": None}, "model"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_place(body: dict[str, Any], param: str) -> None:
    assert wrong(**body).param == param


PIECES = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=5)


@settings(max_examples=80, deadline=None)
@given(PIECES, st.booleans())
def test_streamed_and_whole_answers_say_the_same(pieces: list[str], echo: bool) -> None:
    asked = request(stream=True, echo=echo)
    found = streamed(asked, *map(chunk, pieces), chunk(None, "length"))
    text = "".join(choice["text"] for one in found for choice in one["choices"])
    assert text == whole(asked, "".join(pieces))["choices"][0]["text"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "index", "delta", "message", "content", "text", "finish_reason", "usage"]),
            inner,
        )
    ),
    max_leaves=10,
)
NAMES = st.sampled_from(["prompt", "suffix", "echo", "n", "best_of", "logprobs", "stream", "stream_options"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, JSON), st.dictionaries(st.sampled_from(["choices", "usage", "model"]), JSON))
def test_nothing_that_comes_from_either_side_makes_it_raise(body: dict[str, Any], reply: dict[str, Any]) -> None:
    given_ = {"model": "m", "prompt": "x", **body}
    api = Completions()
    read = api.read(given_, orjson.dumps(given_), {})
    if isinstance(read, Wrong):
        return
    raw = orjson.dumps(reply)
    renderer = api.renderer(read, RID, 1)
    renderer.push(b"data: " + raw + b"\n\n")
    renderer.close(b"")
    for whole_body in (raw, b"[" + raw + b"]", b"[]"):
        api.renderer(read, RID, 1).whole(whole_body)
