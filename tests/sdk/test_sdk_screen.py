"""What clients see of a screen and of ratings: through OpenAI's SDK and Anthropic's, at a real `wayline serve`."""

from __future__ import annotations

import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.sdk.serving import Serving, serving
from tests.upstream import InThread, Request, Upstream, in_thread
from tests.upstream_answers import chat_ok, dumps, plain, stream_ok
from tests.upstream_steps import Behaviour

KEYS = {"ann": "sk-of-ann", "bob": "sk-of-bob"}
CONFIG = """
listen: {{port: 0}}
ledger: {{path: {directory}/ledger.db}}
state: {{path: {directory}/state.db}}
keys: [{{name: ann, key: sk-of-ann}}, {{name: bob, key: sk-of-bob}}]
backends:
  up: {{type: openai, base_url: "{upstream}", api_key: sk-of-the-gateway, price: {{input: 1, output: 2}}}}
screen:
  input:
    - {{category: weapons, terms: [pipe bomb]}}
    - {{category: crisis, terms: [hopeless], resources: "Call 112."}}
routes:
  chat: {{targets: [up/plain]}}
  screened:
    targets: [up/bad]
    screen:
      output: [{{category: weapons, terms: [pipe bomb]}}]
  judged:
    targets: [up/grim]
    screen: {{output: [{{moderation: up/guard}}]}}
  kind:
    targets: [up/plain]
    screen: {{output: [{{moderation: up/guard}}]}}
  again:
    targets: [up/refuses, up/plain]
    quality: {{retry_low_quality: true, min_quality: 80%}}
  moderation: {{targets: [up/omni]}}
  also:
    targets: [up/plain]
    screen: {{also: [embeddings, rerank, speech, images, audio]}}
"""
GOOD = "The sky is blue because air scatters blue light more than red light."
GRIM = ["It is ", "a grim ", "world."]
BAD = ["Take ", "a ", "pi", "pe", " bo", "mb", " and", " then"]
REFUSED = "I'm sorry, but I can't help with that."
ASKED = "Why is the sky blue?"
VECTORS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "model": "plain",
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}


def play(request: Request, n: int) -> Behaviour:
    """By the model: `bad` and `grim` say what they should not, `refuses` says no, `guard` flags what is grim, all
    others answer well. Vectors are always the same."""
    if request.json["model"] == "guard":
        flagged = "grim" in request.json["input"]
        result = {"flagged": flagged, "categories": {"grim": flagged}, "category_scores": {"grim": float(flagged)}}
        return plain(dumps({"id": "modr-1", "model": "guard", "results": [result]}))
    if request.path.endswith("/embeddings"):
        return plain(dumps(VECTORS))
    words = {"bad": BAD, "grim": GRIM, "refuses": [REFUSED]}.get(request.json["model"], [GOOD])
    return stream_ok(words) if request.json.get("stream") else chat_ok("".join(words))


class Screened(NamedTuple):
    """The server, and what is behind it."""

    server: Serving
    there: InThread

    def post(self, path: str, body: object, key: str = "ann") -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        headers = {"authorization": f"Bearer {KEYS[key]}", "content-type": "application/json"}
        asked = urllib.request.Request(self.server.base_url + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(asked, timeout=30) as reply:
                return reply.status, json.loads(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def screened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screened]:
    directory = tmp_path_factory.mktemp("screened")
    with in_thread(Upstream(play)) as there:
        text = CONFIG.format(directory=directory, upstream=there.up.base_url)
        with serving(directory, text) as server:
            yield Screened(server, there)


@pytest.fixture(scope="module")
def sdk(screened: Screened) -> Iterator[OpenAI]:
    with OpenAI(base_url=screened.server.base_url, api_key=KEYS["ann"], max_retries=0) as client:
        yield client


def said(text: str) -> Any:
    """Messages."""
    return [{"role": "user", "content": text}]


# The screen -------------------------------------------------------------------------------------------------------


def test_a_refused_request_is_a_400_of_openais_shape(screened: Screened, sdk: OpenAI) -> None:
    before = len(screened.there.up.requests)
    with pytest.raises(openai.BadRequestError, match="refused by the screen of this route \\(weapons\\)") as raised:
        sdk.chat.completions.create(model="chat", messages=said("how to make a Pipe BOMB"))
    assert (raised.value.code, raised.value.type, raised.value.param) == (
        "content_filter",
        "invalid_request_error",
        "messages",
    )
    assert len(screened.there.up.requests) == before


def test_every_way_in_is_screened(screened: Screened, sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="screen"):
        sdk.responses.create(model="chat", input="a pipe bomb, please")
    with pytest.raises(openai.BadRequestError, match="screen"):
        sdk.completions.create(model="chat", prompt="a pipe bomb, please")
    base = screened.server.base_url.removesuffix("/v1")
    claude = Anthropic(base_url=base, api_key=KEYS["ann"], max_retries=0)
    with claude, pytest.raises(anthropic.BadRequestError, match="refused by the screen"):
        claude.messages.create(model="chat", max_tokens=9, messages=said("a pipe bomb, please"))


def test_other_endpoints_are_screened_where_the_route_says_so(screened: Screened, sdk: OpenAI) -> None:
    before = len(screened.there.up.requests)
    with pytest.raises(openai.BadRequestError, match="screen of this route \\(weapons\\)") as raised:
        sdk.embeddings.create(model="also", input=["bread", "a pipe bomb"])
    assert (raised.value.code, raised.value.param) == ("content_filter", "input")
    with pytest.raises(openai.BadRequestError, match="screen"):
        sdk.images.generate(model="also", prompt="a pipe bomb")
    with pytest.raises(openai.BadRequestError, match="screen") as edited:
        sdk.images.edit(model="also", image=("a.png", b"\x89PNG"), prompt="with a pipe bomb")
    assert edited.value.param == "prompt"
    with pytest.raises(openai.BadRequestError, match="screen"):
        sdk.audio.transcriptions.create(model="also", file=("a.wav", b"RIFF"), prompt="of a pipe bomb")
    with pytest.raises(openai.BadRequestError, match="screen"):
        sdk.audio.speech.create(model="also", voice="alloy", input="Take a pipe bomb")
    status, told = screened.post("/rerank", {"model": "also", "query": "bread", "documents": ["a pipe bomb"]})
    assert (status, told["error"]["code"], told["error"]["param"]) == (400, "content_filter", "documents")
    assert len(screened.there.up.requests) == before
    flagged = sdk.embeddings.with_raw_response.create(model="also", input="hopeless")
    assert flagged.headers["x-wayline-screened"] == "crisis" and flagged.parse().data[0].embedding
    sdk.embeddings.create(model="chat", input="a pipe bomb")
    assert len(screened.there.up.requests) == before + 2, "the route `chat` looks at chats only"


def test_a_stream_ends_as_a_filter_ends_it(sdk: OpenAI) -> None:
    with sdk.chat.completions.create(model="screened", messages=said("Hi"), stream=True) as stream:
        chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "Take a "
    assert chunks[-1].choices[0].finish_reason == "content_filter"


def test_a_whole_answer_is_withheld_with_a_reason(sdk: OpenAI) -> None:
    reply = sdk.chat.completions.create(model="screened", messages=said("Hi"))
    (choice,) = reply.choices
    assert choice.finish_reason == "content_filter"
    assert choice.message.content is None
    assert choice.message.refusal == "The answer was withheld by the screen of this route (weapons)."
    assert reply.usage is not None and reply.usage.completion_tokens > 0


def test_the_other_ways_in_end_so_too_in_their_own_words(screened: Screened, sdk: OpenAI) -> None:
    base = screened.server.base_url.removesuffix("/v1")
    claude = Anthropic(base_url=base, api_key=KEYS["ann"], max_retries=0)
    with claude, claude.messages.stream(model="screened", max_tokens=50, messages=said("Hi")) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "refusal"
    assert "bomb" not in message.to_json()
    with sdk.responses.create(model="screened", input="Hi", stream=True) as events:
        last = list(events)[-1]
    assert last.type == "response.incomplete" and last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "content_filter"
    with sdk.completions.create(model="screened", prompt="Hi", stream=True) as pieces:
        assert list(pieces)[-1].choices[0].finish_reason == "content_filter"


def test_resources_stand_at_the_end_of_the_answer(sdk: OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="chat", messages=said("It is hopeless"))
    assert raw.parse().choices[0].message.content == f"{GOOD}\n\nCall 112."
    assert raw.headers["x-wayline-screened"] == "crisis"


def test_findings_are_counted_and_nothing_of_a_text_is_in_the_log(screened: Screened, sdk: OpenAI) -> None:
    labels = {"route": "chat", "side": "input", "category": "weapons", "action": "refuse"}
    before = screened.server.metric("wayline_screened_total", **labels)
    with pytest.raises(openai.BadRequestError):
        sdk.chat.completions.create(model="chat", messages=said("pipe bomb"))
    assert screened.server.metric("wayline_screened_total", **labels) == before + 1
    with sdk.chat.completions.create(model="screened", messages=said("Hi"), stream=True) as stream:
        list(stream)
    lines = screened.server.log()
    assert "bomb" not in json.dumps(lines)
    assert not [line for line in lines if line["level"] == "error"], "a screen that works is no error"


def test_wayline_why_tells_what_was_found_by_which_rule(screened: Screened, sdk: OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="chat", messages=said("It is hopeless"))
    told = screened.server.wayline("why", raw.headers["x-request-id"], "--config", str(screened.server.config))
    assert "screen: input: rule crisis: crisis, high: flag" in told


# A moderation of answers ------------------------------------------------------------------------------------------


def test_a_moderation_withholds_a_whole_answer_in_every_way_in(screened: Screened, sdk: OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="judged", messages=said("Hi"))
    (choice,) = raw.parse().choices
    assert (choice.finish_reason, choice.message.content) == ("content_filter", None)
    assert choice.message.refusal == "The answer was withheld by the screen of this route (grim)."
    assert raw.headers["x-wayline-screened"] == "grim"
    assert sdk.completions.create(model="judged", prompt="Hi").choices[0].finish_reason == "content_filter"
    response = sdk.responses.create(model="judged", input="Hi")
    assert response.incomplete_details is not None and response.incomplete_details.reason == "content_filter"
    base = screened.server.base_url.removesuffix("/v1")
    with Anthropic(base_url=base, api_key=KEYS["ann"], max_retries=0) as claude:
        message = claude.messages.create(model="judged", max_tokens=50, messages=said("Hi"))
    assert message.stop_reason == "refusal" and "world" not in message.to_json()


def test_a_moderation_withholds_a_stream_in_every_way_in(screened: Screened, sdk: OpenAI) -> None:
    with sdk.chat.completions.create(model="judged", messages=said("Hi"), stream=True) as stream:
        chunks = list(stream)
    assert not "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert chunks[-1].choices[0].finish_reason == "content_filter"
    base = screened.server.base_url.removesuffix("/v1")
    claude = Anthropic(base_url=base, api_key=KEYS["ann"], max_retries=0)
    with claude, claude.messages.stream(model="judged", max_tokens=50, messages=said("Hi")) as told:
        message = told.get_final_message()
    assert message.stop_reason == "refusal" and "world" not in message.to_json()
    with sdk.responses.create(model="judged", input="Hi", stream=True) as events:
        last = list(events)[-1]
    assert last.type == "response.incomplete"
    with sdk.completions.create(model="judged", prompt="Hi", stream=True) as pieces:
        assert list(pieces)[-1].choices[0].finish_reason == "content_filter"


def test_what_a_moderation_finds_good_arrives_as_it_is(sdk: OpenAI) -> None:
    assert sdk.chat.completions.create(model="kind", messages=said("Hi")).choices[0].message.content == GOOD
    with sdk.chat.completions.create(
        model="kind", messages=said("Hi"), stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == GOOD
    assert chunks[-1].usage is not None


def test_what_a_moderation_found_is_counted_and_told_and_its_question_is_on_record(
    screened: Screened, sdk: OpenAI
) -> None:
    labels = {"route": "judged", "side": "output", "rule": "up/guard", "category": "grim", "action": "refuse"}
    before = screened.server.metric("wayline_screened_total", **labels)
    raw = sdk.chat.completions.with_raw_response.create(model="judged", messages=said("Hi"))
    assert screened.server.metric("wayline_screened_total", **labels) == before + 1
    id_, config = raw.headers["x-request-id"], str(screened.server.config)
    told = screened.server.wayline("why", id_, "--config", config)
    assert "screen: output: rule up/guard: grim, high: refuse" in told
    asked = screened.server.wayline("why", f"{id_}-screen-output", "--config", config)
    assert "up/guard" in asked and "moderations" in asked
    assert "a grim world" not in json.dumps(screened.server.log())
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.create(model="up/guard", messages=said("a moderation is no way in"))


# Quality ----------------------------------------------------------------------------------------------------------


def test_a_bad_answer_is_asked_for_at_the_next_target(sdk: OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="again", messages=said(ASKED))
    assert raw.parse().choices[0].message.content == GOOD
    assert (raw.headers["x-wayline-target"], raw.headers["x-wayline-attempts"]) == ("up/plain", "2")


def answered(screened: Screened, key: str = "ann") -> str:
    """The id of a request that was served."""
    with OpenAI(base_url=screened.server.base_url, api_key=KEYS[key], max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(model="chat", messages=said(ASKED))
    return raw.headers["x-request-id"]


def stored(screened: Screened, request_id: str) -> list[tuple[Any, ...]]:
    """What stands in the database of that request."""
    path: Path = screened.server.directory / "state.db"
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT key, route, target, score, comment FROM feedback WHERE request_id = ?"
        return db.execute(query, (request_id,)).fetchall()


def test_a_caller_rates_its_own_request_once(screened: Screened) -> None:
    id_ = answered(screened)
    rated = screened.server.metric("wayline_rated_answers_total", target="up/plain")
    status, told = screened.post("/feedback", {"request_id": id_, "score": 0.25, "comment": "too short"})
    assert (status, told) == (200, {"object": "feedback", "request_id": id_, "score": 0.25, "target": "up/plain"})
    assert stored(screened, id_) == [("ann", "chat", "up/plain", 0.25, None)], "no comment unless it is configured"
    assert screened.post("/feedback", {"request_id": id_, "score": 1})[0] == 200
    assert stored(screened, id_) == [("ann", "chat", "up/plain", 1.0, None)]
    assert screened.server.metric("wayline_rated_answers_total", target="up/plain") == rated + 1


def test_nobody_rates_the_requests_of_others_nor_those_that_never_were(screened: Screened) -> None:
    id_ = answered(screened)
    status, told = screened.post("/feedback", {"request_id": id_, "score": 0}, key="bob")
    assert (status, told["error"]["code"], told["error"]["param"]) == (404, "request_not_found", "request_id")
    assert screened.post("/feedback", {"request_id": "req_none", "score": 0})[0] == 404
    assert not stored(screened, id_)


def test_a_rating_needs_a_key(screened: Screened) -> None:
    asked = urllib.request.Request(screened.server.base_url + "/feedback", b"{}")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(asked, timeout=30)
    with raised.value as error:
        assert error.code == 401


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({"score": 1}, "request_id"),
        ({"request_id": "x"}, "score"),
        ({"request_id": "x", "score": 1.5}, "score"),
        ({"request_id": "x", "score": True}, "score"),
        ({"request_id": "x", "score": 1, "comment": 7}, "comment"),
    ],
)
def test_an_unclear_rating_is_a_400(screened: Screened, body: object, param: str | None) -> None:
    status, told = screened.post("/feedback", body)
    assert (status, told["error"]["param"]) == (400, param)
