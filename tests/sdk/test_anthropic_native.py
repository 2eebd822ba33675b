"""Clients of Anthropic's API in front of an upstream that speaks it: everything is handed on as it came, both ways.

The upstream replays recorded exchanges with Anthropic (see the README beside them).
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from anthropic import Anthropic, NotFoundError

from proxy.testing.exchange import Exchange, load
from tests.sdk.serving import Serving, serving
from tests.upstream import Answer, InThread, Request, Upstream, in_thread
from tests.upstream_answers import DONE, SSE_HEADERS, delta, error, last, ok, plain, raw_stream, role, sse, word
from tests.upstream_steps import Behaviour

RECORDED = [
    exchange
    for exchange in load(Path(__file__).parents[1] / "backends" / "fixtures" / "anthropic.jsonl")
    if exchange.status == 200
]
CONFIG = """
listen: {{port: 0}}
direct: true
ledger: {{path: {directory}/ledger.db}}
backends:
  claude: {{type: anthropic, base_url: "{upstream}", api_key: sk-ant-of-the-gateway}}
  open: {{type: openai, base_url: "{upstream}", api_key: sk-of-the-gateway}}
routes:
  claude: {{targets: [{{target: claude/claude-sonnet-4-5, price: {{input: 3, output: 15}}}}]}}
  other-first: {{targets: [open/gpt, claude/claude-sonnet-4-5]}}
  claude-first: {{targets: [claude/claude-sonnet-4-5, open/gpt]}}
"""
HI: Any = [{"role": "user", "content": "Hi"}]
MARK = {"type": "ephemeral", "ttl": "1h"}


def thinks(_: Request, n: int) -> Behaviour:
    """A stream of another provider that shows its reasoning."""
    return raw_stream(role(), sse(delta({"reasoning_content": "Hm."})), word("Found it."), last("stop"), DONE)


class Replay:
    """Plays an exchange to whoever speaks Anthropic's API, in pieces of so many bytes."""

    def __init__(self) -> None:
        self.anew()

    def anew(self) -> None:
        """As at the beginning."""
        self.exchange = RECORDED[0]
        self.fails = False
        self.piece = 1000
        self.counts = error(500)
        self.otherwise: Answer = ok()

    def __call__(self, request: Request, n: int) -> Behaviour:
        if not request.path.startswith("/v1/messages"):
            return self.otherwise(request, n)
        if request.path.endswith("/count_tokens"):
            return self.counts
        if self.fails:
            return error(529)
        body = self.exchange.body
        if not self.exchange.streaming:
            return plain(body)
        pieces = [body[at : at + self.piece] for at in range(0, len(body), self.piece)]
        return raw_stream(*pieces, headers=SSE_HEADERS)


class There:
    """A running Wayline and the upstream behind it."""

    def __init__(self, server: Serving, there: InThread, replay: Replay) -> None:
        self.server = server
        self.up = there.up
        self.replay = replay

    def post(self, body: bytes, path: str = "/v1/messages", **headers: str) -> tuple[bytes, dict[str, str]]:
        """The answer's bytes and headers."""
        fields = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        with urllib.request.urlopen(urllib.request.Request(self.server.url + path, body, fields)) as reply:
            return reply.read(), dict(reply.headers)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    directory = tmp_path_factory.mktemp("native")
    replay = Replay()
    with in_thread(Upstream(replay)) as there:
        config = CONFIG.format(directory=directory, upstream=there.up.base_url)
        with serving(directory, config) as server:
            yield There(server, there, replay)


@pytest.fixture
def there(running: There) -> There:
    running.replay.anew()
    running.up.requests.clear()
    return running


@pytest.mark.parametrize("exchange", RECORDED, ids=lambda exchange: exchange.id)
def test_what_was_sent_arrives_and_what_was_answered_comes_back_byte_for_byte(there: There, exchange: Exchange) -> None:
    there.replay.exchange = exchange
    sent = {**exchange.sent, "model": "claude"}
    got, headers = there.post(
        orjson.dumps(sent), exchange.url[exchange.url.index("/v1/") :], anthropic_beta="some-beta"
    )
    (asked,) = there.up.requests
    assert asked.body == orjson.dumps({**exchange.sent, "model": "claude-sonnet-4-5"})
    assert asked.headers["anthropic-beta"] == "some-beta"
    assert asked.headers["x-api-key"] == "sk-ant-of-the-gateway"
    assert got == exchange.body
    assert headers["x-wayline-target"] == "claude/claude-sonnet-4-5" and "request-id" in headers


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_a_stream_is_the_same_however_the_upstream_cuts_it(there: There, piece: int) -> None:
    there.replay.exchange = next(
        exchange for exchange in RECORDED if exchange.streaming and exchange.sent.get("thinking")
    )
    there.replay.piece = piece
    got, _ = there.post(orjson.dumps({**there.replay.exchange.sent, "model": "claude"}))
    assert got == there.replay.exchange.body


def test_the_sdk_gets_what_it_gets_from_anthropic_and_its_cache_marks_arrive(there: There) -> None:
    there.replay.exchange = next(exchange for exchange in RECORDED if exchange.streaming)
    system: Any = [{"type": "text", "text": "Long.", "cache_control": MARK}]
    with (
        Anthropic(base_url=there.server.url, api_key="any") as sdk,
        sdk.messages.stream(model="claude", max_tokens=50, messages=HI, system=system) as stream,
    ):
        answer = stream.get_final_message()
    assert answer.id in there.replay.exchange.body.decode() and answer.stop_reason
    assert there.up.requests[0].json["system"] == system


def test_usage_and_cost_are_those_of_the_upstream(there: There) -> None:
    there.replay.exchange = next(exchange for exchange in RECORDED if not exchange.streaming)
    body = orjson.dumps({"model": "claude", "max_tokens": 5, "messages": HI})
    before = there.server.metric("wayline_tokens_total", source="reported", direction="output")
    got, headers = there.post(body)
    usage = orjson.loads(got)["usage"]
    after = there.server.metric("wayline_tokens_total", source="reported", direction="output")
    assert after - before == usage["output_tokens"]
    assert float(headers["x-wayline-cost"]) > 0


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_when_anthropic_is_overloaded_another_dialect_answers_in_the_same_shape(there: There, stream: bool) -> None:
    there.replay.fails = True
    with Anthropic(base_url=there.server.url, api_key="any", max_retries=0) as sdk:
        asked: Any = {"model": "claude-first", "max_tokens": 5, "messages": HI}
        if stream:
            with sdk.messages.stream(**asked) as events:
                answer: Any = events.get_final_message()
        else:
            answer = sdk.messages.create(**asked)
    assert answer.content[0].text.replace(" ", "") == "Hello!"
    assert [request.path.rpartition("/")[2] for request in there.up.requests][-1] == "completions"


def test_what_only_anthropic_can_do_goes_there_first(there: There) -> None:
    search: Any = [{"type": "web_search_20250305", "name": "web_search"}]
    with Anthropic(base_url=there.server.url, api_key="any", max_retries=0) as sdk:
        sdk.messages.create(model="other-first", max_tokens=5, messages=HI, tools=search)
        sdk.messages.create(model="other-first", max_tokens=5, messages=HI)
    assert [request.path.rpartition("/")[2] for request in there.up.requests] == ["messages", "completions"]


def test_thinking_that_another_provider_did_never_reaches_anthropic(there: There) -> None:
    foreign = {"type": "thinking", "thinking": "Hm", "signature": ""}
    history = [*HI, {"role": "assistant", "content": [foreign, {"type": "text", "text": "Yes."}]}, *HI]
    there.post(orjson.dumps({"model": "claude", "max_tokens": 5, "messages": history}))
    assert there.up.requests[0].json["messages"][1]["content"] == [{"type": "text", "text": "Yes."}]


def test_tokens_are_counted_by_anthropic_itself_and_for_nothing(there: There) -> None:
    there.replay.counts = plain(b'{"input_tokens":14}')
    system: Any = [{"type": "text", "text": "Long.", "cache_control": MARK}]
    with Anthropic(base_url=there.server.url, api_key="any", max_retries=0) as sdk:
        raw = sdk.messages.with_raw_response.count_tokens(model="claude", messages=HI, system=system)
    assert raw.parse().input_tokens == 14
    assert "x-wayline-estimated" not in raw.headers
    (asked,) = there.up.requests
    assert asked.path == "/v1/messages/count_tokens"
    assert asked.json == {"model": "claude-sonnet-4-5", "messages": HI, "system": system}


@pytest.mark.parametrize(
    "play",
    [error(404), error(429), plain(b"what?"), plain(b'{"input_tokens":"many"}'), plain(b"x" * 100_000)],
    ids=["404", "429", "no json", "no number", "endless"],
)
def test_where_that_fails_they_are_estimated_and_nothing_is_held_against_the_target(
    there: There, play: Behaviour
) -> None:
    there.replay.counts = play
    with Anthropic(base_url=there.server.url, api_key="any", max_retries=0) as sdk:
        raw = sdk.messages.with_raw_response.count_tokens(model="claude", messages=HI)
        assert raw.headers["x-wayline-estimated"] == "true"
        assert raw.parse().input_tokens > 0
        answer = sdk.messages.with_raw_response.create(model="claude-first", max_tokens=5, messages=HI)
    assert answer.headers["x-wayline-target"] == "claude/claude-sonnet-4-5"


def test_tokens_for_a_target_of_another_dialect_are_estimated(there: There) -> None:
    with Anthropic(base_url=there.server.url, api_key="any", max_retries=0) as sdk:
        raw = sdk.messages.with_raw_response.count_tokens(model="other-first", messages=HI)
        more = sdk.messages.count_tokens(model="other-first", messages=HI * 50)
        with pytest.raises(NotFoundError):
            sdk.messages.count_tokens(model="nobody", messages=HI)
    assert raw.headers["x-wayline-estimated"] == "true"
    assert raw.parse().input_tokens < more.input_tokens
    assert not there.up.requests


def test_a_conversation_of_three_turns_that_changes_provider_at_each(there: There) -> None:
    """Anthropic thinks and calls a tool; another, which thinks without a signature, goes on; Anthropic ends."""
    there.replay.exchange = next(one for one in RECORDED if one.id == "anthropic-070")
    asked: Any = {key: there.replay.exchange.sent[key] for key in ("max_tokens", "tools", "thinking")}
    messages: list[Any] = [{"role": "user", "content": "Look it up."}]
    with Anthropic(base_url=there.server.url, api_key="any", max_retries=0) as sdk:
        with sdk.messages.stream(model="claude", messages=messages, **asked) as stream:
            first = stream.get_final_message()
        thinking, *_, use = first.content
        assert thinking.type == "thinking" and thinking.signature and use.type == "tool_use"
        result = {"type": "tool_result", "tool_use_id": use.id, "content": "found"}
        messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        there.replay.otherwise = thinks
        with sdk.messages.stream(model="open/thinker", messages=messages, **asked) as stream:
            second = stream.get_final_message()
        assert [block.type for block in second.content] == ["thinking", "text"]
        messages += [{"role": "assistant", "content": second.content}, {"role": "user", "content": "Thanks."}]
        there.replay.exchange = RECORDED[0]
        sdk.messages.create(model="claude", messages=messages, max_tokens=5)
    _, other, end = (request.json for request in there.up.requests)
    assert [message["role"] for message in other["messages"]] == ["user", "assistant", "tool"]
    assert other["messages"][1]["tool_calls"][0]["id"] == other["messages"][2]["tool_call_id"] == use.id
    again = [message["content"] for message in end["messages"]]
    assert again[1][0] == {"type": "thinking", "thinking": thinking.thinking, "signature": thinking.signature}
    assert [block["type"] for block in again[3]] == ["text"], "thinking that it did not sign is not shown to Anthropic"
