"""Each error of Ollama on its row of the verdict table. The texts are those of its server's code, 0.1 to 0.33."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.failure import FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret

K = FailureKind
KEY = "ollama-secret-key-1"
DIALECT = bind(Backend("o", "ollama", "http://gpu.internal:11434", Secret(KEY)), Target("o/m", "o", "m"))


def from_llama_server(**error: Any) -> str:
    """What Ollama hands on from its llama-server since 0.30: JSON, as the text of its own error."""
    return orjson.dumps({"error": error}).decode()


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (404, "model 'nosuch:latest' not found", K.NOT_FOUND),
        (404, 'model "nosuch" not found, try pulling it first', K.NOT_FOUND),
        (503, "server busy, please try again.  maximum pending requests exceeded", K.LOADING),
        (500, "llm server loading model", K.LOADING),
        (503, "no healthy upstream", K.OVERLOADED),
        (400, "the input length exceeds the context length", K.CONTEXT_LENGTH),
        (500, "the input length exceeds the context length", K.CONTEXT_LENGTH),
        (400, "prompt too long; exceeded max context length by 4 tokens", K.CONTEXT_LENGTH),
        (
            400,
            "the prompt is longer than the context length currently available to the model; shorten the prompt",
            K.CONTEXT_LENGTH,
        ),
        (
            400,
            from_llama_server(
                code=400,
                message="request (2622 tokens) exceeds the available context size (512 tokens), try increasing it",
                type="exceed_context_size_error",
                n_prompt_tokens=2622,
                n_ctx=512,
            ),
            K.CONTEXT_LENGTH,
        ),
        (
            400,
            from_llama_server(
                code=400,
                message="Multimodal data provided, but model does not support multimodal requests.",
                type="invalid_request_error",
            ),
            K.UNSUPPORTED,
        ),
        (400, "registry.ollama.ai/library/gemma:2b does not support tools", K.UNSUPPORTED),
        (400, '"gemma:2b" does not support thinking', K.UNSUPPORTED),
        (400, '"nomic-embed-text" does not support chat', K.UNSUPPORTED),
        (501, "this model does not support embeddings", K.UNSUPPORTED),
        (500, "this model does not support embeddings", K.UNSUPPORTED),
        (400, 'think value "high" is not supported for this model', K.UNSUPPORTED),
        (500, "this model only supports one image while more than one image requested", K.UNSUPPORTED),
        (400, "illegal base64 data at input byte 0", K.BAD_REQUEST),
        (400, 'invalid format: "xml"; expected "json" or a valid JSON Schema object', K.BAD_REQUEST),
        (500, "model requires more system memory (5.6 GiB) than is available (3.2 GiB)", K.SERVER_ERROR),
        (500, "llama runner process has terminated: exit status 2", K.SERVER_ERROR),
        (500, "{not json", K.SERVER_ERROR),
        (500, "{}", K.SERVER_ERROR),
        (401, "unauthorized", K.KEY_REFUSED),
        (429, "you've reached your hourly usage limit, please upgrade to continue", K.RATE_LIMITED),
        (502, "upstream unreachable", K.SERVER_ERROR),
    ],
)
def test_an_error_is_a_text_that_says_more_than_its_status(status: int, text: str, kind: FailureKind) -> None:
    failure = DIALECT.failure(status, [], orjson.dumps({"error": text}))
    assert (failure.kind, failure.status) == (kind, status)
    assert failure.message
    assert (failure.code == "context_length_exceeded") == (kind is K.CONTEXT_LENGTH)


def test_what_waits_for_a_model_asks_for_no_blame() -> None:
    failure = DIALECT.failure(503, [(b"retry-after", b"3")], b'{"error": "maximum pending requests exceeded"}')
    assert not failure.verdict.counts
    assert failure.retry_after == 3
    assert "loading" in failure.message


@pytest.mark.parametrize(
    "body",
    [
        orjson.dumps({"error": f"{KEY} is not known at gpu.internal:11434"}),
        orjson.dumps({"error": from_llama_server(message=f"{KEY} at gpu.internal", code=500)}),
        orjson.dumps({"error": f"the input length exceeds the context length of {KEY} on gpu.internal"}),
    ],
)
def test_neither_key_nor_address_gets_out(body: bytes) -> None:
    told = f"{DIALECT.failure(500, [], body)!r} {DIALECT!r}"
    assert KEY not in told
    assert "gpu.internal" not in told


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"\xff\xfe", b"null", b"[]", b'"text"', b'{"error": 5}'])
def test_an_error_is_read_from_anything(body: bytes) -> None:
    assert DIALECT.failure(500, [], body).kind is K.SERVER_ERROR
