"""Whatever OpenAI's schema allows becomes what Ollama's own description allows, or is refused in clear words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.dialect import Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from tests.backends.conversations import AUDIO, FILE, REMOTE, TEXT, requests

SCHEMA = orjson.loads((Path(__file__).parent / "fixtures" / "ollama-schema.json").read_bytes())
DIALECT = bind(Backend("o", "ollama", options={"num_ctx": 4096, "keep_alive": -1.0}), Target("o/m", "o", "m"))


def check(name: str, body: bytes) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(body)
    Draft202012Validator({**SCHEMA, "$ref": f"#/components/schemas/{name}"}).validate(value)
    return value


@given(body=requests())
@settings(max_examples=150, deadline=None)
def test_any_request_becomes_one_that_ollama_describes(body: dict[str, Any]) -> None:
    prepared = DIALECT.chat(ChatRequest(b"", body, "r", bool(body.get("stream")), False))
    assert isinstance(prepared, Prepared)
    value = check("ChatRequest", prepared.call.body)
    assert len(value["messages"]) == len(body["messages"])
    assert set(prepared.unsupported) <= set(prepared.dropped) <= set(body)


@given(body=requests(AUDIO, FILE, REMOTE))
@settings(max_examples=80, deadline=None)
def test_what_cannot_be_given_is_refused_and_everything_else_is_sent(body: dict[str, Any]) -> None:
    prepared = DIALECT.chat(ChatRequest(b"", body, "r", False, False))
    given = orjson.dumps(body["messages"])
    beyond = any(mark in given for mark in (b'"input_audio"', b'"file"', b'"https://example.com/'))
    if isinstance(prepared, Failure):
        assert prepared.kind is FailureKind.UNSUPPORTED
        assert beyond
    else:
        check("ChatRequest", prepared.call.body)


@given(texts=TEXT | st.lists(TEXT, min_size=1, max_size=4), dimensions=st.none() | st.integers(1, 512))
@settings(max_examples=40, deadline=None)
def test_any_texts_to_embed_become_what_ollama_describes(texts: object, dimensions: int | None) -> None:
    asked = EmbedRequest(b"", {"input": texts, "dimensions": dimensions, "encoding_format": "float"}, "r", False)
    prepared = DIALECT.embed(asked)
    assert isinstance(prepared, Prepared)
    assert check("EmbedRequest", prepared.call.body)["input"] == texts
