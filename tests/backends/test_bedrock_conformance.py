"""Bedrock's dialect, on exchanges made after its description (see fixtures/README.md)."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import Kind
from proxy.core.dialect import Dialect, Stamp
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.core.sse import MAX_EVENT
from proxy.testing import conformance
from proxy.testing.exchange import Exchange, load
from tests.backends.aws_frames import event, frame

KEY = "sk-thekeythatmustnotgetout0123456789"
HERE = Path(__file__).parent / "fixtures"
EXCHANGES = load(HERE / "bedrock.jsonl")
SCHEMA = orjson.loads((HERE / "openai-schema.json").read_bytes())
MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"


def some(pick: Callable[[Exchange], bool]) -> pytest.MarkDecorator:
    chosen = [exchange for exchange in EXCHANGES if pick(exchange)]
    assert chosen
    return pytest.mark.parametrize("exchange", chosen, ids=lambda exchange: exchange.id)


def bound(exchange: Exchange) -> Dialect:
    backend = Backend("aws", "bedrock", exchange.url.split("/model/")[0], Secret(KEY), options={"region": "us-east-1"})
    return bind(backend, Target("aws/it", "aws", exchange.model))


def plain() -> Dialect:
    return bind(Backend("aws", "bedrock", options={"region": "us-east-1"}), Target("aws/m", "aws", MODEL))


answers = some(lambda e: e.status == 200 and e.endpoint == "chat" and not e.streaming)
streams = some(lambda e: e.status == 200 and e.streaming)
whole_streams = some(lambda e: e.status == 200 and e.streaming and "error" not in e.golden)
good = some(lambda e: e.status == 200)


@some(lambda e: True)
def test_what_we_send_is_what_converse_describes(exchange: Exchange) -> None:
    conformance.check_call(bound(exchange), exchange, asks_usage=False)


@answers
def test_an_answer_is_read_and_handed_on_whole(exchange: Exchange) -> None:
    conformance.check_answer(bound(exchange), exchange)


@some(lambda e: e.status == 200 and e.endpoint == "embeddings" and e.golden["usage"] is not None)
def test_embeddings_come_in_the_encoding_asked_for(exchange: Exchange) -> None:
    conformance.check_embedding(bound(exchange), exchange)


@some(lambda e: e.status == 200 and e.endpoint == "embeddings" and e.golden["usage"] is None)
def test_where_nobody_counted_the_tokens_they_are_estimated(exchange: Exchange) -> None:
    """Cohere's count stands in a header only. It is told to the client where the texts came back."""
    found = bound(exchange).embedding(exchange.body, base64=False)
    usage = getattr(found, "usage", None)
    texts = orjson.loads(exchange.body).get("texts")
    if texts:
        assert usage is not None
        assert usage.source.value == "estimated"
        assert 0 < usage.input < 20
    else:
        assert usage is None
        exchange = dataclasses.replace(exchange, golden={**exchange.golden})
        conformance.check_embedding(bound(exchange), exchange)


@some(lambda e: e.status != 200)
def test_an_error_lands_on_its_row_of_the_verdict_table(exchange: Exchange) -> None:
    conformance.check_failure(bound(exchange), exchange)


@streams
@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_stream_is_read_and_handed_on_whole(exchange: Exchange, wants_usage: bool) -> None:
    events = conformance.check_stream(bound(exchange), exchange, wants_usage=wants_usage)
    assert events[-1].kind is (Kind.ERROR if "error" in exchange.golden else Kind.DONE)


@streams
def test_the_fixtures_are_what_botocore_reads(exchange: Exchange) -> None:
    """Lengths and checksums of what was made are right by another's reading."""
    buffer = EventStreamBuffer()
    buffer.add_data(exchange.body)
    assert all(orjson.loads(message.payload) for message in buffer)


@streams
def test_the_routes_name_can_stand_in_every_chunk(exchange: Exchange) -> None:
    conformance.check_renamed(bound(exchange), exchange)


@streams
def test_the_cuts_between_the_bytes_change_nothing(exchange: Exchange) -> None:
    dice = random.Random(exchange.id)
    size = len(exchange.body)
    cuts = [sorted(dice.sample(range(1, size), dice.choice((1, 2, 7, 50)))) for _ in range(20)]
    conformance.check_cuts(bound(exchange), exchange.body, [range(1, size), *cuts])


@whole_streams
def test_a_stream_cut_anywhere_before_it_says_why_it_stops_is_truncated(exchange: Exchange) -> None:
    at, finished_at = 0, 0
    while not finished_at:
        end = at + int.from_bytes(exchange.body[at : at + 4], "big")
        finished_at = end if b"messageStop" in exchange.body[at:end] else 0
        at = end
    cuts = random.Random(exchange.id).sample(range(len(exchange.body)), 60)
    near = range(finished_at - 10, finished_at + 10)
    conformance.check_truncation(bound(exchange), exchange, sorted({0, *cuts, *near}), finished_at)


@good
def test_what_leaves_us_is_openais_schema(exchange: Exchange) -> None:
    dialect, stamp = bound(exchange), Stamp("chatcmpl-1", 1790000000, exchange.asked)
    if exchange.endpoint == "embeddings":
        read = dialect.embedding(exchange.body, base64=True)
        name, sent = "CreateEmbeddingResponse", [orjson.loads(getattr(read, "raw", b""))]
    elif exchange.streaming:
        events = dialect.decoder(wants_usage=True, stamp=stamp).feed(exchange.body)
        name = "CreateChatCompletionStreamResponse"
        sent = [orjson.loads(event.raw.removeprefix(b"data: ")) for event in events if event.raw]
    else:
        answer = dialect.completion(exchange.body, stamp=stamp)
        name, sent = "CreateChatCompletionResponse", [orjson.loads(getattr(answer, "raw", b""))]
    assert sent
    for value in sent:
        Draft202012Validator({**SCHEMA, "$ref": f"#/components/schemas/{name}"}).validate(value)


@given(data=st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_bytes_at_all_raise_only_malformed(data: bytes) -> None:
    for framed in (data, frame({":message-type": "event", ":event-type": "contentBlockDelta"}, data)):
        conformance.check_any_bytes(plain(), framed)


FIELDS = [
    *("delta", "text", "toolUse", "input", "reasoningContent", "reasoningText", "signature", "redactedContent"),
    *("contentBlockIndex", "start", "name", "toolUseId", "type", "stopReason", "usage", "inputTokens", "outputTokens"),
    *("cacheReadInputTokens", "output", "message", "content", "metrics", "role", "embedding", "embeddings", "float"),
    *("inputTextTokenCount", "texts", "citationsContent", "citation", "originalStatusCode", "__type"),
]
VALUES = (
    st.none() | st.booleans() | st.integers(-2, 9) | st.sampled_from(["", "a", "end_turn", "tool_use", "max_tokens"])
)
JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=12,
)
EVENTS = st.sampled_from(
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "new"]
)


@given(value=JSON, wrapped=JSON, kind=EVENTS)
@settings(max_examples=150, deadline=None)
def test_json_of_any_shape_raises_only_malformed(value: object, wrapped: object, kind: str) -> None:
    answer = {"output": {"message": {"content": [value, wrapped]}}, "stopReason": value, "usage": wrapped}
    told = {"contentBlockIndex": 0, "delta": wrapped, "start": wrapped, "stopReason": value, "usage": value}
    for shape in (value, answer, {"embeddings": value, "texts": wrapped}, {"message": value, "__type": wrapped}):
        conformance.check_any_bytes(plain(), orjson.dumps(shape))
    for body in (value, told):
        conformance.check_any_bytes(plain(), event(kind, body))


@given(kinds=st.lists(st.tuples(EVENTS, JSON), max_size=5), cut=st.integers(1, 90))
@settings(max_examples=80, deadline=None)
def test_cuts_change_nothing_in_streams_of_any_json(kinds: list[tuple[str, object]], cut: int) -> None:
    body = b"".join(
        event(kind, {"contentBlockIndex": 0, "delta": value, "start": value, "usage": value}) for kind, value in kinds
    )
    conformance.check_cuts(plain(), body, [range(1, len(body)), range(cut, len(body), cut)])


@pytest.mark.parametrize("piece", [b"", b"\0", frame({}, bytes(MAX_EVENT - 16))[:12]])
def test_an_event_without_an_end_is_given_up(piece: bytes) -> None:
    conformance.check_bounded(plain(), piece, MAX_EVENT)


def test_an_upstream_that_invents_blocks_is_given_up() -> None:
    start = {"start": {"toolUse": {"toolUseId": "a", "name": "b"}}}
    body = b"".join(event("contentBlockStart", {**start, "contentBlockIndex": number}) for number in range(5000))
    assert conformance.run(plain().decoder(wants_usage=False), [body[: len(body) // 4]]) != ("malformed",)
    assert conformance.run(plain().decoder(wants_usage=False), [body]) == ("malformed",)


@answers
def test_the_key_is_in_no_printed_form(exchange: Exchange) -> None:
    conformance.check_discreet(bound(exchange), KEY, exchange)
