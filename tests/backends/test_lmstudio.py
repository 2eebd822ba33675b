"""LM Studio: OpenAI's dialect, and what its loading of models makes of it."""

from __future__ import annotations

import orjson
import pytest

from proxy.backends.lmstudio_models import Kept, kept
from proxy.backends.registry import bind, origin
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.chat import ChatRequest, Completion, EmbedRequest
from proxy.core.dialect import Malformed, Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target

K = FailureKind
HELLO = {"messages": [{"role": "user", "content": "hello"}]}
DIALECT = bind(Backend("l", "lmstudio"), Target("l/qwen", "l", "qwen"))
PAGE = (
    b'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n</head>\n<body>\n'
    b"<pre>Internal Server Error</pre>\n</body>\n</html>\n"
)


@pytest.mark.parametrize(
    ("url", "at", "path"),
    [
        ("", Origin("http", "127.0.0.1", 1234), b"/v1/chat/completions"),
        ("http://mac:1234", Origin("http", "mac", 1234), b"/v1/chat/completions"),
        ("http://mac:1234/v1", Origin("http", "mac", 1234), b"/v1/chat/completions"),
    ],
)
def test_its_door_is_found(url: str, at: Origin, path: bytes) -> None:
    backend = Backend("l", "lmstudio", url)
    assert origin(backend) == at
    prepared = bind(backend, Target("l/m", "l", "m")).chat(ChatRequest(b"", HELLO, "r", False, False))
    assert isinstance(prepared, Prepared)
    assert prepared.call.head.startswith(b"POST " + path + b" ")


def test_a_model_that_a_request_loads_stays_as_long_as_configured() -> None:
    dialect = bind(Backend("l", "lmstudio", options={"ttl": 300.0}), Target("l/m", "l", "m"))
    chat = dialect.chat(ChatRequest(b"", HELLO, "r", False, False))
    embed = dialect.embed(EmbedRequest(b"", {"input": "a"}, "r", False))
    for prepared in (chat, embed):
        assert isinstance(prepared, Prepared)
        assert orjson.loads(prepared.call.body)["ttl"] == 300
    own = dialect.chat(ChatRequest(b"", {**HELLO, "ttl": 5}, "r", False, False))
    assert isinstance(own, Prepared)
    assert orjson.loads(own.call.body)["ttl"] == 5
    plain = DIALECT.chat(ChatRequest(b"", HELLO, "r", False, False))
    assert isinstance(plain, Prepared)
    assert "ttl" not in orjson.loads(plain.call.body)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, PAGE, K.LOADING),
        (503, b"  <html><body>Loading</body></html>", K.LOADING),
        (400, b'{"error": {"message": "Model is unloaded.", "type": "invalid_request_error"}}', K.LOADING),
        (400, b'{"error": "Model unloaded."}', K.LOADING),
        (
            400,
            b'{"error": {"message": "No models loaded. Please load a model in the developer page or use the `lms load` '
            b'command.", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}}',
            K.NOT_FOUND,
        ),
        (400, b'{"error": "Failed to load model \\"gpt-oss-20b\\". Error: Error loading model."}', K.SERVER_ERROR),
        (
            400,
            b'{"error": "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded '
            b'with context length of only 4096 tokens, which is not enough."}',
            K.CONTEXT_LENGTH,
        ),
        (500, b'{"error": "Internal error"}', K.SERVER_ERROR),
        (404, PAGE, K.NOT_FOUND),
        (401, b'{"error": {"message": "invalid token", "type": "invalid_request"}}', K.KEY_REFUSED),
    ],
)
def test_loading_is_a_state_and_what_is_not_the_callers_fault_is_not_called_so(
    status: int, body: bytes, kind: FailureKind
) -> None:
    failure = DIALECT.failure(status, [], body)
    assert (failure.kind, failure.status) == (kind, status)
    assert "<" not in failure.message
    assert not (kind is K.LOADING and failure.verdict.counts)


def test_an_endpoint_that_it_does_not_know_is_an_error_under_200() -> None:
    body = b'{"error": "Unexpected endpoint or method. (POST /v1/chat/completion). Returning 200 anyway"}'
    assert isinstance(DIALECT.completion(body), Failure)


def test_an_answer_is_read_as_openais() -> None:
    message = {"role": "assistant", "content": "hi"}
    reply = {"model": "qwen:2", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "stats": {}}
    answer = DIALECT.completion(orjson.dumps(reply))
    assert isinstance(answer, Completion)
    assert (answer.model, answer.chars, answer.usage) == ("qwen:2", 2, None)


def test_its_models_are_read_from_the_newer_list() -> None:
    models = [
        {
            **{"type": "llm", "key": "openai/gpt-oss-20b", "size_bytes": 1000, "max_context_length": 131072},
            "quantization": {"name": "MXFP4", "bits_per_weight": 4},
            "loaded_instances": [{"id": "openai/gpt-oss-20b", "config": {"context_length": 8192, "parallel": 4}}],
            "capabilities": {"vision": False, "trained_for_tool_use": True},
        },
        {"type": "embedding", "key": "nomic", "loaded_instances": [], "max_context_length": 2048, "quantization": None},
    ]
    assert kept(orjson.dumps({"models": models})) == (
        Kept("openai/gpt-oss-20b", "llm", True, 131072, 8192, 1000, "MXFP4", False, True),
        Kept("nomic", "embedding", False, 2048),
    )


def test_its_models_are_read_from_the_older_list() -> None:
    models = [
        {
            **{"id": "qwen2-vl-7b-instruct", "object": "model", "type": "vlm", "quantization": "4bit"},
            **{"state": "loaded", "max_context_length": 32768, "loaded_context_length": 4096},
            "capabilities": ["tool_use"],
        },
        {
            "id": "nomic",
            "type": "embeddings",
            "state": "not-loaded",
            "max_context_length": 2048,
            "quantization": "Q4_0",
        },
    ]
    assert kept(orjson.dumps({"object": "list", "data": models})) == (
        Kept("qwen2-vl-7b-instruct", "vlm", True, 32768, 4096, None, "4bit", True, True),
        Kept("nomic", "embedding", False, 2048, quantization="Q4_0", vision=False),
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"models": {}}', b'{"data": [1]}', PAGE])
def test_what_is_no_list_of_models_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        kept(body)
