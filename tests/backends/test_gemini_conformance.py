"""Gemini's own API and Vertex, on what Google really sent."""

from __future__ import annotations

import dataclasses
import random
import re
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
from proxy.core.chat import Completion
from proxy.core.dialect import Dialect, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.core.sse import MAX_EVENT
from proxy.testing import conformance
from proxy.testing.exchange import Exchange, load
from tests.examples import many

KEY = "AIzathekeythatmustnotgetout0123456789"
HERE = Path(__file__).parent / "fixtures"
EXCHANGES = [*load(HERE / "gemini.jsonl"), *load(HERE / "vertex.jsonl")]
SCHEMA = orjson.loads((HERE / "openai-schema.json").read_bytes())
TYPES = {1: "STRING", 2: "NUMBER", 3: "INTEGER", 4: "BOOLEAN", 5: "ARRAY", 6: "OBJECT"}
BLOCKED = "vertex-100"
"""A prompt that was not answered at all, under 200."""
WITHHELD = "gemini-086"
"""An answer of which a filter left nothing."""
WRONG_ROLE = "vertex-104"
"""A client's mistake that we could not make."""


def some(pick: Callable[[Exchange], bool]) -> pytest.MarkDecorator:
    chosen = [exchange for exchange in EXCHANGES if pick(exchange)]
    assert chosen
    return pytest.mark.parametrize("exchange", chosen, ids=lambda exchange: exchange.id)


def bound(exchange: Exchange) -> Dialect:
    address, _, query = exchange.url.partition("?")
    query = query.removeprefix("alt=sse")
    where = re.split(r"/projects/|/models/", address)[0] + (f"?{query}" if query else "")
    placed = re.search(r"/projects/([^/]+)/locations/([^/]+)/", address)
    options = {"project": placed[1], "location": placed[2]} if placed else {}
    backend = Backend("g", exchange.provider, where, Secret(KEY), options=options)
    return bind(backend, Target("g/it", "g", exchange.model))


def as_we_say_it(sent: Any) -> Any:
    """A recorded request in our words for the same.

    The model stands in the path only; instructions have no role, and contents always one; a proto's enums are written
    as names in upper case, its fields in camel case; what is empty, or what comes anyway, is not said: a
    `generationConfig` of `{}`, text as the only modality, parameters without properties.
    """
    if isinstance(sent, list):
        return [as_we_say_it(one) for one in sent]
    if not isinstance(sent, dict):
        return sent
    said = {name: as_we_say_it(value) for name, value in sent.items()}
    if "systemInstruction" in said:
        said["systemInstruction"].pop("role", None)
    if "contents" in said:
        said.pop("model", None)
        said["contents"] = [{"role": "user", **content} for content in said["contents"]]
    if "description" in said or "properties" in said or set(said) == {"type"}:
        kind = said.get("type")
        if isinstance(kind, str | int):
            said["type"] = TYPES.get(kind, str(kind).upper()) if isinstance(kind, int) else kind.upper()
    if "parameters" in said and not said["parameters"].get("properties"):
        del said["parameters"]
    if "thinkingConfig" in said:
        names = {"include_thoughts": "includeThoughts", "thinking_level": "thinkingLevel"}
        said["thinkingConfig"] = {names.get(name, name): value for name, value in said["thinkingConfig"].items()}
    if said.get("generationConfig") in ({}, {"responseModalities": ["TEXT"]}):
        del said["generationConfig"]
    return said


@some(lambda e: e.id != WRONG_ROLE)
def test_what_we_send_is_what_google_accepted(exchange: Exchange) -> None:
    url = exchange.url
    if exchange.asked.get("stream") and "alt=sse" not in url:
        url += "?alt=sse"  # this client took the stream as one array
    ours = dataclasses.replace(exchange, sent=as_we_say_it(exchange.sent), url=url)
    conformance.check_call(bound(exchange), ours, asks_usage=False)


fine = [WITHHELD, BLOCKED]
answers = some(lambda e: e.status == 200 and e.endpoint == "chat" and not e.streaming and e.id not in fine)
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


@some(lambda e: e.id == BLOCKED)
def test_a_blocked_prompt_is_a_filters_refusal_whole_or_streamed(exchange: Exchange) -> None:
    dialect = bound(exchange)
    got = dialect.completion(exchange.body)
    assert isinstance(got, Failure)
    assert got.kind is FailureKind.FILTERED
    assert got.code == "model_armor"
    decoder = dialect.decoder(wants_usage=False)
    (event,) = decoder.feed(b"data: " + exchange.body + b"\r\n\r\n")
    assert event.failure == got


@some(lambda e: e.id == WITHHELD)
def test_an_answer_that_a_filter_withheld_is_told_as_such(exchange: Exchange) -> None:
    got = bound(exchange).completion(exchange.body)
    assert isinstance(got, Completion)
    assert got.filtered
    assert got.empty
    assert got.usage is not None
    assert got.usage.input == exchange.golden["usage"]["input"]


@streams
@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_stream_is_read_and_handed_on_whole(exchange: Exchange, wants_usage: bool) -> None:
    conformance.check_stream(bound(exchange), exchange, wants_usage=wants_usage)


@streams
def test_the_routes_name_can_stand_in_every_chunk(exchange: Exchange) -> None:
    conformance.check_renamed(bound(exchange), exchange)


@streams
def test_the_cuts_between_the_bytes_change_nothing(exchange: Exchange) -> None:
    dice = random.Random(exchange.id)
    for body in (exchange.body, exchange.body.replace(b"\r\n", b"\n"), exchange.body.replace(b"\r\n", b"\r")):
        size = len(body)
        cuts = [sorted(dice.sample(range(1, size), dice.choice((1, 2, 7, 50)))) for _ in range(20)]
        conformance.check_cuts(bound(exchange), body, [range(1, size), *cuts])


@streams
def test_a_stream_cut_anywhere_before_its_finish_is_truncated(exchange: Exchange) -> None:
    last = exchange.body.rindex(b'"finishReason"')
    ended = exchange.body.index(b"\r\n\r\n", last) + len(b"\r\n\r")  # the CR ends the blank line by itself
    conformance.check_truncation(bound(exchange), exchange, range(len(exchange.body) + 1), finished_at=ended)


@some(lambda e: e.status == 200 and e.id != BLOCKED)
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


@some(lambda e: e.status == 200 and e.endpoint == "chat")
def test_the_key_is_in_a_header_and_in_no_printed_form(exchange: Exchange) -> None:
    conformance.check_discreet(bound(exchange), KEY, exchange)
    line = conformance.prepared(bound(exchange).chat(conformance.chat_request(exchange, wants_usage=False))).call.head
    assert KEY.encode() not in line.split(b"\r\n")[0]


PLAIN = bind(Backend("g", "gemini", api_key=Secret(KEY)), Target("g/m", "g", "m"))
NAMES = [
    *("candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall", "name", "args", "id"),
    *("inlineData", "data", "mimeType", "finishReason", "index", "usageMetadata", "promptTokenCount", "error"),
    *("candidatesTokenCount", "thoughtsTokenCount", "cachedContentTokenCount", "serviceTier", "promptFeedback"),
    *("blockReason", "modelVersion", "responseId", "logprobsResult", "chosenCandidates", "topCandidates", "token"),
    *("logProbability", "embeddings", "embedding", "values", "predictions", "statistics", "token_count", "details"),
    *("violations", "quotaId", "retryDelay", "status", "code", "message"),
]
WORDS = ["", "a", "STOP", "SAFETY", "MALFORMED_FUNCTION_CALL", "48s", "RESOURCE_EXHAUSTED", "GenerateRequestsPerDay"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 20) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=15,
)


@given(data=st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_bytes_at_all_raise_only_malformed(data: bytes) -> None:
    for framed in (data, b"data: " + data + b"\r\n\r\n", b"{\r\n" + data + b"\r\n}\r\n"):
        conformance.check_any_bytes(PLAIN, framed)


@given(value=JSON, wrapped=JSON)
@settings(max_examples=many(200), deadline=None)
def test_json_of_any_shape_raises_only_malformed(value: object, wrapped: object) -> None:
    for shape in (
        value,
        [value, wrapped],
        {"candidates": [{"content": {"parts": [value, wrapped]}, "finishReason": "STOP"}]},
        {"candidates": [value], "usageMetadata": wrapped, "promptFeedback": wrapped},
        {"candidates": [{"content": value, "logprobsResult": wrapped, "finishReason": wrapped}]},
        {"error": value},
        {"error": {"status": "RESOURCE_EXHAUSTED", "details": value, "message": "limit: 0"}},
        {"predictions": [{"embeddings": value}], "embeddings": wrapped},
    ):
        conformance.check_any_bytes(PLAIN, orjson.dumps(shape))
        conformance.check_any_bytes(PLAIN, b"data: " + orjson.dumps(shape) + b"\r\n\r\n")


@given(
    values=st.lists(JSON, max_size=5),
    bare=st.sets(st.integers(0, 4), max_size=2),
    cut=st.integers(1, 40),
    ending=st.sampled_from(["\n", "\r", "\r\n"]),
)
@settings(max_examples=100, deadline=None)
def test_cuts_change_nothing_in_streams_of_any_json(
    values: list[object], bare: set[int], cut: int, ending: str
) -> None:
    end = ending.encode()
    body = b""
    for at, value in enumerate(values):
        wrapped = {"candidates": [{"content": {"parts": [value]}, "index": at % 2}]}
        text = orjson.dumps(wrapped, option=orjson.OPT_INDENT_2 if at in bare else None).replace(b"\n", end)
        body += (text if at in bare else b"data: " + text) + end + end
    conformance.check_cuts(PLAIN, body, [range(1, len(body)), range(cut, len(body), cut)])


@pytest.mark.parametrize("piece", [b"", b"data: ", b": a comment", b"data: {}\r\ndata: ", b"event: ", b'{"error": '])
def test_an_event_without_an_end_is_given_up(piece: bytes) -> None:
    conformance.check_bounded(PLAIN, piece, MAX_EVENT)


def test_an_upstream_that_invents_candidates_is_given_up() -> None:
    chunk = b'data: {"candidates": [{"index": %d, "content": {"parts": [{"text": "a"}]}}]}\r\n\r\n'
    few, many = (b"".join(chunk % number for number in range(count)) for count in (500, 2000))
    assert conformance.run(PLAIN.decoder(wants_usage=False), [few]) != ("malformed",)
    assert conformance.run(PLAIN.decoder(wants_usage=False), [many]) == ("malformed",)
