"""The Responses API where a backend has it itself (Azure, as OpenAI): handed on as it is, with failover to chat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import APIError, OpenAI

from tests.sdk.serving import serving
from tests.sdk.stage import Script
from tests.upstream import InThread, Request, Upstream, in_thread
from tests.upstream_answers import chat_ok, dumps, error, plain, raw_stream, stream_ok
from tests.upstream_steps import Behaviour, Close

CONFIG = """
listen: {{port: 0}}
ledger: {{path: {directory}/ledger.db}}
store: {{path: {directory}/responses.db}}
direct: true
backends:
  own: {{type: azure, base_url: "{upstream}", api_key: 0123456789abcdef}}
  chat: {{type: groq, base_url: "{upstream}/v1", api_key: sk-of-the-gateway}}
routes:
  both: {{targets: [{{target: own/first, price: {{input: 1, output: 2}}}}, chat/second]}}
  changing: {{targets: [own/now, chat/then]}}
"""
SEARCH: Any = {"type": "web_search"}
USAGE = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 9,
}


def response(text: str, id_: str = "resp_68", status: str = "completed") -> dict[str, Any]:
    """A Response object as OpenAI makes them."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {"id": f"msg_{id_}", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    return {
        "id": id_,
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "model": "gpt-served",
        "output": [message] if status == "completed" else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [SEARCH],
        "usage": USAGE if status == "completed" else None,
        "x_of_openais_own": {"kept": True},
    }


def event(number: int, kind: str, **fields: Any) -> bytes:
    data = dumps({"type": kind, "sequence_number": number, **fields})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def stream(*words: str, id_: str = "resp_69") -> list[bytes]:
    """The events of a stream. (Not all that OpenAI sends: what is handed on is not looked at.)"""
    begun = event(0, "response.created", response=response("", id_, "in_progress"))
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": [], "obfuscation": "x"}
    said = [event(n, "response.output_text.delta", delta=word, **at) for n, word in enumerate(words, 1)]
    return [begun, *said, event(9, "response.completed", response=response("".join(words), id_))]


class Native:
    """A server, its upstream, and who plays what."""

    def __init__(self, sdk: OpenAI, there: InThread, script: Script) -> None:
        self.sdk = sdk
        self._there = there
        self._script = script

    def play(self, model: str, *plays: Behaviour) -> None:
        self._script.put(model, plays)

    def asked(self, model: str) -> list[Request]:
        return [request for request in self._there.up.requests if request.json["model"] == model]


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Native]:
    directory: Path = tmp_path_factory.mktemp("native")
    script = Script()
    with in_thread(Upstream(script)) as there:
        upstream = there.up.base_url.removesuffix("/v1")
        text = CONFIG.format(directory=directory, upstream=upstream)
        with serving(directory, text) as server, OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as sdk:
            yield Native(sdk, there, script)


def test_an_answer_comes_byte_for_byte_and_the_request_goes_as_it_came(native: Native) -> None:
    body = dumps(response("Hello!"))
    native.play("whole", plain(body))
    raw = native.sdk.responses.with_raw_response.create(
        model="own/whole", input="Hi", tools=[SEARCH], extra_body={"from_the_future": 1}
    )
    assert raw.content == body
    assert "x-wayline-dropped" not in raw.headers
    [request] = native.asked("whole")
    assert request.path.endswith("/openai/v1/responses")
    assert request.json == {"model": "whole", "input": "Hi", "tools": [SEARCH], "from_the_future": 1}


def test_a_stream_comes_byte_for_byte(native: Native) -> None:
    sent = stream("Hel", "lo")
    native.play("streamed", raw_stream(*sent))
    with native.sdk.responses.with_streaming_response.create(model="own/streamed", input="Hi", stream=True) as raw:
        assert b"".join(raw.iter_bytes()) == b"".join(sent)
    native.play("helped", raw_stream(*stream("Hel", "lo")))
    with native.sdk.responses.create(model="own/helped", input="Hi", stream=True) as found:
        assert [one.delta for one in found if one.type == "response.output_text.delta"] == ["Hel", "lo"]


def test_its_usage_is_on_record(native: Native) -> None:
    native.play("first", plain(dumps(response("Hello!"))))
    raw = native.sdk.responses.with_raw_response.create(model="both", input="Hi")
    assert raw.headers["x-wayline-target"] == "own/first"
    assert raw.headers["x-wayline-cost"] == "0.000011"  # (7 * 1 + 2 * 2) / 1e6


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_where_it_fails_a_backend_that_has_only_chat_answers(native: Native, streamed: bool) -> None:
    native.play("first", error(500))
    native.play("second", stream_ok(["Hel", "lo"]) if streamed else chat_ok("Hello"))
    if streamed:
        with native.sdk.responses.stream(model="both", input="Hi") as found:
            assert found.get_final_response().output_text == "Hello"
    else:
        assert native.sdk.responses.create(model="both", input="Hi").output_text == "Hello"
    assert native.asked("second")[-1].json["messages"] == [{"role": "user", "content": "Hi"}]


def test_a_stream_that_breaks_off_raises(native: Native) -> None:
    native.play("cut", raw_stream(*stream("Hel", "lo")[:2], end=False).then(Close()))
    said = ""
    with (
        native.sdk.responses.create(model="own/cut", input="Hi", stream=True) as found,
        pytest.raises(APIError, match="upstream"),
    ):
        for one in found:
            said += one.delta if one.type == "response.output_text.delta" else ""
    assert said == "Hel"


def test_a_kept_conversation_changes_its_provider_at_each_turn(native: Native) -> None:
    native.play("now", plain(dumps(response("Hello Ann.", "resp_t1"))), error(500), raw_stream(*stream("Bye.")))
    native.play("then", chat_ok("You are Ann."))
    first = native.sdk.responses.create(model="changing", input="I am Ann.")
    second = native.sdk.responses.create(model="changing", input="Who am I?", previous_response_id=first.id)
    assert (first.output_text, second.output_text) == ("Hello Ann.", "You are Ann.")
    said = [(one["role"], one["content"]) for one in native.asked("then")[-1].json["messages"]]
    assert said == [("user", "I am Ann."), ("assistant", "Hello Ann."), ("user", "Who am I?")]
    with native.sdk.responses.create(
        model="changing", input="Bye.", previous_response_id=second.id, stream=True
    ) as found:
        assert [one.type for one in found][-1] == "response.completed"
    asked = native.asked("now")[-1].json
    assert "previous_response_id" not in asked
    assert [item["role"] for item in asked["input"]] == ["user", "assistant", "user", "assistant", "user"]
    assert native.sdk.responses.retrieve("resp_69").output_text == "Bye."
