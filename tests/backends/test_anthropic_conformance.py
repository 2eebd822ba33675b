"""Anthropic's Messages API, on what Anthropic really sent."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import Completion, Kind
from proxy.core.dialect import Dialect, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.core.sse import MAX_EVENT
from proxy.testing import conformance
from proxy.testing.exchange import Exchange, load
from tests.examples import many

KEY = "sk-ant-thekeythatmustnotgetout0123456789"
HERE = Path(__file__).parent / "fixtures"
EXCHANGES = load(HERE / "anthropic.jsonl")
SCHEMA = orjson.loads((HERE / "openai-schema.json").read_bytes())
STAMP = Stamp("chatcmpl-1", 1_790_000_000, {})


def some(pick: Callable[[Exchange], bool]) -> pytest.MarkDecorator:
    chosen = [exchange for exchange in EXCHANGES if pick(exchange)]
    assert chosen
    return pytest.mark.parametrize("exchange", chosen, ids=lambda exchange: exchange.id)


answers = some(lambda e: e.status == 200 and not e.streaming)
streams = some(lambda e: e.streaming)


def bound(exchange: Exchange) -> Dialect:
    backend = Backend("a", "anthropic", exchange.url.split("/messages")[0], Secret(KEY))
    return bind(backend, Target("a/it", "a", exchange.model))


def any_dialect() -> Dialect:
    return bind(Backend("a", "anthropic", api_key=Secret(KEY)), Target("a/m", "a", "claude-sonnet-4-5"))


def as_we_say_it(sent: dict[str, Any]) -> dict[str, Any]:
    """A recorded request in the one of several forms that we write.

    A text alone is by Anthropic's description short for a list with one block of it, `stream: false` what happens
    anyway, and `output_format` (a beta of 2025) has moved to `output_config.format`.
    """
    said = dict(sent)
    said["messages"] = [{**message, "content": blocks(message["content"])} for message in sent["messages"]]
    if not said.get("stream"):
        said.pop("stream", None)
    if "output_format" in said:
        said["output_config"] = {"format": said.pop("output_format")}
    return said


def blocks(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


@some(lambda e: all(isinstance(message, dict) for message in e.sent["messages"]))
def test_what_we_send_is_what_anthropic_accepted(exchange: Exchange) -> None:
    """All but one, whose messages were made wrong on purpose. The beta SDKs add `?beta=true`, which says nothing."""
    plain = dataclasses.replace(
        exchange, url=exchange.url.removesuffix("?beta=true"), sent=as_we_say_it({**exchange.sent})
    )
    conformance.check_call(bound(exchange), plain, asks_usage=False)


@answers
def test_an_answer_is_read_and_translated_whole(exchange: Exchange) -> None:
    conformance.check_answer(bound(exchange), exchange)


@some(lambda e: e.status != 200)
def test_an_error_lands_on_its_row_of_the_verdict_table(exchange: Exchange) -> None:
    conformance.check_failure(bound(exchange), exchange)


@streams
@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_stream_is_read_and_translated_whole(exchange: Exchange, wants_usage: bool) -> None:
    events = conformance.check_stream(bound(exchange), exchange, wants_usage=wants_usage)
    speaking = [event for event in events if event.kind >= Kind.CONTENT]
    assert speaking
    assert events.index(speaking[0]) <= 2
    assert all(event.raw for event in speaking)


@streams
def test_the_routes_name_can_stand_in_every_chunk(exchange: Exchange) -> None:
    conformance.check_renamed(bound(exchange), exchange)


@streams
def test_the_cuts_between_the_bytes_change_nothing(exchange: Exchange) -> None:
    dice = random.Random(exchange.id)
    for body in (exchange.body, exchange.body.replace(b"\n", b"\r\n")):
        size = len(body)
        cuts = [sorted(dice.sample(range(1, size), dice.choice((1, 2, 7, 50)))) for _ in range(20)]
        conformance.check_cuts(bound(exchange), body, [range(1, size), *cuts])


@streams
def test_a_stream_cut_anywhere_before_its_stop_reason_is_truncated(exchange: Exchange) -> None:
    size = len(exchange.body)
    finished = exchange.body.index(b"\n\n", exchange.body.index(b"event: message_delta")) + 2
    cuts = {*random.Random(exchange.id).sample(range(size), 40), *range(finished - 20, min(size, finished + 20)), 0}
    conformance.check_truncation(bound(exchange), exchange, sorted(cuts), finished)


@streams
def test_a_stream_that_is_cut_has_its_input_on_record(exchange: Exchange) -> None:
    """Anthropic tells the input in the first event, and charges for it; the output until then is estimated."""
    decoder = bound(exchange).decoder(wants_usage=True)
    decoder.feed(exchange.body[: exchange.body.index(b"event: message_delta")])
    assert decoder.usage is not None
    start = orjson.loads(exchange.body.split(b"data: ", 2)[1].split(b"\n\n")[0])["message"]["usage"]
    golden = exchange.golden["usage"]
    assert decoder.usage.input == start["input_tokens"] + golden["cached_input"] + golden["cache_write"]
    assert (decoder.usage.cached_input, decoder.usage.cache_write) == (golden["cached_input"], golden["cache_write"])
    assert decoder.usage.output >= decoder.chars // 4
    assert decoder.usage.source.value == "estimated"


@some(lambda e: e.status == 200)
def test_what_leaves_us_is_openais_schema(exchange: Exchange) -> None:
    dialect = bound(exchange)
    if exchange.streaming:
        events = dialect.decoder(wants_usage=True, stamp=STAMP).feed(exchange.body)
        name = "CreateChatCompletionStreamResponse"
        sent = [orjson.loads(event.raw.removeprefix(b"data: ")) for event in events if event.raw]
    else:
        answer = dialect.completion(exchange.body, stamp=STAMP)
        assert isinstance(answer, Completion)
        name, sent = "CreateChatCompletionResponse", [orjson.loads(answer.raw)]
    schema = Draft202012Validator({**SCHEMA, "$ref": f"#/components/schemas/{name}"})
    assert sent
    for value in sent:
        schema.validate(value)
        assert value["created"] == STAMP.created


@some(lambda e: e.status == 200)
def test_the_key_is_in_no_printed_form(exchange: Exchange) -> None:
    conformance.check_discreet(bound(exchange), KEY, exchange)


@streams
def test_a_client_that_speaks_it_gets_anthropics_own_events(exchange: Exchange) -> None:
    """Byte for byte, however they were cut; what is noted of them is the same."""
    plain = bound(exchange).decoder(wants_usage=True)
    plain.feed(exchange.body)
    size = len(exchange.body)
    for step in (1, 7, 100, size):
        decoder = bound(exchange).decoder(wants_usage=False, stamp=STAMP._replace(native="messages"))
        events = [event for at in range(0, size, step) for event in decoder.feed(exchange.body[at : at + step])]
        assert b"".join(event.raw for event in events) == exchange.body
        assert events[-1].kind is Kind.DONE
        noted = (decoder.usage, decoder.chars, decoder.model, decoder.finished, decoder.filtered, decoder.empty)
        assert noted == (plain.usage, plain.chars, plain.model, plain.finished, plain.filtered, plain.empty)
        assert decoder.close() is plain.close()
    assert sum(len(event.text) for event in events) == exchange.golden["choices"][0]["content"]


@streams
def test_only_the_name_changes_in_anthropics_own_events(exchange: Exchange) -> None:
    decoder = bound(exchange).decoder(wants_usage=False, model="a-route", stamp=STAMP._replace(native="messages"))
    events = decoder.feed(exchange.body)
    first = orjson.loads(events[0].raw.partition(b"data: ")[2])
    assert first["message"]["model"] == "a-route"
    assert b"".join(event.raw for event in events[1:]) == exchange.body.partition(b"\n\n")[2]
    assert decoder.model == exchange.golden["model"]


@answers
def test_a_client_that_speaks_it_gets_anthropics_own_answer(exchange: Exchange) -> None:
    native = STAMP._replace(native="messages")
    answer = bound(exchange).completion(exchange.body, stamp=native)
    assert isinstance(answer, Completion)
    assert answer.raw == exchange.body
    translated = bound(exchange).completion(exchange.body, stamp=STAMP)
    assert isinstance(translated, Completion)
    assert answer._replace(raw=b"") == translated._replace(raw=b"")
    named = bound(exchange).completion(exchange.body, model="a-route", stamp=native)
    assert isinstance(named, Completion)
    assert orjson.loads(named.raw) == {**orjson.loads(exchange.body), "model": "a-route"}


def test_there_are_no_embeddings() -> None:
    found = any_dialect().embedding(b"{}", base64=False)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.UNSUPPORTED


@given(data=st.binary(max_size=300))
@settings(max_examples=40, deadline=None)
def test_any_bytes_at_all_raise_only_malformed(data: bytes) -> None:
    for framed in (data, b"data: " + data + b"\n\n", b"event: error\ndata: " + data + b"\n\n"):
        conformance.check_any_bytes(any_dialect(), framed)


WORDS = (HERE / "names.txt").read_text().split()
EVENTS = [
    *("message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta"),
    *("content_block_stop", "ping", "error", "text", "thinking", "redacted_thinking", "tool_use"),
    *("text_delta", "input_json_delta", "thinking_delta", "signature_delta", "citations_delta"),
]
NAMES = [
    *("type", "message", "delta", "index", "content_block", "text", "thinking", "signature", "data", "id", "name"),
    *("input", "partial_json", "citations", "citation", "url", "stop_reason", "usage", "input_tokens", "output_tokens"),
    *("cache_read_input_tokens", "output_tokens_details", "thinking_tokens", "error", "content", "model"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "a", "end_turn", "refusal", *EVENTS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES + WORDS), inner, max_size=5),
    max_leaves=12,
)
OBJECTS = st.fixed_dictionaries({"type": st.sampled_from(EVENTS)}, optional=dict.fromkeys(NAMES[1:12], JSON))
"""Nearly an event."""
NEARLY = st.fixed_dictionaries(
    {"type": st.sampled_from(EVENTS)},
    optional={
        "index": st.integers(0, 1),
        "delta": OBJECTS,
        "content_block": OBJECTS,
        "message": OBJECTS,
        "usage": JSON,
    },
)


@given(values=st.lists(JSON | NEARLY, max_size=5), blocks=st.lists(OBJECTS | JSON, max_size=3))
@settings(max_examples=50, deadline=None)
def test_json_of_any_shape_raises_only_malformed(values: list[object], blocks: list[object]) -> None:
    stream = b"".join(b"event: x\ndata: " + orjson.dumps(value) + b"\n\n" for value in values)
    conformance.check_any_bytes(any_dialect(), stream)
    for whole in (*values, {"type": "message", "content": blocks, "usage": values}):
        conformance.check_any_bytes(any_dialect(), orjson.dumps(whole))


@given(values=st.lists(NEARLY, max_size=6), cut=st.integers(1, 40), native=st.booleans())
@settings(max_examples=many(50), deadline=None)
def test_cuts_change_nothing_in_streams_of_any_events(values: list[object], cut: int, native: bool) -> None:
    stamp = STAMP._replace(native="messages" if native else "")
    body = b"".join(b"event: x\ndata: " + orjson.dumps(value) + b"\n\n" for value in values)

    def told(step: int) -> object:
        decoder = any_dialect().decoder(wants_usage=True, stamp=stamp)
        return conformance.run(decoder, [body[at : at + step] for at in range(0, len(body), step)])

    assert told(len(body) or 1) == told(cut) == told(1)


@pytest.mark.parametrize("piece", [b"", b"event: x\ndata: ", b": a comment", b"data: {}\ndata: ", b"event: "])
def test_an_event_without_an_end_is_given_up(piece: bytes) -> None:
    conformance.check_bounded(any_dialect(), piece, MAX_EVENT)


@pytest.mark.parametrize(
    "event",
    [
        b'{"type":"content_block_start","index":%d,"content_block":{"type":"text","text":""}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"' + b"x" * 9000 + b'"}}',
    ],
)
def test_a_stream_that_only_wants_our_memory_is_given_up(event: bytes) -> None:
    decoder = any_dialect().decoder(wants_usage=False)
    start = b'data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}\n\n'
    events = [b"data: " + (event % number if b"%d" in event else event) + b"\n\n" for number in range(2000)]
    assert conformance.run(decoder, [start, *events[:500]]) != ("malformed",)
    assert conformance.run(any_dialect().decoder(wants_usage=False), [start, *events]) == ("malformed",)
