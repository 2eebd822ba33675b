"""What comes back from Ollama: thinking, tool calls, probabilities, counts, and a prompt that was cut."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import Completion, Embedding, End, Event, Kind
from proxy.core.dialect import Decoder, Dialect, Malformed, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.usage import Usage

K = FailureKind
SCHEMA = orjson.loads((Path(__file__).parent / "fixtures" / "openai-schema.json").read_bytes())
STAMP = Stamp("chatcmpl-req1", 1790000000, {"messages": [{"role": "user", "content": "hello there"}]})
COUNTS = {"prompt_eval_count": 20, "eval_count": 5}
LAST = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", **COUNTS}
CALL = {"function": {"name": "weather", "arguments": {"city": "Zürich"}}}


def dialect(**options: Any) -> Dialect:
    return bind(Backend("o", "ollama", options=options), Target("o/m", "o", "m"))


def lines(*values: dict[str, Any]) -> bytes:
    head = {"model": "m:latest", "created_at": "2026-11-21T16:00:00Z", "done": False}
    return b"".join(orjson.dumps({**head, **value}) + b"\n" for value in values)


def said(content: str = "", **more: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": content, **more}}


def read(*values: dict[str, Any], stamp: Stamp = STAMP, **options: Any) -> tuple[list[Event], Decoder]:
    decoder = dialect(**options).decoder(wants_usage=True, stamp=stamp)
    return decoder.feed(lines(*values)), decoder


def chunks(events: Iterable[Event]) -> list[dict[str, Any]]:
    """All chunks, each valid by OpenAI's schema."""
    found = [orjson.loads(event.raw.removeprefix(b"data: ")) for event in events if event.raw]
    validator = Draft202012Validator({**SCHEMA, "$ref": "#/components/schemas/CreateChatCompletionStreamResponse"})
    for chunk in found:
        validator.validate(chunk)
    return found


def whole(reply: dict[str, Any], *, stamp: Stamp = STAMP, **options: Any) -> Completion | Failure:
    return dialect(**options).completion(orjson.dumps({"model": "m", "done": True, **reply}), stamp=stamp)


def test_a_stream_begins_with_the_role_and_ends_with_its_finish_its_usage_and_the_end() -> None:
    events, decoder = read(said("Hi"), said(" you"), LAST)
    assert [event.kind for event in events] == [
        *(Kind.EMPTY, Kind.CONTENT, Kind.CONTENT, Kind.EMPTY, Kind.USAGE, Kind.DONE),
    ]
    first, *_, finish, usage = chunks(events)
    assert (first["id"], first["created"], first["model"]) == ("chatcmpl-req1", 1790000000, "m:latest")
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"] == {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
    assert (decoder.close(), decoder.finished, decoder.choices_seen) == (End.COMPLETE, True, 1)
    assert decoder.feed(lines(said("more"))) == []


def test_thinking_comes_as_reasoning_before_the_words_of_the_same_line() -> None:
    events, decoder = read(said("", thinking="hm"), said("so", thinking="!"), LAST)
    assert [event.kind for event in events[1:4]] == [Kind.REASONING, Kind.REASONING, Kind.CONTENT]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(events)[1:4]]
    assert deltas == [{"reasoning_content": "hm"}, {"reasoning_content": "!"}, {"content": "so"}]
    assert decoder.chars == 5


def test_tool_calls_without_ids_get_some_of_their_own_and_are_why_it_ended() -> None:
    events, _ = read(said("", tool_calls=[CALL, {"id": "call_x", **CALL}]), said("", tool_calls=[CALL]), LAST)
    found = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in chunks(events)[1:4]]
    assert [(call["index"], call["id"]) for call in found] == [(0, "call_req1_0"), (1, "call_x"), (2, "call_req1_2")]
    assert all(call["function"] == {"name": "weather", "arguments": '{"city":"Zürich"}'} for call in found)
    assert chunks(events)[4]["choices"][0]["finish_reason"] == "tool_calls"
    answer = whole({**said("", tool_calls=[CALL], thinking="t"), **COUNTS, "done_reason": "stop"})
    assert isinstance(answer, Completion)
    choice = orjson.loads(answer.raw)["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert choice["message"]["reasoning_content"] == "t"
    assert choice["message"]["tool_calls"][0]["id"] == "call_req1_0"


@pytest.mark.parametrize("arguments", [None, {}, ""])
def test_a_call_without_arguments_has_none(arguments: object) -> None:
    events, _ = read(said("", tool_calls=[{"function": {"name": "now", "arguments": arguments}}]), LAST)
    assert chunks(events)[1]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] in ("{}", "")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", "stop"), ("length", "length"), ("", "stop"), (None, "stop"), ("unheard-of", "stop")],
)
def test_why_it_ended_is_said_in_openais_words(reason: str | None, finish: str) -> None:
    events, _ = read(said("a"), {**LAST, "done_reason": reason})
    assert chunks(events)[-2]["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_a_model_that_was_only_loaded_has_said_nothing(reason: str) -> None:
    events, decoder = read({**LAST, "done_reason": reason})
    assert all(event.kind < Kind.CONTENT for event in events)
    assert decoder.empty
    answer = whole({"message": {"role": "assistant", "content": ""}, "done_reason": reason})
    assert isinstance(answer, Completion)
    assert answer.empty


def test_an_answer_whose_tokens_all_went_into_hidden_thought_is_not_empty() -> None:
    _, decoder = read({**LAST, "done_reason": "length"})
    assert not decoder.empty


def test_probabilities_are_handed_on_with_their_words() -> None:
    probable = [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": [{"token": "Ho", "logprob": -2}]}]
    expected = {
        "content": [
            {
                **{"token": "Hi", "logprob": -0.1, "bytes": [72, 105]},
                "top_logprobs": [{"token": "Ho", "logprob": -2, "bytes": None}],
            }
        ],
        "refusal": None,
    }
    events, _ = read({**said("Hi"), "logprobs": probable}, {**said(), "logprobs": probable}, LAST)
    choices = [chunk["choices"][0] for chunk in chunks(events)[1:3]]
    assert [choice["logprobs"] for choice in choices] == [expected, expected]
    assert [choice["delta"] for choice in choices] == [{"content": "Hi"}, {"content": ""}]
    answer = whole({**said("Hi"), "logprobs": probable})
    assert isinstance(answer, Completion)
    assert orjson.loads(answer.raw)["choices"][0]["logprobs"] == expected


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (COUNTS, Usage(20, 5)),
        ({**COUNTS, "prompt_eval_cached_count": 12}, Usage(20, 5, 12)),
        ({**COUNTS, "prompt_eval_cached_count": 99}, Usage(20, 5, 20)),
        ({"prompt_eval_count": 20}, Usage(20, 0)),
        ({"eval_count": 5}, None),
        ({"prompt_eval_count": "20", "eval_count": 5}, None),
        ({}, None),
    ],
)
def test_usage_is_what_ollama_counts_with_cached_tokens_among_them(
    counts: dict[str, object], usage: Usage | None
) -> None:
    """Without a count of the prompt (before 0.2, when it was cached) there is none: better estimated than wrong."""
    _, decoder = read(said("a"), {"message": {"role": "assistant", "content": ""}, "done": True, **counts})
    assert decoder.usage == usage
    answer = whole({**said("a"), **counts})
    assert isinstance(answer, Completion)
    assert answer.usage == usage


LONG = Stamp("i", 1, {"messages": [{"role": "user", "content": "word " * 3000}]})


@pytest.mark.parametrize(
    ("stamp", "counted", "options"),
    [
        (STAMP, 512, {"num_ctx": 512}),  # 0.12.5 cuts to exactly the context
        (STAMP, 511, {"num_ctx": 512}),
        (LONG, 1030, {"num_ctx": 2048}),  # older runners keep about half of it
        (LONG, 2048, {}),  # the server's own context, which we do not know
        (Stamp("i", 1, {**LONG.body, "options": {"num_ctx": 256}}), 256, {"num_ctx": 9999}),
    ],
)
def test_an_answer_to_a_part_of_the_prompt_is_an_error(stamp: Stamp, counted: int, options: dict[str, Any]) -> None:
    answer = whole({**said("the end"), "prompt_eval_count": counted, "eval_count": 2}, stamp=stamp, **options)
    assert isinstance(answer, Failure)
    assert (answer.kind, answer.code) == (K.CONTEXT_LENGTH, "context_length_exceeded")
    events, decoder = read(said("the end"), {**LAST, "prompt_eval_count": counted}, stamp=stamp, **options)
    assert events[-1].failure is not None
    assert (events[-1].kind, events[-1].failure.kind) == (Kind.ERROR, K.CONTEXT_LENGTH)
    assert (decoder.close(), decoder.finished) == (End.ERRORED, False)
    assert decoder.usage == Usage(counted, 5)


@pytest.mark.parametrize(
    ("stamp", "counts", "options"),
    [
        (LONG, {"prompt_eval_count": 3100}, {"num_ctx": 4096}),
        (LONG, {"prompt_eval_count": 3100, "prompt_eval_cached_count": 3000}, {}),
        (LONG, {}, {"num_ctx": 2048}),  # cached before 0.2: no count, no proof
        (LONG, {"prompt_eval_count": 0}, {}),  # nor is that a count
        (LONG, {"prompt_eval_count": 9000}, {"num_ctx": 8192}),  # cloud models have their own context
        (STAMP, {"prompt_eval_count": 1}, {}),  # two words fit into any context
        (LONG, {"prompt_eval_count": 2048}, {"num_ctx": 2048, "truncate": True}),
        (Stamp("i", 1, {**LONG.body, "truncate": True}), {"prompt_eval_count": 2048}, {}),
        (Stamp(), {"prompt_eval_count": 1}, {"num_ctx": 4}),
    ],
)
def test_a_prompt_that_was_read_whole_or_may_be_cut_is_none(
    stamp: Stamp, counts: dict[str, int], options: dict[str, Any]
) -> None:
    assert isinstance(whole({**said("the end"), **counts}, stamp=stamp, **options), Completion)


def test_words_of_the_assistant_and_of_tools_prove_nothing_since_templates_leave_some_out() -> None:
    history = [{"role": "assistant", "content": "word " * 1500}, {"role": "tool", "content": "word " * 1500}]
    stamp = Stamp("i", 1, {"messages": [*history, {"role": "user", "content": "so?"}]})
    assert isinstance(whole({**said("yes"), **COUNTS}, stamp=stamp), Completion)
    wide = Stamp("i", 1, {"messages": [{"role": "user", "content": "漢字" * 4800}]})
    assert isinstance(whole({**said("yes"), **COUNTS}, stamp=wide), Failure)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ({"error": "an error was encountered while running the model"}, K.SERVER_ERROR),
        ({"error": "model runner has unexpectedly stopped", "status": 500}, K.SERVER_ERROR),
        (
            {"error": "the prompt is longer than the context length currently available", "status": 400},
            K.CONTEXT_LENGTH,
        ),
        ({"error": {"message": "context length exceeded", "type": "invalid_request_error"}}, K.CONTEXT_LENGTH),
    ],
)
def test_an_error_in_the_middle_is_told_as_one(line: dict[str, Any], kind: FailureKind) -> None:
    for values in ([line], [said("so far"), line]):
        events, decoder = read(*values)
        assert events[-1].kind is Kind.ERROR
        assert events[-1].failure is not None
        assert events[-1].failure.kind is kind
        assert decoder.close() is End.ERRORED
    answer = whole({"done": False, **line})
    assert isinstance(answer, Failure)
    assert answer.kind is kind


@pytest.mark.parametrize(
    "line",
    [
        b"[1]\n",
        b"nonsense\n",
        b'{"message": "text"}\n',
        b'{"message": {"content": 5}}\n',
        b'{"model": "m", "created_at": "", "message": {"role": "assistant", "content": ["a"]}, "done": false}\n',
        b'{"message": {"content": "", "tool_calls": {"a": 1}}}\n',
        b'{"message": {"content": "", "tool_calls": [{"function": {}}]}}\n',
    ],
)
def test_what_the_protocol_does_not_allow_is_malformed(line: bytes) -> None:
    with pytest.raises(Malformed):
        dialect().decoder(wants_usage=False, stamp=STAMP).feed(line)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"message": {"content": "a"}, "done": false}'])
def test_a_whole_answer_that_is_none_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        dialect().completion(body, stamp=STAMP)


def test_a_last_line_may_say_something_too() -> None:
    events, _ = read(said("a"), {**LAST, **said("b"), "done": True})
    assert "".join(event.text for event in events) == "ab"


def test_embeddings_without_a_count_have_no_usage_of_ours() -> None:
    found = dialect().embedding(b'{"model": "e", "embeddings": [[1, 0.5]]}', base64=False, model="route")
    assert isinstance(found, Embedding)
    assert (found.usage, found.model) == (None, "e")
    assert orjson.loads(found.raw)["model"] == "route"
    older = dialect().embedding(b'{"embedding": [1, 0.5]}', base64=False)
    assert isinstance(older, Embedding)
    assert orjson.loads(older.raw)["data"] == orjson.loads(found.raw)["data"]
    for body in (b'{"embeddings": []}', b'{"embedding": 5}', b'{"embeddings": [["a"]]}', b'{"embeddings": [[1e300]]}'):
        with pytest.raises(Malformed):
            dialect().embedding(body, base64=True)
