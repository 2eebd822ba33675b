"""Every backend type, on what its providers really sent."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import Kind
from proxy.core.dialect import Dialect
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.core.sse import MAX_EVENT
from proxy.testing import conformance
from proxy.testing.exchange import Exchange, load
from tests.examples import many

URL = "https://api.example.com/v1"
KEY = "sk-thekeythatmustnotgetout0123456789"
HERE = Path(__file__).parent / "fixtures"
KINDS = ("openai", "azure", "deepseek", "llamacpp", "openrouter", "perplexity")
"""Types that stand for all that speak OpenAI's dialect: each does something in a way of its own."""
EXCHANGES = load(HERE / "openai.jsonl")
SCHEMA = orjson.loads((HERE / "openai-schema.json").read_bytes())

Bound = Callable[[Exchange], Dialect]


def some(pick: Callable[[Exchange], bool]) -> pytest.MarkDecorator:
    chosen = [exchange for exchange in EXCHANGES if pick(exchange)]
    assert chosen
    return pytest.mark.parametrize("exchange", chosen, ids=lambda exchange: exchange.id)


answers = some(lambda e: e.status == 200 and e.endpoint == "chat" and not e.streaming)
streams = some(lambda e: e.status == 200 and e.streaming)
whole_streams = some(lambda e: e.status == 200 and e.streaming and "error" not in e.golden)
embeddings = some(lambda e: e.status == 200 and e.endpoint == "embeddings")
errors = some(lambda e: e.status != 200)
own = some(lambda e: e.status == 200 and e.provider in {"openai", "azure"})


def as_we_ask(exchange: Exchange) -> Exchange:
    """OpenRouter is asked what an answer costs, which not all of those did who were recorded."""
    more = {"usage": {"include": True}} if exchange.provider == "openrouter" else {}
    return dataclasses.replace(exchange, sent={**exchange.sent, **more})


@some(lambda e: e.id != "openai-033")
def test_what_we_send_is_what_the_provider_accepted(exchange: Exchange, bound: Bound) -> None:
    """(Mistral reports usage unasked, and takes no question for it.)"""
    conformance.check_call(bound(exchange), as_we_ask(exchange), asks_usage=exchange.provider != "mistral")


@some(lambda e: e.id == "openai-033")
def test_what_a_provider_refused_is_not_sent(exchange: Exchange, bound: Bound) -> None:
    """`stop` to gpt-5-mini: refused when this was recorded."""
    assert b"'stop' is not supported" in exchange.body
    asked = conformance.prepared(bound(exchange).chat(conformance.chat_request(exchange, wants_usage=False)))
    assert asked.dropped == asked.unsupported == ("stop",)
    assert orjson.loads(asked.call.body) == {name: exchange.sent[name] for name in exchange.sent if name != "stop"}


@answers
def test_an_answer_is_read_and_handed_on_whole(exchange: Exchange, bound: Bound) -> None:
    conformance.check_answer(bound(exchange), exchange)


@embeddings
def test_embeddings_come_in_the_encoding_asked_for(exchange: Exchange, bound: Bound) -> None:
    conformance.check_embedding(bound(exchange), exchange)


@errors
def test_an_error_lands_on_its_row_of_the_verdict_table(exchange: Exchange, bound: Bound) -> None:
    conformance.check_failure(bound(exchange), exchange)


@streams
@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_stream_is_read_and_handed_on_whole(exchange: Exchange, bound: Bound, wants_usage: bool) -> None:
    conformance.check_stream(bound(exchange), exchange, wants_usage=wants_usage)


@streams
def test_the_routes_name_can_stand_in_every_chunk(exchange: Exchange, bound: Bound) -> None:
    conformance.check_renamed(bound(exchange), exchange)


@streams
def test_the_cuts_between_the_bytes_change_nothing(exchange: Exchange, bound: Bound) -> None:
    size = len(exchange.body)
    dice = random.Random(exchange.id)
    crlf = exchange.body if b"\r\n" in exchange.body else exchange.body.replace(b"\n", b"\r\n")
    for body in (exchange.body, crlf):
        cuts = [sorted(dice.sample(range(1, size), dice.choice((1, 2, 7, 50)))) for _ in range(20)]
        conformance.check_cuts(bound(exchange), body, [range(1, len(body)), *cuts])


@whole_streams
def test_a_stream_cut_anywhere_before_its_finish_is_truncated(exchange: Exchange, bound: Bound) -> None:
    size = len(exchange.body)
    near = conformance.finish_offset(exchange)
    cuts = {*random.Random(exchange.id).sample(range(size), 40), *range(max(0, near - 20), min(size, near + 20)), 0}
    conformance.check_truncation(bound(exchange), exchange, sorted(cuts))


@own
def test_what_leaves_us_is_openais_schema(exchange: Exchange, bound: Bound) -> None:
    """The published schema, amended where recordings of api.openai.com itself prove it wrong (see the fixture)."""
    dialect = bound(exchange)
    if exchange.endpoint == "embeddings":
        read = dialect.embedding(exchange.body, base64=True)
        name, sent = "CreateEmbeddingResponse", [orjson.loads(getattr(read, "raw", b""))]
    elif exchange.streaming:
        events = dialect.decoder(wants_usage=True).feed(exchange.body)
        name = "CreateChatCompletionStreamResponse"
        sent = [orjson.loads(event.raw.removeprefix(b"data: ")) for event in events if event.raw]
    else:
        answer = dialect.completion(exchange.body)
        name, sent = "CreateChatCompletionResponse", [orjson.loads(getattr(answer, "raw", b""))]
    schema = {**SCHEMA, "$ref": f"#/components/schemas/{name}"}
    assert sent
    for value in sent:
        Draft202012Validator(schema).validate(value)


@pytest.mark.parametrize("type_", KINDS)
@given(data=st.binary(max_size=300))
@settings(max_examples=40, deadline=None)
def test_any_bytes_at_all_raise_only_malformed(type_: str, data: bytes) -> None:
    dialect = bind(Backend("b", type_, URL), Target("b/m", "b", "m"))
    for framed in (data, b"data: " + data + b"\n\n"):
        conformance.check_any_bytes(dialect, framed)


NAMES = (HERE / "names.txt").read_text().split()
"""Field names that mean something in OpenAI's dialect."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "stop", "error", "[DONE]"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("type_", KINDS)
@given(value=JSON, wrapped=JSON)
@settings(max_examples=many(60), deadline=None)
def test_json_of_any_shape_raises_only_malformed(type_: str, value: object, wrapped: object) -> None:
    dialect = bind(Backend("b", type_, URL), Target("b/m", "b", "m"))
    shapes = (
        value,
        {"choices": [{"index": 0, "delta": wrapped, "message": wrapped}], "usage": value},
        {"data": [value]},
    )
    for shape in (*shapes, {"error": value}, {"error": {"details": value, "metadata": wrapped, "detail": [wrapped]}}):
        conformance.check_any_bytes(dialect, orjson.dumps(shape))
        conformance.check_any_bytes(dialect, b"data: " + orjson.dumps(shape) + b"\n\n")


@given(
    values=st.lists(JSON | st.just("[DONE]"), max_size=6), cut=st.integers(1, 40), ending=st.sampled_from("\n \r \r\n")
)
@settings(max_examples=100, deadline=None)
def test_cuts_change_nothing_in_streams_of_any_json(values: list[object], cut: int, ending: str) -> None:
    dialect = bind(Backend("b", "openai", api_key=Secret(KEY)), Target("b/m", "b", "m"))
    events = [b"[DONE]" if value == "[DONE]" else orjson.dumps(value) for value in values]
    end = ending.strip(" ").encode() or b"\n"
    body = b"".join(b"data: " + event + end + end for event in events)
    conformance.check_cuts(dialect, body, [range(1, len(body)), range(cut, len(body), cut)])


@pytest.mark.parametrize("type_", KINDS)
@pytest.mark.parametrize("piece", [b"", b"data: ", b": a comment", b"data: {}\ndata: ", b"event: "])
def test_an_event_without_an_end_is_given_up(type_: str, piece: bytes) -> None:
    dialect = bind(Backend("b", type_, URL), Target("b/m", "b", "m"))
    conformance.check_bounded(dialect, piece, MAX_EVENT)


def test_an_upstream_that_invents_choices_is_given_up() -> None:
    dialect = bind(Backend("b", "openai"), Target("b/m", "b", "m"))
    chunk = b'data: {"choices": [{"index": %d, "delta": {}}]}\n\n'
    body = b"".join(chunk % number for number in range(2000))
    assert conformance.run(dialect.decoder(wants_usage=False), [body[: len(body) // 4]]) != ("malformed",)
    assert conformance.run(dialect.decoder(wants_usage=False), [body]) == ("malformed",)


@some(lambda e: e.status == 200 and e.endpoint == "chat")
def test_the_key_is_in_no_printed_form(exchange: Exchange, bound: Bound) -> None:
    conformance.check_discreet(bound(exchange), KEY, exchange)


@streams
def test_role_only_deltas_are_held_and_finish_reasons_are_not_lost(exchange: Exchange, bound: Bound) -> None:
    events = conformance.check_stream(bound(exchange), exchange, wants_usage=False)
    speaking = [event for event in events if event.kind >= Kind.CONTENT]
    assert speaking
    assert events.index(speaking[0]) <= 3
    assert all(event.raw for event in speaking)
