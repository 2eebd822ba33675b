"""Endpoints that are handed on as they are, by the openai SDK and raw HTTP: failover, key, accounting, each byte."""

from __future__ import annotations

import io
import sqlite3
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.sdk.serving import Serving, serving
from tests.upstream import Answer, InThread, Request, Upstream, in_thread
from tests.upstream_answers import chunk, dumps, error, head, plain, raw_stream, sse
from tests.upstream_steps import Behaviour, Close, Hang, Send, Step

KEY = "sk-of-a-test-client"
CONFIG = """
listen: {{port: 0}}
ledger: {{path: {directory}/ledger.db}}
keys: [{{name: tests, key: {key}}}]
backends:
  one: {{type: openai, base_url: "{one}", api_key: sk-of-one}}
  two: {{type: openai, base_url: "{two}", api_key: sk-of-two}}
  claude: {{type: anthropic, base_url: "{one}", api_key: sk-of-claude}}
  poor: {{type: deepseek, base_url: "{one}", api_key: sk-of-poor}}
routes:
  {routes}
"""
PRICE = "price: {input: 1, output: 2, audio_input: 5, image_output: 40}"
PAID = Decimal(4 + 5 * 10 + 2 * 4) / 1_000_000
"""For what was heard and said in `SAID`."""


class Plays:
    """What one upstream answers, by path."""

    def __init__(self) -> None:
        self.answer: Behaviour | Answer = error(500)

    def __call__(self, request: Request, n: int) -> Behaviour:
        answer = self.answer
        return answer if isinstance(answer, Behaviour) else answer(request, n)


@dataclass
class Pair:
    """Wayline in front of two upstreams."""

    server: Serving
    one: InThread
    two: InThread
    first: Plays
    second: Plays
    _route: int = 0

    def play(self, first: Behaviour | Answer, second: Behaviour | Answer | None = None) -> str:
        """The route to ask for: its targets give these answers. Each time one that has had no trouble yet."""
        self.first.answer, self.second.answer = first, second or error(500)
        self._route += 1
        for upstream in (self.one.up, self.two.up):
            upstream.requests.clear()
        return f"route{self._route}"

    def asked(self) -> Request:
        """The one request that the first upstream got."""
        (request,) = self.one.up.requests
        return request


ROUTES = 60


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory: Path = tmp_path_factory.mktemp("relays")
    first, second = Plays(), Plays()
    named = [
        f"route{n}: {{targets: [{{target: one/m{n}, {PRICE}}}, {{target: two/n{n}, {PRICE}}}]}}" for n in range(ROUTES)
    ]
    named += [
        "claude: {targets: [claude/c]}",
        "poor: {targets: [poor/p]}",
        "far: {targets: [claude/far, poor/far, two/far]}",
        f"adapted: {{targets: [{{target: one/tts, {PRICE}, params: {{defaults: {{voice: ash}}}}, drop: [speed]}}]}}",
        f"renamed: {{targets: [{{target: one/mod, {PRICE}}}], reply_model: route}}",
        "chat: {targets: [one/both]}",
    ]
    with in_thread(Upstream(first)) as one, in_thread(Upstream(second)) as two:
        text = CONFIG.format(
            directory=directory, key=KEY, one=one.up.base_url, two=two.up.base_url, routes="\n  ".join(named)
        )
        with serving(directory, text) as server:
            yield Pair(server, one, two, first, second)


@pytest.fixture(scope="module")
def client(pair: Pair) -> Iterator[OpenAI]:
    with OpenAI(base_url=pair.server.base_url, api_key=KEY, max_retries=0) as sdk:
        yield sdk


def post(pair: Pair, path: str, **more: Any) -> httpx.Response:
    """A raw request."""
    headers = {"authorization": f"Bearer {KEY}", **more.pop("headers", {})}
    return httpx.post(f"{pair.server.url}{path}", headers=headers, timeout=30, **more)


def row(pair: Pair, request_id: str) -> dict[str, Any]:
    """The last attempt of a request on record."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with sqlite3.connect(pair.server.directory / "ledger.db") as database:
            database.row_factory = sqlite3.Row
            found = database.execute(
                "SELECT * FROM attempts WHERE request_id = ? ORDER BY attempt DESC", (request_id,)
            ).fetchone()
        database.close()
        if found is not None:
            return dict(found)
        time.sleep(0.02)
    raise AssertionError("the row never came")


def sound(seconds: float = 0.1) -> bytes:
    """A real WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(range(256)) * int(16000 * seconds * 2 / 256))
    return out.getvalue()


MODERATION = {
    "id": "modr-1",
    "model": "omni-moderation-served",
    "results": [{"flagged": True, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}],
}
HEARD = {"text_tokens": 4, "audio_tokens": 10}
SAID = {
    "text": "hello",
    "usage": {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": HEARD,
        "output_tokens": 4,
        "total_tokens": 18,
    },
}
PICTURE = {
    "created": 1,
    "data": [{"b64_json": "aGVsbG8="}],
    "usage": {
        "input_tokens": 5,
        "output_tokens": 100,
        "total_tokens": 105,
        "input_tokens_details": {"text_tokens": 5, "image_tokens": 0},
    },
}
RANKED = {"id": "r", "results": [{"index": 1, "relevance_score": 0.9}], "meta": {"billed_units": {"search_units": 1}}}
NOISE = bytes(range(256)) * 500


def test_moderations(pair: Pair, client: OpenAI) -> None:
    route = pair.play(plain(dumps(MODERATION)))
    answer = client.moderations.create(model=route, input=["bad", "worse"])
    assert answer.results[0].flagged and answer.model == "omni-moderation-served"
    asked = pair.asked()
    assert asked.path == "/v1/moderations" and asked.headers["authorization"] == "Bearer sk-of-one"
    assert asked.json == {"model": route.replace("route", "m"), "input": ["bad", "worse"]}


def test_what_a_caller_asks_of_targets_is_not_sent_on(pair: Pair, client: OpenAI) -> None:
    route = pair.play(plain(dumps(MODERATION)))
    client.moderations.create(model=route, input="x", extra_body={"wayline": {"tags": ["nightly"]}})
    assert pair.asked().json == {"model": route.replace("route", "m"), "input": "x"}
    with pytest.raises(openai.BadRequestError, match="not among `only`"):
        client.moderations.create(model=route, input="x", extra_body={"wayline": {"only": ["nobody"]}})
    with pytest.raises(openai.BadRequestError, match="unknown word"):
        client.moderations.create(model=route, input="x", extra_body={"wayline": {"local": True}})


def test_moderations_need_a_model_since_that_names_the_route(pair: Pair, client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="names the route"):
        client.moderations.create(input="x")


def test_the_model_in_the_answer_is_the_routes_name_where_that_is_wanted(pair: Pair, client: OpenAI) -> None:
    pair.play(plain(dumps(MODERATION)))
    assert client.moderations.create(model="renamed", input="x").model == "renamed"


def test_a_transcription_comes_back_and_its_tokens_are_paid_by_the_targets_price(pair: Pair, client: OpenAI) -> None:
    route = pair.play(plain(dumps(SAID)))
    raw = client.audio.transcriptions.with_raw_response.create(
        model=route, file=("ä.wav", sound(), "audio/wav"), extra_headers={"x-request-id": "heard"}
    )
    assert raw.parse().text == "hello"
    assert raw.headers["x-wayline-target"] == route.replace("route", "one/m")
    assert Decimal(raw.headers["x-wayline-cost"]) == PAID
    asked = pair.asked()
    assert asked.path == "/v1/audio/transcriptions" and asked.headers["authorization"] == "Bearer sk-of-one"
    kept = row(pair, "heard")
    assert (kept["input"], kept["output"], kept["usage_source"], kept["key"]) == (14, 4, "reported", "tests")
    assert kept["endpoint"] == "transcriptions"
    assert Decimal(kept["cost"]) == PAID


def form(boundary: str, *parts: tuple[str, bytes]) -> bytes:
    """A form as a client would write it; each part's name with whatever follows it on its lines."""
    written = [
        b"--%b\r\nContent-Disposition: form-data; name=%b\r\n\r\n%b\r\n" % (boundary.encode(), name.encode(), value)
        for name, value in parts
    ]
    return b"".join(written) + b"--%b--\r\n" % boundary.encode()


def test_a_form_arrives_byte_for_byte_but_for_the_models_name(pair: Pair) -> None:
    route = pair.play(plain(b"1\n00:00:00,000 --> 00:00:01,000\nhello\n", content_type="text/plain; charset=utf-8"))
    file = ('"file"; filename="a.wav"\r\nContent-Type: audio/wav', sound() + b"\r\n--edg\r\n")
    body = form("edge", file, ('"model"', route.encode()), ('"response_format"', b"srt"))
    kind = "multipart/form-data; boundary=edge"
    reply = post(pair, "/v1/audio/transcriptions", content=body, headers={"content-type": kind})
    assert reply.text.startswith("1\n00:00") and reply.headers["content-type"] == "text/plain; charset=utf-8"
    asked = pair.asked()
    assert asked.headers["content-type"] == kind
    assert asked.body == body.replace(
        b'"model"\r\n\r\n' + route.encode(), b'"model"\r\n\r\n' + route.replace("route", "m").encode()
    )


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (form("edge", ('"file"; filename="a"', b"x")), "multipart/form-data; boundary=edge", "'model' is missing"),
        (form("edge", ('"model"', b"route0")), "multipart/form-data; boundary=other", "boundary"),
        (form("edge", ('"model"', b"route0")), "multipart/form-data", "boundary"),
        (form("edge", ('"model"', b"a"), ('"model"', b"b")), "multipart/form-data; boundary=edge", "once"),
        (b"{}", "application/json", "'model' is missing"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused_and_says_why(pair: Pair, body: bytes, kind: str, said: str) -> None:
    pair.play(plain(dumps(SAID)))
    reply = post(pair, "/v1/audio/transcriptions", content=body, headers={"content-type": kind})
    assert reply.status_code == 400 and said in reply.json()["error"]["message"]
    assert not pair.one.up.requests


def test_a_form_is_taken_where_forms_belong_and_nowhere_else(pair: Pair) -> None:
    body, kind = form("edge", ('"model"', b"route0")), {"content-type": "multipart/form-data; boundary=edge"}
    for path in ("/v1/chat/completions", "/v1/embeddings", "/v1/moderations", "/v1/audio/speech"):
        assert post(pair, path, content=body, headers=kind).status_code == 415


def test_a_page_of_another_origin_cannot_send_a_form(pair: Pair) -> None:
    body, kind = form("edge", ('"model"', b"route0")), "multipart/form-data; boundary=edge"
    headers = {"content-type": kind, "origin": "https://evil.example"}
    reply = post(pair, "/v1/audio/transcriptions", content=body, headers=headers)
    assert reply.status_code == 403 and reply.json()["error"]["code"] == "origin_not_allowed"


def test_translations(pair: Pair) -> None:
    route = pair.play(plain(dumps({"text": "hello"})))
    files = {"file": ("a.wav", sound())}
    assert post(pair, "/v1/audio/translations", data={"model": route}, files=files).json() == {"text": "hello"}
    assert pair.asked().path == "/v1/audio/translations"


def test_speech_arrives_byte_for_byte_with_its_type(pair: Pair, client: OpenAI) -> None:
    route = pair.play(plain(NOISE, content_type="audio/mpeg"))
    reply = client.audio.speech.create(model=route, voice="alloy", input="hi", extra_headers={"x-request-id": "spoken"})
    assert reply.content == NOISE and reply.response.headers["content-type"] == "audio/mpeg"
    assert reply.response.headers["x-wayline-target"] == route.replace("route", "one/m")
    kept = row(pair, "spoken")
    assert (kept["ended"], kept["usage_source"], kept["cost"]) == ("served", "absent", None)


@pytest.mark.parametrize("then", [Hang(), Close()], ids=["it goes on", "it is cut"])
def test_speech_is_handed_on_while_it_comes_and_a_cut_one_never_looks_whole(pair: Pair, then: Step) -> None:
    kind = {"content-type": "audio/mpeg", "transfer-encoding": "chunked"}
    route = pair.play(Behaviour((Send(head(200, kind) + chunk(b"begin")), then)))
    url, body = f"{pair.server.url}/v1/audio/speech", {"model": route, "voice": "a", "input": "hi"}
    with httpx.stream("POST", url, json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as reply:
        heard = reply.iter_bytes()
        assert next(heard) == b"begin"
        if isinstance(then, Close):
            with pytest.raises(httpx.RemoteProtocolError):
                next(heard)
    if isinstance(then, Hang):  # the client has left: nothing goes on behind it
        pair.one.run(pair.one.up.closed(pair.asked().connection))


def test_speech_as_events_keeps_them_and_is_paid(pair: Pair, client: OpenAI) -> None:
    delta = b"event: speech.audio.delta\n" + sse({"type": "speech.audio.delta", "audio": "aGk="})
    usage = {"input_tokens": 3, "output_tokens": 10, "total_tokens": 13}
    done = sse({"type": "speech.audio.done", "usage": usage})
    route = pair.play(raw_stream(delta, done))
    body = {"model": route, "voice": "a", "input": "x", "stream_format": "sse"}
    reply = post(pair, "/audio/speech", json=body, headers={"x-request-id": "events"})
    assert reply.content == delta + done and reply.headers["content-type"].startswith("text/event-stream")
    assert Decimal(row(pair, "events")["cost"]) == Decimal(3 + 20) / 1_000_000


def test_a_transcription_streams_to_the_sdk(pair: Pair, client: OpenAI) -> None:
    events = [
        sse({"type": "transcript.text.delta", "delta": "hel"}),
        sse({"type": "transcript.text.delta", "delta": "lo"}),
        sse({"type": "transcript.text.done", "text": "hello", "usage": SAID["usage"]}),
    ]
    route = pair.play(raw_stream(*events))
    with client.audio.transcriptions.create(model=route, file=("a.wav", sound()), stream=True) as stream:
        kinds = [event.type for event in stream]
    assert kinds == ["transcript.text.delta", "transcript.text.delta", "transcript.text.done"]


def test_a_transcription_of_a_model_that_does_not_stream_comes_whole(pair: Pair) -> None:
    route = pair.play(plain(dumps(SAID)))
    data, files = {"model": route, "stream": "true"}, {"file": ("a.wav", sound())}
    reply = post(pair, "/v1/audio/transcriptions", data=data, files=files)
    assert reply.json() == SAID and reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "rest",
    [(), (sse({"type": "error", "error": {"message": "it broke", "type": "server_error"}}),)],
    ids=["cut", "told"],
)
def test_a_stream_that_breaks_off_never_looks_whole(pair: Pair, client: OpenAI, rest: tuple[Step | bytes, ...]) -> None:
    route = pair.play(raw_stream(sse({"type": "transcript.text.delta", "delta": "hel"}), *rest))
    with (
        client.audio.transcriptions.create(model=route, file=("a.wav", sound()), stream=True) as stream,
        pytest.raises(openai.APIError),
    ):
        list(stream)


def test_images(pair: Pair, client: OpenAI) -> None:
    route = pair.play(plain(dumps(PICTURE)))
    raw = client.images.with_raw_response.generate(model=route, prompt="a cat")
    data = raw.parse().data
    assert data is not None and data[0].b64_json == "aGVsbG8="
    assert pair.asked().path == "/v1/images/generations"
    assert Decimal(raw.headers["x-wayline-cost"]) == Decimal(5 + 40 * 100) / 1_000_000


def test_images_are_edited_by_form(pair: Pair, client: OpenAI) -> None:
    route = pair.play(plain(dumps(PICTURE)))
    client.images.edit(model=route, image=[("a.png", b"\x89PNG1"), ("b.png", b"\x89PNG2")], prompt="a hat")
    asked = pair.asked()
    assert asked.path == "/v1/images/edits" and b"\x89PNG1" in asked.body and b"\x89PNG2" in asked.body


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"meta": {"billed_units": {"search_units": 1}}}, None),
        ({"meta": {"tokens": {"input_tokens": 10, "output_tokens": 0}}}, 10),
        ({"usage": {"total_tokens": 10}}, 10),
        ({"usage": {"prompt_tokens": 10, "total_tokens": 10}}, 10),
    ],
    ids=["cohere's units", "cohere's tokens", "jina", "vllm"],
)
@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank"])
def test_rerank(pair: Pair, usage: dict[str, Any], tokens: int | None, path: str) -> None:
    answer = {**RANKED, "meta": None, **usage}
    route = pair.play(plain(dumps(answer)))
    reply = post(pair, path, json={"model": route, "query": "q", "documents": ["a", "b"], "top_n": 1})
    assert reply.json() == answer
    assert pair.asked().path == "/v1/rerank" and pair.asked().json["documents"] == ["a", "b"]
    cost = reply.headers.get("x-wayline-cost")
    assert (None if cost is None else Decimal(cost)) == (None if tokens is None else Decimal(tokens) / 1_000_000)


CALLS: dict[str, dict[str, Any]] = {
    "/v1/moderations": {"json": {"input": "x"}},
    "/v1/rerank": {"json": {"query": "q", "documents": ["a"]}},
    "/v1/audio/speech": {"json": {"voice": "a", "input": "x"}},
    "/v1/images/generations": {"json": {"prompt": "x"}},
    "/v1/audio/transcriptions": {"files": {"file": ("a.wav", b"RIFF")}},
}


def send(pair: Pair, path: str, route: str) -> httpx.Response:
    """Asks this route."""
    call = CALLS[path]
    if "json" in call:
        return post(pair, path, json={**call["json"], "model": route})
    return post(pair, path, data={"model": route}, **call)


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize(
    "bad", [error(500), plain(b"<html>", content_type="text/html"), plain(b"")], ids=["500", "page", "nothing"]
)
def test_where_the_first_target_fails_the_second_answers(pair: Pair, path: str, bad: Behaviour) -> None:
    route = pair.play(bad, plain(dumps({"text": "fine"})))
    reply = send(pair, path, route)
    assert reply.json() == {"text": "fine"}
    assert reply.headers["x-wayline-target"] == route.replace("route", "two/n")
    assert reply.headers["x-wayline-attempts"] == "2"
    (asked,) = pair.two.up.requests
    assert route.replace("route", "n").encode() in asked.body and asked.headers["authorization"] == "Bearer sk-of-two"


def test_an_error_under_200_is_one(pair: Pair) -> None:
    route = pair.play(plain(dumps({"error": {"message": "no", "type": "server_error"}})), plain(dumps(RANKED)))
    assert send(pair, "/v1/rerank", route).json() == RANKED


def test_what_is_wrong_with_the_request_is_said_in_the_upstreams_words(pair: Pair) -> None:
    wrong = error(400, "'voice' must be one of alloy, ash", type_="invalid_request_error", param="voice")
    reply = send(pair, "/v1/audio/speech", pair.play(wrong, plain(NOISE)))
    assert reply.status_code == 400 and "alloy, ash" in reply.json()["error"]["message"]
    assert not pair.two.up.requests


def test_only_targets_that_have_the_endpoint_are_asked(pair: Pair) -> None:
    pair.play(error(500), plain(dumps(MODERATION)))
    reply = post(pair, "/v1/moderations", json={"model": "far", "input": "x"})
    assert reply.json() == MODERATION and reply.headers["x-wayline-attempts"] == "1"
    for model in ("claude", "poor"):
        reply = post(pair, "/v1/moderations", json={"model": model, "input": "x"})
        assert reply.status_code == 400 and reply.json()["error"]["code"] == "unsupported_endpoint"
    assert not pair.one.up.requests


@pytest.mark.parametrize(
    "missing",
    [
        error(404, "Invalid URL (POST /v1/rerank)", type_="invalid_request_error"),
        plain(dumps({"detail": "Not Found"}), 404),
        plain(dumps({"detail": "Method Not Allowed"}), 405),
        plain(b"404 page not found", 404, content_type="text/plain"),
    ],
)
def test_an_endpoint_that_is_not_there_is_no_fault_of_the_target(pair: Pair, missing: Behaviour) -> None:
    pair.play(missing)
    reply = post(pair, "/v1/rerank", json={"model": "chat", "query": "q", "documents": []})
    assert reply.status_code == 400 and reply.json()["error"]["code"] == "unsupported_endpoint"
    pair.play(plain(dumps(MODERATION)))
    assert post(pair, "/v1/moderations", json={"model": "chat", "input": "x"}).json() == MODERATION


def test_the_operators_defaults_hold_and_what_is_dropped_is_named(pair: Pair) -> None:
    pair.play(plain(NOISE, content_type="audio/mpeg"))
    reply = post(pair, "/v1/audio/speech", json={"model": "adapted", "input": "x", "speed": 2})
    assert pair.asked().json == {"model": "tts", "input": "x", "voice": "ash"}
    assert reply.headers["x-wayline-dropped"] == "speed"


def test_nobody_gets_in_without_a_key_or_to_a_route_that_is_not_there(pair: Pair) -> None:
    reply = httpx.post(f"{pair.server.url}/v1/rerank", json={"model": "route0"}, timeout=30)
    assert reply.status_code == 401
    reply = post(pair, "/v1/rerank", json={"model": "nonesuch"})
    assert reply.status_code == 404 and reply.json()["error"]["code"] == "model_not_found"


def test_the_endpoint_stands_in_the_metrics_and_in_the_log(pair: Pair) -> None:
    before = pair.server.metric("wayline_requests_total", endpoint="rerank", status="200")
    route = pair.play(plain(dumps(RANKED)))
    post(pair, "/v1/rerank", json={"model": route, "query": "q", "documents": []}, headers={"x-request-id": "logged"})
    assert pair.server.metric("wayline_requests_total", endpoint="rerank", status="200") == before + 1
    lines = [line for line in pair.server.log() if line.get("request_id") == "logged"]
    assert "rerank" in {line.get("endpoint") for line in lines}
