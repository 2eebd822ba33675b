"""What goes wrong reaches the openai SDK as the exception its users expect, and is tried again only where it helps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.sdk.stage import KEY, Stage
from tests.upstream import Request
from tests.upstream_answers import chat_ok, error
from tests.upstream_faults import rate_limited
from tests.upstream_steps import Behaviour

HELLO: Any = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def patient(stage: Stage) -> Iterator[OpenAI]:
    """The SDK with its own two retries, as it comes."""
    with OpenAI(base_url=stage.base_url, api_key=KEY) as sdk:
        yield sdk


def test_an_unknown_model_is_not_found_and_the_message_names_those_that_there_are(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="pair1") as raised:
        client.chat.completions.create(model="pair", messages=HELLO)
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")
    assert raised.value.type == "invalid_request_error"
    with pytest.raises(openai.NotFoundError, match="named"):
        client.models.retrieve("name")


def test_a_wrong_key_is_an_authentication_error(stage: Stage) -> None:
    with OpenAI(base_url=stage.base_url, api_key="sk-wrong", max_retries=0) as sdk:
        with pytest.raises(openai.AuthenticationError) as raised:
            sdk.chat.completions.create(model=stage.play(chat_ok()), messages=HELLO)
        assert raised.value.code == "invalid_api_key"
        assert "sk-wrong" not in str(raised.value)
        with pytest.raises(openai.AuthenticationError):
            sdk.models.list()


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_what_the_upstream_finds_wrong_with_a_request_is_told_in_its_own_words(
    stage: Stage, client: OpenAI, streamed: bool
) -> None:
    wrong = error(400, "'temp' is too hot", type_="invalid_request_error", code="invalid_value", param="temperature")
    route = stage.pair(wrong, chat_ok())
    with pytest.raises(openai.BadRequestError, match="'temp' is too hot") as raised:
        client.chat.completions.create(model=route, messages=HELLO, stream=streamed)
    assert (raised.value.code, raised.value.param) == ("invalid_value", "temperature")
    assert len(stage.asked(route)) == 1


def test_a_prompt_too_long_for_the_first_target_is_answered_by_the_next(stage: Stage, client: OpenAI) -> None:
    long = error(
        400, "maximum context length is 10 tokens", type_="invalid_request_error", code="context_length_exceeded"
    )
    assert client.chat.completions.create(model=stage.pair(long, chat_ok("fits")), messages=HELLO).choices
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=stage.play(long), messages=HELLO)
    assert raised.value.code == "context_length_exceeded"


def test_an_error_tells_the_requests_id(stage: Stage, client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(
            model=stage.play(error(500)), messages=HELLO, extra_headers={"x-request-id": "trace-0815"}
        )
    assert raised.value.request_id == "trace-0815"
    assert raised.value.status_code == 502


def test_the_gateways_own_bad_key_is_never_told_as_the_callers(stage: Stage, client: OpenAI) -> None:
    refused = error(401, "Incorrect API key provided: sk-of-the-gateway", code="invalid_api_key")
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model=stage.play(refused), messages=HELLO)
    assert raised.value.status_code == 502
    assert raised.value.code == "upstream_auth"
    assert "sk-of" not in str(raised.value)


def test_the_sdk_waits_as_long_as_a_rate_limit_says_and_then_has_its_answer(stage: Stage, patient: OpenAI) -> None:
    model = stage.play(rate_limited({"retry-after-ms": "150"}), chat_ok("at last"))
    began = time.monotonic()
    raw = patient.chat.completions.with_raw_response.create(model=model, messages=HELLO)
    assert raw.parse().choices[0].message.content == "at last"
    assert raw.retries_taken == 1
    first, second = stage.asked(model)
    assert 0.15 <= second.time - first.time <= time.monotonic() - began


def test_a_rate_limit_is_a_rate_limit_error_with_the_time_to_wait(stage: Stage, client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model=stage.play(rate_limited({"retry-after": "7"})), messages=HELLO)
    assert raised.value.response.headers["retry-after"] == "7"
    assert raised.value.code == "rate_limit_exceeded"


def test_of_two_rate_limited_targets_the_shorter_wait_is_told(stage: Stage, client: OpenAI) -> None:
    route = stage.pair(rate_limited({"retry-after": "40"}), rate_limited({"retry-after": "9"}))
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model=route, messages=HELLO)
    assert raised.value.response.headers["retry-after"] == "9"


FUTILE = [
    pytest.param(error(429, "You exceeded your current quota", code="insufficient_quota"), id="quota"),
    pytest.param(error(401, "Incorrect API key", code="invalid_api_key"), id="the gateway's key"),
    pytest.param(error(404, "no such model", code="model_not_found"), id="no such model there"),
    pytest.param(rate_limited({"retry-after": "3000"}), id="a wait of an hour"),
]


@pytest.mark.parametrize("failure", FUTILE)
def test_the_sdk_does_not_try_again_what_trying_again_cannot_mend(
    stage: Stage, patient: OpenAI, failure: Behaviour
) -> None:
    model = stage.play(failure)
    with pytest.raises(openai.APIStatusError) as raised:
        patient.chat.completions.create(model=model, messages=HELLO)
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(stage.asked(model)) == 1


def test_a_server_error_of_the_only_target_is_tried_again_here_and_then_by_the_sdk(
    stage: Stage, client: OpenAI
) -> None:
    again = client.with_options(max_retries=1).chat.completions.with_raw_response
    for failures, retries in ((1, 0), (2, 1)):
        model = stage.play(*[error(500)] * failures, chat_ok("at last"))
        raw = again.create(model=model, messages=HELLO)
        assert (raw.parse().choices[0].message.content, raw.retries_taken) == ("at last", retries)


def test_another_target_answers_before_the_sdk_has_to_try_again(stage: Stage, patient: OpenAI) -> None:
    route = stage.pair(error(503, headers={"retry-after": "5"}), chat_ok("from the second"))
    raw = patient.chat.completions.with_raw_response.create(model=route, messages=HELLO)
    assert raw.parse().choices[0].message.content == "from the second"
    assert (raw.retries_taken, raw.headers["x-wayline-attempts"]) == (0, "2")


def test_a_body_that_is_too_long_is_told_as_such(stage: Stage, client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(
            model=stage.play(chat_ok()), messages=[{"role": "user", "content": "x" * (20 * 1024 * 1024)}]
        )
    assert raised.value.status_code == 413


def test_nothing_of_the_gateways_address_or_key_is_in_an_error(stage: Stage, client: OpenAI) -> None:
    def leaky(request: Request, _: int) -> Behaviour:
        return error(400, f"http://{request.headers['host']}/v1 did not like {request.headers['authorization']}")

    with pytest.raises(openai.BadRequestError, match="did not like") as raised:
        client.chat.completions.create(model=stage.play(leaky), messages=HELLO)
    assert "127.0.0.1" not in str(raised.value)
    assert "sk-of" not in str(raised.value)
