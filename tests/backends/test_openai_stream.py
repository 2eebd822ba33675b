"""What a stream in OpenAI's dialect means, case by case; whole recordings are tried in test_conformance."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.core.chat import End, Event, Kind
from proxy.core.dialect import Decoder, Dialect, Malformed
from proxy.core.failure import FailureKind
from proxy.core.usage import Usage

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13}


def chunk(*choices: dict[str, Any], **more: Any) -> bytes:
    body = {"id": "c", "object": "chat.completion.chunk", "model": "gpt-1", "choices": list(choices), **more}
    return b"data: " + orjson.dumps(body) + b"\n\n"


def choice(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


def fed(
    dialect: Dialect, *pieces: bytes, wants_usage: bool = False, model: str | None = None
) -> tuple[Decoder, list[Event]]:
    decoder = dialect.decoder(wants_usage=wants_usage, model=model)
    return decoder, [event for piece in pieces for event in decoder.feed(piece)]


def kinds(events: list[Event]) -> list[Kind]:
    return [event.kind for event in events]


ROLE = chunk(choice(role="assistant", content=""))
HI = chunk(choice(content="hi"))
STOP = chunk(choice(finish="stop"))


@pytest.mark.parametrize(
    ("delta", "kind", "text", "chars"),
    [
        ({}, Kind.EMPTY, "", 0),
        ({"role": "assistant", "content": "", "refusal": None}, Kind.EMPTY, "", 0),
        ({"content": None, "tool_calls": []}, Kind.EMPTY, "", 0),
        ({"content": "", "reasoning": "", "reasoning_details": []}, Kind.EMPTY, "", 0),
        ({"content": "hé"}, Kind.CONTENT, "hé", 2),
        ({"role": "assistant", "content": "hi"}, Kind.CONTENT, "hi", 2),
        ({"refusal": "no"}, Kind.CONTENT, "", 2),
        ({"audio": {"data": "AAAA"}}, Kind.CONTENT, "", 0),
        ({"content": None, "reasoning_content": "hm"}, Kind.REASONING, "", 2),
        ({"content": "", "reasoning": "hm"}, Kind.REASONING, "", 2),
        ({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]}, Kind.TOOL, "", 3),
        ({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}, Kind.TOOL, "", 0),
        ({"function_call": {"name": "f"}}, Kind.TOOL, "", 1),
        ({"content": "a", "reasoning": "bc", "tool_calls": [{"function": {"name": "d"}}]}, Kind.CONTENT, "a", 4),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, Kind.REASONING, "", 2),
        ({"content": [{"type": "text", "text": "hi"}]}, Kind.CONTENT, "hi", 2),
    ],
)
def test_a_delta_is_known_for_what_it_says(
    dialect: Dialect, delta: dict[str, Any], kind: Kind, text: str, chars: int
) -> None:
    piece = chunk(choice(**delta))
    decoder, [event] = fed(dialect, piece)
    assert event == Event(kind, piece, text)
    assert decoder.chars == chars
    assert decoder.empty == (kind is Kind.EMPTY)


def test_a_finish_without_content_is_an_event_that_is_sent(dialect: Dialect) -> None:
    decoder, events = fed(dialect, ROLE, HI, STOP, DONE)
    assert kinds(events) == [Kind.EMPTY, Kind.CONTENT, Kind.EMPTY, Kind.DONE]
    assert [event.raw for event in events] == [ROLE, HI, STOP, b""]
    assert (decoder.finished, decoder.close()) == (True, End.COMPLETE)


def test_a_missing_done_is_no_loss_and_a_missing_finish_reason_is(dialect: Dialect) -> None:
    assert fed(dialect, ROLE, HI, STOP)[0].close() is End.COMPLETE
    assert fed(dialect, ROLE, HI)[0].close() is End.TRUNCATED
    assert fed(dialect)[0].close() is End.TRUNCATED


def test_done_ends_an_answer_only_after_it_said_something(dialect: Dialect) -> None:
    assert fed(dialect, ROLE, HI, DONE)[0].close() is End.COMPLETE
    assert fed(dialect, ROLE, HI, b"data: [DONE]")[0].close() is End.COMPLETE
    assert fed(dialect, ROLE, DONE)[0].close() is End.TRUNCATED
    assert fed(dialect, DONE)[0].close() is End.TRUNCATED


def test_nothing_counts_after_done(dialect: Dialect) -> None:
    decoder, events = fed(dialect, ROLE, HI, STOP, DONE + HI + b"garbage\n\n", b"data: garbage\n\n")
    assert kinds(events)[-1] is Kind.DONE
    assert decoder.chars == 2


def test_all_choices_must_finish(dialect: Dialect) -> None:
    zero, one = choice(0, content="a"), choice(1, content="b")
    decoder, events = fed(dialect, chunk(zero), chunk(one), chunk(choice(0, "stop")), chunk(zero, one))
    assert (decoder.choices_seen, decoder.finished, decoder.close()) == (2, False, End.TRUNCATED)
    assert events[-1].text == "ab"
    decoder.feed(chunk(choice(1, "length")))
    assert (decoder.finished, decoder.close()) == (True, End.COMPLETE)


def test_usage_is_taken_out_for_a_client_that_did_not_ask(dialect: Dialect) -> None:
    last = chunk(usage=USAGE)
    for wants_usage, raw in ((False, b""), (True, last)):
        decoder, events = fed(dialect, HI, STOP, last, wants_usage=wants_usage)
        assert events[-1] == Event(Kind.USAGE, raw, usage=Usage(8, 5))
        assert decoder.usage == Usage(8, 5)


def test_usage_beside_choices_is_cumulative_and_taken_out_too(dialect: Dialect) -> None:
    first = chunk(choice(content="a"), usage={**USAGE, "completion_tokens": 1})
    last = chunk(choice(content="b", finish="stop"), usage=USAGE)
    decoder, events = fed(dialect, first, last)
    assert decoder.usage == Usage(8, 5)
    assert [event.raw for event in events] == [chunk(choice(content="a")), chunk(choice(content="b", finish="stop"))]
    assert [event.raw for event in fed(dialect, first, last, wants_usage=True)[1]] == [first, last]


def test_a_null_usage_changes_nothing(dialect: Dialect) -> None:
    piece = chunk(choice(content="a"), usage=None)
    _, [event] = fed(dialect, piece)
    assert event.raw is piece


def test_groq_states_usage_in_its_own_corner(dialect: Dialect) -> None:
    decoder, _ = fed(dialect, HI, chunk(choice(finish="stop"), x_groq={"id": "r", "usage": USAGE}))
    assert decoder.usage == Usage(8, 5)


def test_azures_preamble_is_not_handed_on(dialect: Dialect) -> None:
    """No choices, no id, no object: OpenAI never sends such a chunk, and `chunk.choices[0]` breaks on it."""
    preamble = chunk(id="", object="", model="", prompt_filter_results=[])
    for wants_usage in (True, False):
        decoder, events = fed(dialect, preamble, HI, wants_usage=wants_usage)
        assert events[0] == Event(Kind.EMPTY, b"")
        assert decoder.model == "gpt-1"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"error": {"type": "server_error", "message": "boom"}}, FailureKind.SERVER_ERROR),
        ({"error": {"type": "overloaded_error", "message": "Overloaded"}}, FailureKind.OVERLOADED),
        ({"error": {"code": 429, "message": "slow down"}}, FailureKind.RATE_LIMITED),
        ({"error": "model runner has unexpectedly stopped"}, FailureKind.SERVER_ERROR),
        ({"error": {"code": 502, "message": "x"}, "choices": [choice(finish="error")]}, FailureKind.SERVER_ERROR),
        ({"object": "error", "message": "maximum context length is 4096 tokens"}, FailureKind.CONTEXT_LENGTH),
        ([{"error": {"code": 503, "status": "UNAVAILABLE"}}], FailureKind.OVERLOADED),
        ({"choices": [{**choice(finish="error"), "error": {"code": 503}}]}, FailureKind.OVERLOADED),
        ({"choices": [choice(finish="error")]}, FailureKind.SERVER_ERROR),
        ({"choices": [choice(finish="insufficient_system_resource")]}, FailureKind.OVERLOADED),
    ],
)
def test_an_error_in_the_stream_ends_it(dialect: Dialect, error: object, kind: FailureKind) -> None:
    decoder, events = fed(dialect, ROLE, HI, b"data: " + orjson.dumps(error) + b"\n\n", DONE + HI)
    assert kinds(events) == [Kind.EMPTY, Kind.CONTENT, Kind.ERROR]
    assert events[-1].raw == b""
    assert events[-1].failure is not None
    assert events[-1].failure.kind is kind
    assert decoder.close() is End.ERRORED


def test_an_error_counts_even_after_the_finish_reason(dialect: Dialect) -> None:
    decoder, events = fed(
        dialect, HI, STOP, chunk(choice(), error={"code": 400, "message": "Token limit"}, usage=USAGE)
    )
    assert events[-1].kind is Kind.ERROR
    assert decoder.usage == Usage(8, 5)
    assert decoder.close() is End.ERRORED


def test_an_event_named_error_is_one_whatever_it_holds(dialect: Dialect) -> None:
    for data in (b'{"message": "boom"}', b"boom, and no JSON"):
        _, events = fed(dialect, b"event: error\ndata: " + data + b"\n\n")
        assert events[0].failure is not None
        assert "boom" in events[0].failure.message


def test_a_null_error_is_none(dialect: Dialect) -> None:
    assert kinds(fed(dialect, chunk(choice(content="a"), error=None))[1]) == [Kind.CONTENT]


@pytest.mark.parametrize(
    "event",
    [b"{", b"<html>", b"1", b"null", b'"x"', b"[]", b'{"choices": {"a": 1}}', b'{"choices": [1]}', b"\xff\xfe",
     b'{"choices": [{"delta": 1}]}', b'{"choices": [{"delta": {"content": 1}}]}',
     b'{"choices": [{"delta": {"tool_calls": 1}}]}',
     b'{"a": NaN}', b"[" * 2000 + b"]" * 2000],
)  # fmt: skip
def test_what_the_protocol_does_not_allow_never_reaches_the_client(dialect: Dialect, event: bytes) -> None:
    with pytest.raises(Malformed):
        fed(dialect, HI, b"data: " + event + b"\n\n")


def test_an_answer_whose_tokens_went_into_hidden_reasoning_is_not_empty(dialect: Dialect) -> None:
    decoder, events = fed(dialect, ROLE, chunk(choice(finish="length")), chunk(usage=USAGE), DONE)
    assert set(kinds(events)) == {Kind.EMPTY, Kind.USAGE, Kind.DONE}
    assert (decoder.empty, decoder.close()) == (False, End.COMPLETE)
    assert fed(dialect, ROLE, STOP, chunk(usage=USAGE), DONE)[0].empty


def test_a_filter_that_left_nothing_is_known(dialect: Dialect) -> None:
    blocked = chunk(choice(finish="content_filter"))
    assert fed(dialect, ROLE, blocked)[0].filtered
    assert not fed(dialect, ROLE, HI, blocked)[0].filtered


def test_the_routes_name_stands_in_every_chunk(dialect: Dialect) -> None:
    decoder, events = fed(dialect, ROLE, HI, STOP, chunk(usage=USAGE), model="chat", wants_usage=True)
    assert {orjson.loads(event.raw[6:])["model"] for event in events} == {"chat"}
    assert decoder.model == "gpt-1"


def test_comments_and_odd_framing_come_out_in_order(dialect: Dialect) -> None:
    body = HI.removeprefix(b"data: ").strip()
    odd = b": OPENROUTER PROCESSING\n\nid: 1\r\ndata:" + body.replace(b',"', b',\r\ndata: "') + b"\r\n\r\n"
    decoder, [event] = fed(dialect, odd)
    assert event.text == "hi"
    assert all(line.startswith(b"data: ") for line in event.raw.strip().split(b"\n"))
    again, [same] = fed(dialect, event.raw)
    assert (same.text, again.chars) == ("hi", decoder.chars)
