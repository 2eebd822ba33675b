"""A model that we run says what a stream has cost so far."""

from __future__ import annotations

import orjson
import pytest

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest
from proxy.core.dialect import Dialect, Malformed, TellsTokens
from proxy.core.route import Target
from proxy.testing.conformance import prepared


def _dialect() -> Dialect:
    return bind(Backend("here", "llamacpp"), Target("here/m", "here", "m"))


def _chunk(delta: dict[str, object], **more: object) -> bytes:
    choices = [{"index": 0, "finish_reason": None, "delta": delta}]
    return (
        b"data: " + orjson.dumps({"id": "a", "object": "chat.completion.chunk", "choices": choices, **more}) + b"\n\n"
    )


ROLE: dict[str, object] = {"role": "assistant", "content": None}


def test_the_prompt_is_counted_by_its_event_which_no_client_sees_and_the_answer_by_its_events() -> None:
    decoder = _dialect().decoder(wants_usage=False)
    (event,) = decoder.feed(_chunk(ROLE, prompt_progress={"total": 23, "processed": 23}))
    assert event.raw == b"" and decoder.counted == (23, 0)
    words = [_chunk({"content": word}) for word in ("The", " story", " of")]
    assert decoder.feed(_chunk(ROLE))[0].raw == _chunk(ROLE)
    assert [event.text for event in decoder.feed(b"".join(words))] == ["The", " story", " of"]
    assert decoder.counted == (23, 3)


def test_without_that_event_nothing_is_counted() -> None:
    decoder = _dialect().decoder(wants_usage=False)
    decoder.feed(_chunk(ROLE, prompt_progress={"total": "many"}) + _chunk({"content": "The"}))
    assert decoder.counted is None


def test_only_a_stream_asks_for_it() -> None:
    body = {"model": "m", "messages": []}
    for stream in (False, True):
        call = prepared(_dialect().chat(ChatRequest(b"", {**body, "stream": stream}, "m", stream, False))).call
        assert orjson.loads(call.body).get("return_progress") is (True if stream else None)


def test_the_tokens_of_the_answer_are_kept_and_not_shown() -> None:
    decoder = _dialect().decoder(wants_usage=False)
    assert isinstance(decoder, TellsTokens)
    decoder.feed(_chunk(ROLE, prompt_progress={"total": 23, "processed": 23}))
    bare = [_chunk({"content": "The"}), _chunk({"content": " fox"})]
    told = [_with(bare[0], b"504"), _with(bare[1], b"28,99")]
    assert [event.raw for event in decoder.feed(b"".join(told))] == bare
    assert decoder.tokens == [504, 28, 99]
    assert decoder.counted == (23, 3)


def test_tokens_that_do_not_make_up_the_text_are_no_use_until_the_rest_of_them_comes() -> None:
    decoder = _dialect().decoder(wants_usage=False)
    assert isinstance(decoder, TellsTokens)
    decoder.feed(_chunk(ROLE, prompt_progress={"total": 23, "processed": 23}))
    decoder.feed(_with(_chunk({"content": "The"}), b"504") + _chunk({"content": " fo"}))
    assert decoder.tokens is None and decoder.counted == (23, 2)
    decoder.feed(_with(_chunk({"content": "x"}), b"28,99"))
    assert decoder.tokens == [504, 28, 99]


def test_tokens_that_are_none_are_malformed() -> None:
    decoder = _dialect().decoder(wants_usage=False)
    with pytest.raises(Malformed):
        decoder.feed(_with(_chunk({"content": "The"}), b"[1]"))


def _with(chunk: bytes, tokens: bytes) -> bytes:
    return chunk.replace(b"data: {", b'data: {"tokens":[%b],' % tokens, 1)
