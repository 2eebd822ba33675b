"""Claude on Vertex: Anthropic's words at Google's door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest, Native
from proxy.core.dialect import Dialect, Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target

PLACE = {"project": "my-project", "location": "europe-west1"}
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


def dialect(model: str = "claude-sonnet-4-5@20250929", options: Mapping[str, Any] | None = None) -> Dialect:
    backend = Backend("v", "vertex", options=PLACE if options is None else options)
    return bind(backend, Target(f"v/{model}", "v", model))


def prepared(body: Mapping[str, Any], native: Native | None = None, **more: Any) -> Prepared:
    whole = {"model": "route", "messages": HELLO, **body}
    found = dialect(**more).chat(ChatRequest(b"", whole, "route", bool(whole.get("stream")), False, native))
    assert isinstance(found, Prepared), found
    return found


def line(found: Prepared) -> str:
    return found.call.head.split(b"\r\n")[0].decode()


def test_the_model_and_the_version_change_places() -> None:
    found = prepared({})
    assert line(found) == (
        "POST /v1/projects/my-project/locations/europe-west1/publishers/anthropic/models/"
        "claude-sonnet-4-5@20250929:rawPredict HTTP/1.1"
    )
    assert b"Host: europe-west1-aiplatform.googleapis.com\r\n" in found.call.head
    body = orjson.loads(found.call.body)
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert "model" not in body
    assert [message["role"] for message in body["messages"]] == ["user"]


def test_the_head_has_neither_a_key_nor_anthropics_version_in_it() -> None:
    """The credential adds the token."""
    names = {field.split(b":")[0].lower() for field in prepared({}).call.head.split(b"\r\n")[1:]}
    assert names.isdisjoint({b"x-api-key", b"anthropic-version", b"authorization", b"x-goog-api-key"})


def test_a_stream_has_a_method_of_its_own() -> None:
    found = prepared({"stream": True}, options={"project": "my-project", "location": "global"})
    assert ":streamRawPredict HTTP/1.1" in line(found)
    assert b"Host: aiplatform.googleapis.com\r\n" in found.call.head
    assert orjson.loads(found.call.body)["stream"] is True


def test_a_request_in_anthropics_own_words_is_handed_on_with_its_betas() -> None:
    body = {"model": "x", "max_tokens": 5, "messages": HELLO, "system": [{"type": "text", "text": "s"}]}
    native = Native("messages", body, (("anthropic-beta", "context-1m-2025-08-07"),))
    found = prepared({}, native)
    sent = orjson.loads(found.call.body)
    assert sent == {**{n: v for n, v in body.items() if n != "model"}, "anthropic_version": "vertex-2023-10-16"}
    assert b"anthropic-beta: context-1m-2025-08-07\r\n" in found.call.head


def test_tokens_are_counted_at_a_model_of_its_own() -> None:
    native = Native("count_tokens", {"model": "x", "messages": HELLO})
    found = prepared({}, native)
    assert "/publishers/anthropic/models/count-tokens:rawPredict" in line(found)
    assert orjson.loads(found.call.body)["model"] == "claude-sonnet-4-5@20250929"


def test_the_publisher_may_stand_before_the_model() -> None:
    found = prepared({}, model="anthropic/claude-opus-4-6")
    assert "/publishers/anthropic/models/claude-opus-4-6:rawPredict" in line(found)


def test_googles_own_refusals_are_understood_and_tell_no_project() -> None:
    refused = [{"error": {"code": 429, "message": "Quota exceeded for my-project", "status": "RESOURCE_EXHAUSTED"}}]
    assert dialect().failure(429, [], orjson.dumps(refused)).kind is FailureKind.RATE_LIMITED
    wrong = {"error": {"code": 400, "message": "my-project may not", "status": "FAILED_PRECONDITION"}}
    assert "my-project" not in dialect().failure(400, [], orjson.dumps(wrong)).message


def test_a_request_that_names_it_directly_is_told_to_take_a_route() -> None:
    found = dialect("").chat(ChatRequest(b"", {"messages": HELLO}, "v/claude-sonnet-4-5", False, False))
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.UNSUPPORTED
