"""Text completions, handed on as they are."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.backends.head import address
from proxy.backends.openai_completions import CompletionsDialect
from proxy.backends.openai_spec import OpenAICompatible
from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest, Completion, End, Kind, Native
from proxy.core.dialect import Decoder, Malformed, Prepared, Stamp
from proxy.core.failure import Failure
from proxy.core.route import Target

NATIVE = Stamp(native="completions")
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
WHERE = "http://127.0.0.1:8000/v1"


def dialect(**target: Any) -> CompletionsDialect:
    backend = Backend("up", "vllm", WHERE)
    return CompletionsDialect(OpenAICompatible(), address(WHERE), backend, Target("up/m", "up", "m", **target))


def asked(to: CompletionsDialect, *, stream: bool = False, **body: Any) -> Prepared:
    given = {"model": "route", "prompt": "Once", "suffix": "end", **body}
    chat = {"model": "route", "messages": [{"role": "user", "content": "Once"}]}
    prepared = to.chat(ChatRequest(b"", chat, "route", stream, False, Native("completions", given)))
    assert isinstance(prepared, Prepared)
    return prepared


def piece(text: str, finish: str | None = None, **more: Any) -> bytes:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return (
        b"data: " + orjson.dumps({"object": "text_completion", "model": "m-1", "choices": [choice], **more}) + b"\n\n"
    )


def decoder(*, wants_usage: bool = False, model: str | None = None) -> Decoder:
    return dialect().decoder(wants_usage=wants_usage, model=model, stamp=NATIVE)


def whole(text: str, finish: str = "stop", **more: Any) -> bytes:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return orjson.dumps({"object": "text_completion", "model": "m-1", "choices": [choice], **more})


def test_the_request_goes_out_as_it_came_but_for_the_models_name() -> None:
    prepared = asked(dialect(), echo=True, prompt=[[1, 2], [3]])
    assert prepared.call.head.startswith(b"POST /v1/completions HTTP/1.1\r\n")
    assert orjson.loads(prepared.call.body) == {"model": "m", "prompt": [[1, 2], [3]], "suffix": "end", "echo": True}
    assert prepared.dropped == ()


def test_a_stream_is_asked_for_its_usage() -> None:
    prepared = asked(dialect(), stream=True)
    assert orjson.loads(prepared.call.body)["stream_options"] == {"include_usage": True}
    assert b"text/event-stream" in prepared.call.head


def test_the_operators_own_parameters_hold() -> None:
    to = dialect(drop=frozenset({"suffix"}), defaults={"temperature": 0}, overrides={"seed": 1})
    prepared = asked(to)
    body = orjson.loads(prepared.call.body)
    assert (body["temperature"], body["seed"], "suffix" in body) == (0, 1, False)
    assert prepared.dropped == ("suffix",)


def test_chat_stays_chat() -> None:
    prepared = dialect().chat(ChatRequest(b"", {"model": "m", "messages": []}, "m", False, False))
    assert isinstance(prepared, Prepared)
    assert b"/chat/completions" in prepared.call.head
    assert isinstance(dialect().completion(b'{"choices":[]}'), Completion)


def test_a_streams_bytes_are_handed_on_and_what_they_say_is_noted() -> None:
    reading = decoder()
    events = reading.feed(piece("Hel") + piece("lo") + piece("", "stop"))
    assert [event.raw for event in events] == [piece("Hel"), piece("lo"), piece("", "stop")]
    assert [event.kind for event in events] == [Kind.CONTENT, Kind.CONTENT, Kind.EMPTY]
    assert (reading.chars, reading.model, reading.finished) == (5, "m-1", True)
    assert reading.close() is End.COMPLETE


def test_usage_that_was_not_asked_for_is_taken_out_and_a_routes_name_put_in() -> None:
    reading = decoder(model="route")
    [event] = reading.feed(piece("Hi", "stop", usage=USAGE))
    assert orjson.loads(event.raw[6:]) == orjson.loads(piece("Hi", "stop")[6:]) | {"model": "route"}
    assert reading.usage is not None
    assert reading.usage.output == 2


def test_the_cuts_between_the_bytes_change_nothing() -> None:
    data = piece("Hel", usage=None) + piece("lo", "stop") + b"data: [DONE]\n\n"
    at_once = decoder().feed(data)
    reading = decoder()
    assert [event for byte in data for event in reading.feed(bytes([byte]))] == at_once


def test_a_stream_without_its_end_is_truncated() -> None:
    reading = decoder()
    reading.feed(piece("Hel"))
    assert reading.close() is End.TRUNCATED


def test_white_space_is_words_here() -> None:
    [event] = decoder().feed(piece("\n"))
    assert (event.kind, event.text) == (Kind.CONTENT, "")


@pytest.mark.parametrize(("finish", "empty"), [("stop", False), ("error?", True)])
def test_nothing_to_add_is_an_answer(finish: str, empty: bool) -> None:
    answer = dialect().completion(whole("", finish), stamp=NATIVE)
    assert isinstance(answer, Completion)
    assert answer.empty is empty


def test_a_whole_answer_is_handed_on() -> None:
    body = whole("Hello", usage=USAGE)
    answer = dialect().completion(body, stamp=NATIVE)
    assert isinstance(answer, Completion)
    assert (answer.raw, answer.chars, answer.model) == (body, 5, "m-1")
    assert answer.usage is not None
    renamed = dialect().completion(body, model="route", stamp=NATIVE)
    assert isinstance(renamed, Completion)
    assert orjson.loads(renamed.raw) == orjson.loads(body) | {"model": "route"}


def test_an_error_under_200_is_a_failure() -> None:
    body = orjson.dumps({"error": {"message": "it broke", "type": "server_error"}})
    assert isinstance(dialect().completion(body, stamp=NATIVE), Failure)
    [event] = decoder().feed(b"data: " + body + b"\n\n")
    assert event.kind is Kind.ERROR


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b'{"choices": 7}', b'{"choices": [7]}', b"{}", b"[{}]"])
def test_any_bytes_raise_only_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        dialect().completion(body, stamp=NATIVE)


@pytest.mark.parametrize(
    ("type_", "base_url", "model", "line"),
    [
        ("vllm", "http://127.0.0.1:8000", "m", b"POST /v1/completions "),
        ("openai", "http://127.0.0.1:8000/v1", "m", b"POST /v1/completions "),
        ("openai", "https://api.openai.com/v1", "gpt-3.5-turbo-instruct", b"POST /v1/completions "),
        ("deepseek", "https://api.deepseek.com", "deepseek-chat", b"POST /beta/completions "),
        ("deepseek", "https://api.deepseek.com/v1", "deepseek-chat", b"POST /beta/completions "),
    ],
)
def test_who_has_them_is_asked_for_them(type_: str, base_url: str, model: str, line: bytes) -> None:
    to = bind(Backend("up", type_, base_url), Target(f"up/{model}", "up", model))
    assert to.speaks == {"completions"}
    given = {"model": "route", "prompt": "Once"}
    prepared = to.chat(ChatRequest(b"", {}, "route", False, False, Native("completions", given)))
    assert isinstance(prepared, Prepared)
    assert prepared.call.head.startswith(line)


@pytest.mark.parametrize(
    ("type_", "base_url", "model"),
    [("openai", "https://api.openai.com/v1", "gpt-4o"), ("groq", "https://api.groq.com/openai/v1", "llama-3.3-70b")],
)
def test_who_has_none_does_not_say_so(type_: str, base_url: str, model: str) -> None:
    to = bind(Backend("up", type_, base_url), Target(f"up/{model}", "up", model))
    assert "completions" not in to.speaks
