"""What providers say when they fail, and which row of the verdict table it is. The words are theirs."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.dialect import Dialect
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret

K = FailureKind
KEY = "thekeythatmustnotgetout"


def failed(status: int, body: object = b"", kind: str = "openai", **headers: str) -> Failure:
    backend = Backend("b", kind, "http://gpu-7:8000/v1", Secret(KEY))
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return bind(backend, Target("b/m", "b", "m")).failure(status, fields, raw)


def error(message: str = "", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, K.REDIRECT), (302, K.REDIRECT), (307, K.REDIRECT), (308, K.REDIRECT),
        (400, K.BAD_REQUEST), (413, K.BAD_REQUEST), (415, K.BAD_REQUEST), (422, K.BAD_REQUEST),
        (401, K.KEY_REFUSED), (403, K.KEY_REFUSED), (402, K.QUOTA), (404, K.NOT_FOUND), (405, K.NOT_FOUND),
        (410, K.NOT_FOUND), (408, K.SERVER_ERROR), (409, K.SERVER_ERROR), (424, K.SERVER_ERROR),
        (429, K.RATE_LIMITED), (498, K.OVERLOADED), (503, K.OVERLOADED), (529, K.OVERLOADED),
        (500, K.SERVER_ERROR), (502, K.SERVER_ERROR), (504, K.SERVER_ERROR), (520, K.SERVER_ERROR),
        (501, K.UNSUPPORTED),
    ],
)  # fmt: skip
@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"\x1f\x8b\x08\0junk", b"{", b"[]", b"null", b"{}"])
def test_a_status_alone_tells_the_row(status: int, kind: K, body: bytes) -> None:
    got = failed(status, body)
    assert got.kind is kind
    assert got.status == status
    assert "html" not in got.message
    assert got.message


CONTEXT = [
    (400, error("This model's maximum context length is 8192 tokens. However…", code="context_length_exceeded")),
    (400, error("Invalid 'messages[0].content': string too long.", code="string_above_max_length")),
    (400, error("Your input exceeds the context window of this model.", type="invalid_request_error")),
    (400, error("request (9000 tokens) exceeds the available context size (4096 tokens)", code=400,
                type="exceed_context_size_error", n_prompt_tokens=9000, n_ctx=4096)),
    (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you…",
           "type": "BadRequestError", "code": 400}),
    (400, error("The decoder prompt (length 5000) is longer than the maximum model length of 4096. The input tokens "
                "exceed the maximum context length.")),
    (400, {"object": "error", "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context "
           "length", "type": "invalid_request_message", "code": "3051"}),
    (413, error("Request too large for model `llama` on tokens per minute (TPM): Limit 6000, Requested 7000",
                type="tokens", code="rate_limit_exceeded")),
    (429, error("Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000",
                type="tokens", code="rate_limit_exceeded")),
    (400, error("prompt too long; exceeded max context length by 1119046 tokens (ref: 1)")),
    (400, error("prompt is too long: 3333404 tokens > 200000 maximum", type="invalid_request_error")),
    (400, error("This model's maximum prompt length is 131072 but the request contains 200000 tokens.")),
    (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000",
           "error_type": "validation"}),
    (400, error("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).")),
    (400, error("Requested tokens (600) exceed context window of 512")),
    (400, {"error": "The number of tokens to keep from the initial prompt is greater than the context length"}),
    (400, error("The total length of all messages is too long.", type="too_many_prompt_tokens", code=400)),
    (400, error("Provider returned error", code=400, metadata={"raw": '{"error": "prompt is too long"}'})),
    (500, error("Requested tokens (600) exceed context window of 512")),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), CONTEXT)
def test_too_long_a_prompt_is_known_in_all_its_faces(status: int, body: object) -> None:
    got = failed(status, body, retry_after="9")
    assert (got.kind, got.code, got.retry_after) == (K.CONTEXT_LENGTH, "context_length_exceeded", None)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, error("You exceeded your current quota, please check your plan", code="insufficient_quota"), K.QUOTA),
        (429, error("You exceeded your current quota, please check your plan and billing details."), K.QUOTA),
        (402, error("Insufficient Balance", type="unknown_error"), K.QUOTA),
        (402, {"error": "You have exceeded your monthly included credits"}, K.QUOTA),
        (400, error("Your credit balance is too low to access the API.", type="invalid_request_error"), K.QUOTA),
        (403, error("Your team has used all available credits or reached its monthly spending limit"), K.QUOTA),
        (400, error("Incorrect API key provided: sk-x"), K.KEY_REFUSED),
        (400, [error("API key not valid.", code=400, details=[{"reason": "API_KEY_INVALID"}])], K.KEY_REFUSED),
        (401, {"detail": "Invalid API Key"}, K.KEY_REFUSED),
        (401, b"Unauthorized", K.KEY_REFUSED),
        (403, error("Country not supported", code="unsupported_country_region_territory"), K.KEY_REFUSED),
        (403, error("Project `proj_x` does not have access to model `gpt-4o`", code="model_not_found"), K.NOT_FOUND),
        (404, error("The API deployment for this resource does not exist.", code="DeploymentNotFound"), K.NOT_FOUND),
        (404, {"error": "model 'nosuch:latest' not found"}, K.NOT_FOUND),
        (404, error("No endpoints found for nosuch/model.", code=404), K.NOT_FOUND),
        (400, error("nosuch/model is not a valid model ID", code=400), K.NOT_FOUND),
        (400, error("Model Not Exist", type="invalid_request_error"), K.NOT_FOUND),
        (400, {"object": "error", "message": "Invalid model: x", "type": "invalid_model", "code": "1500"}, K.NOT_FOUND),
        (400, error("The model `old` has been decommissioned", code="model_decommissioned"), K.NOT_FOUND),
        (400, error("The chatCompletion operation does not work with it", code="OperationNotSupported"), K.NOT_FOUND),
        (404, error("No endpoints found that support tool use.", code=404), K.UNSUPPORTED),
        (400, error("Unsupported parameter: 'stop' is not supported with this model.", param="stop"), K.UNSUPPORTED),
        (400, error("x", code="unsupported_value", param="messages[0].role"), K.UNSUPPORTED),
        (400, error("Unrecognized request argument supplied: foo"), K.UNSUPPORTED),
        (400, error("registry.ollama.ai/library/gemma:2b does not support tools"), K.UNSUPPORTED),
        (400, error("max_tokens is too large: 9. This model supports at most 4 completion tokens"), K.UNSUPPORTED),
        (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "x"], "msg": "Extra inputs are not permitted"}]},
         K.UNSUPPORTED),
        (501, error("This server does not support embeddings", code=501, type="not_supported_error"), K.UNSUPPORTED),
        (400, error("x", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}), K.FILTERED),
        (400, error("Content Exists Risk", type="invalid_request_error"), K.FILTERED),
        (400, error("Your prompt was flagged as potentially violating it", code="invalid_prompt"), K.FILTERED),
        (403, error("Your model requires moderation and your input was flagged", code=403), K.FILTERED),
        (400, error("Tool call validation failed", code="tool_use_failed", failed_generation="{"), K.TOOL_USE),
        (503, error("Loading model", code=503, type="unavailable_error"), K.LOADING),
        (503, {"error": "Model org/m is currently loading", "estimated_time": 20.0}, K.LOADING),
        (500, b"<!DOCTYPE html><pre>Error: The model is still loading</pre>", K.LOADING),
        (503, {"error": "server busy, please try again.  maximum pending requests exceeded"}, K.OVERLOADED),
        (500, error("The model is overloaded", type="server_error"), K.OVERLOADED),
        (503, error("Slow down", code="slow_down"), K.OVERLOADED),
        (429, {"error": "Model is overloaded", "error_type": "overloaded"}, K.OVERLOADED),
        (429, {"message": "Requests rate limit exceeded"}, K.RATE_LIMITED),
        (429, error("x", code="RateLimitReached"), K.RATE_LIMITED),
        (400, error("Invalid 'messages': empty array.", code="empty_array", param="messages"), K.BAD_REQUEST),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "not an integer", "type": "int_parsing"}]}, K.BAD_REQUEST),
        (500, b"Internal Server Error", K.SERVER_ERROR),
        (500, {"detail": "Internal error"}, K.SERVER_ERROR),
    ],
)  # fmt: skip
def test_what_providers_say_is_understood(status: int, body: object, kind: K) -> None:
    assert failed(status, body).kind is kind


def test_our_own_full_queue_is_nobodys_failure() -> None:
    for body in (error("x", code="queue_full"), error("our queue is full", code=503, type="unavailable_error")):
        assert failed(503, body, "llamacpp").kind is K.BUSY
        assert failed(503, body).kind is K.OVERLOADED
    assert failed(503, error("Loading model", type="unavailable_error"), "llamacpp").kind is K.LOADING


def test_the_caller_gets_the_words_where_the_caller_is_to_blame() -> None:
    got = failed(400, error("Invalid 'n'", code="invalid_type", type="invalid_request_error", param="n"))
    assert got == Failure(K.BAD_REQUEST, "Invalid 'n'", 400, None, "invalid_type", "invalid_request_error", "n")
    spelled = failed(422, {"detail": [{"loc": ["body", "n"], "msg": "not an integer", "type": "int_parsing"}]})
    assert spelled.message == "body.n: not an integer"
    assert failed(400, b"plain words\nof a server").message == "plain words of a server"


@pytest.mark.parametrize("status", [301, 400, 401, 402, 404, 429, 500, 503])
def test_no_message_tells_our_key_our_account_or_our_addresses(status: int) -> None:
    words = f"key {KEY} sk-abcdefghijklmnopqrst of org-abcdefgh123 at http://gpu-7:8000/v1 (gpu-7, 10.0.0.7:8000)"
    got = failed(status, error(words, code=KEY, type=KEY, param=KEY), location="http://evil.example/")
    for part in (KEY, "abcdefghijklmnopqrst", "abcdefgh123", "gpu-7", "10.0.0.7", "evil"):
        assert part not in repr(got)


def test_a_key_that_is_none_does_not_garble_messages() -> None:
    backend = Backend("b", "openai", "http://127.0.0.1:8000/v1", Secret("x"))
    got = bind(backend, Target("b/m", "b", "m")).failure(400, [], orjson.dumps(error("expected an integer")))
    assert got.message == "expected an integer"


@pytest.mark.parametrize("status", [401, 403, 402, 404, 429])
def test_what_is_about_our_key_or_account_is_not_told_in_the_upstreams_words(status: int) -> None:
    assert "Mr. Miller" not in failed(status, error("the account of Mr. Miller is closed")).message


@pytest.mark.parametrize(
    ("status", "body", "headers", "wait"),
    [
        (429, b"", {"retry_after": "7"}, 7.0),
        (429, b"", {"retry_after_ms": "0", "retry_after": "1"}, 1.0),
        (429, b"", {"retry_after": "Wed, 01 Jan 2020 00:00:20 GMT", "date": "Wed, 01 Jan 2020 00:00:00 GMT"}, 20.0),
        (429, b"", {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "1m30s"}, 90.0),
        (429, error("Rate limit reached. Please try again in 174ms."), {}, pytest.approx(0.174)),
        (429, [error("x", code=429, status="RESOURCE_EXHAUSTED", details=[{"retryDelay": "48s"}])], {}, 48.0),
        (503, {"error": "Model is currently loading", "estimated_time": 20.0}, {}, 20.0),
        (503, b"", {"retry_after": "3"}, 3.0),
        (429, b"", {}, None),
        (400, b"", {"retry_after": "3"}, None),
        (401, b"", {"retry_after": "3"}, None),
    ],
)
def test_the_waiting_time_is_found_where_waiting_helps(
    status: int, body: object, headers: dict[str, str], wait: Any
) -> None:
    assert failed(status, body, **headers).retry_after == wait


def test_a_huge_error_is_read_in_bounds(dialect: Dialect) -> None:
    got = dialect.failure(400, [], orjson.dumps(error("x" * 5_000_000)))
    assert got.kind is K.BAD_REQUEST
    assert len(got.message) <= 500
