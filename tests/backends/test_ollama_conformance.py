"""Ollama's own API, on what Ollama really sent."""

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
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.core.sse import MAX_EVENT
from proxy.testing import conformance
from proxy.testing.exchange import Exchange, load
from tests.examples import many

KEY = "sk-thekeythatmustnotgetout0123456789"
HERE = Path(__file__).parent / "fixtures"
EXCHANGES = load(HERE / "ollama.jsonl")
SCHEMA = orjson.loads((HERE / "openai-schema.json").read_bytes())
SILENT: tuple[object, ...] = ("", None, [], {})
"""How the recorded clients say nothing, in fields that we leave out."""


def some(pick: Callable[[Exchange], bool]) -> pytest.MarkDecorator:
    chosen = [exchange for exchange in EXCHANGES if pick(exchange)]
    assert chosen
    return pytest.mark.parametrize("exchange", chosen, ids=lambda exchange: exchange.id)


def bound(exchange: Exchange) -> Dialect:
    backend = Backend("o", "ollama", exchange.url.split("/api/")[0], Secret(KEY))
    return bind(backend, Target("o/it", "o", exchange.model))


def as_we_say_it(sent: dict[str, Any]) -> dict[str, Any]:
    """A recorded request with what we add for a reason, and without what says nothing.

    `stream` is said (Ollama streams by default); a prompt that is too long is to be refused, not cut (`truncate`,
    `shift`); calls and results carry their ids, and results the tool's name, which the recordings of 2024 have not.
    """
    said = {name: value for name, value in sent.items() if value not in SILENT or name == "messages"}
    said["truncate"] = False
    if "input" in said:
        return said
    said.setdefault("stream", True)
    said["shift"] = False
    for message in said["messages"]:
        for call in message.get("tool_calls", []):
            call["id"] = "call_0"
        if message["role"] == "tool":
            message.update(tool_call_id="call_0", tool_name="get_current_weather")
    return said


@some(lambda e: e.endpoint != "generate")
def test_what_we_send_is_what_ollama_accepted(exchange: Exchange) -> None:
    sent = as_we_say_it(orjson.loads(orjson.dumps(exchange.sent)))
    conformance.check_call(bound(exchange), dataclasses.replace(exchange, sent=sent), asks_usage=False)


@some(lambda e: e.endpoint == "generate")
def test_where_a_client_took_api_generate_we_take_api_chat(exchange: Exchange) -> None:
    asked = conformance.chat_request(exchange, wants_usage=False)
    call = conformance.prepared(bound(exchange).chat(asked)).call
    assert call.head.startswith(b"POST /api/chat HTTP/1.1\r\n")
    body = orjson.loads(call.body)
    assert body["options"] == exchange.sent["options"]
    assert body["messages"] == [{"role": "user", "content": exchange.sent["prompt"]}]


answers = some(lambda e: e.status == 200 and e.endpoint != "embeddings" and not e.streaming)
streams = some(lambda e: e.status == 200 and e.streaming)


@answers
def test_an_answer_is_read_and_handed_on_whole(exchange: Exchange) -> None:
    conformance.check_answer(bound(exchange), exchange)


@some(lambda e: e.status == 200 and e.endpoint == "embeddings")
def test_embeddings_come_in_the_encoding_asked_for(exchange: Exchange) -> None:
    conformance.check_embedding(bound(exchange), exchange)


@some(lambda e: e.status != 200)
def test_an_error_lands_on_its_row_of_the_verdict_table(exchange: Exchange) -> None:
    conformance.check_failure(bound(exchange), exchange)


@streams
@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_stream_is_read_and_handed_on_whole(exchange: Exchange, wants_usage: bool) -> None:
    # The last event is the end marker: Ollama's last line says that it is the last.
    events = conformance.check_stream(bound(exchange), exchange, wants_usage=wants_usage)
    assert events[-1].kind is Kind.DONE


@streams
def test_the_routes_name_can_stand_in_every_chunk(exchange: Exchange) -> None:
    conformance.check_renamed(bound(exchange), exchange)


@streams
def test_the_cuts_between_the_bytes_change_nothing(exchange: Exchange) -> None:
    dice = random.Random(exchange.id)
    for body in (exchange.body, exchange.body.replace(b"\n", b"\r\n"), exchange.body.replace(b"\n", b"\n\n")):
        size = len(body)
        cuts = [sorted(dice.sample(range(1, size), dice.choice((1, 2, 7, 50)))) for _ in range(20)]
        conformance.check_cuts(bound(exchange), body, [range(1, size), *cuts])


@streams
def test_a_stream_cut_anywhere_before_its_last_line_ends_is_truncated(exchange: Exchange) -> None:
    conformance.check_truncation(
        bound(exchange), exchange, range(len(exchange.body) + 1), finished_at=len(exchange.body)
    )


@some(lambda e: e.status == 200)
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
        assert isinstance(answer, Completion)
        name, sent = "CreateChatCompletionResponse", [orjson.loads(answer.raw)]
    assert sent
    for value in sent:
        Draft202012Validator({**SCHEMA, "$ref": f"#/components/schemas/{name}"}).validate(value)


@some(lambda e: e.status == 200 and e.endpoint == "chat")
def test_the_key_is_in_no_printed_form(exchange: Exchange) -> None:
    conformance.check_discreet(bound(exchange), KEY, exchange)


PLAIN = bind(Backend("o", "ollama"), Target("o/m", "o", "m"))
NAMES = [
    *("message", "content", "thinking", "tool_calls", "function", "name", "arguments", "id", "done", "done_reason"),
    *("error", "status", "model", "embeddings", "prompt_eval_count", "prompt_eval_cached_count", "eval_count"),
    *("logprobs", "token", "bytes", "top_logprobs", "response"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "stop", '{"error": {}}']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=15,
)


@given(data=st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_bytes_at_all_raise_only_malformed(data: bytes) -> None:
    conformance.check_any_bytes(PLAIN, data)
    conformance.check_any_bytes(PLAIN, b'{"message": ' + data + b"}\n")


@given(values=st.lists(JSON, max_size=4), wrapped=JSON)
@settings(max_examples=many(150), deadline=None)
def test_json_of_any_shape_raises_only_malformed(values: list[object], wrapped: object) -> None:
    for value in values:
        conformance.check_any_bytes(PLAIN, orjson.dumps(value) + b"\n")
        for shape in ({"message": value, "done": True}, {"message": {"content": "a", "tool_calls": [value]}}):
            conformance.check_any_bytes(PLAIN, orjson.dumps({**shape, "logprobs": [wrapped]}) + b"\n")
        conformance.check_any_bytes(PLAIN, orjson.dumps({"embeddings": value}))


@given(values=st.lists(JSON, max_size=6), cut=st.integers(1, 40), ending=st.sampled_from(["\n", "\r\n", "\n\n"]))
@settings(max_examples=100, deadline=None)
def test_cuts_change_nothing_in_streams_of_any_json(values: list[object], cut: int, ending: str) -> None:
    body = b"".join(orjson.dumps(value) + ending.encode() for value in values)
    conformance.check_cuts(PLAIN, body, [range(1, len(body)), range(cut, len(body), cut)])


@pytest.mark.parametrize("piece", [b"", b'{"message":', b"{}\n{", b"\n\n"])
def test_a_line_without_an_end_is_given_up(piece: bytes) -> None:
    conformance.check_bounded(PLAIN, piece, MAX_EVENT)


def test_a_line_that_is_too_long_is_given_up_though_it_ends() -> None:
    line = b'{"message": {"role": "assistant", "content": "' + b"x" * MAX_EVENT + b'"}, "done": false}\n'
    for pieces in ([line], [line[:10], line[10:]], [line[:-1], line[-1:]]):
        assert conformance.run(PLAIN.decoder(wants_usage=False), pieces) == ("malformed",)
