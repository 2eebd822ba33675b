"""The openai SDK, pointed at Wayline by `base_url` alone: whole answers, headers, models."""

from __future__ import annotations

import asyncio
from typing import Any

from openai import AsyncOpenAI, OpenAI

from tests.sdk.stage import KEY, Stage
from tests.upstream_answers import MODEL, chat_ok, completion, dumps, plain
from tests.upstream_steps import Tokens

HELLO: Any = [{"role": "user", "content": "Say hello."}]


def test_an_answer_comes_as_the_upstream_gave_it(stage: Stage, client: OpenAI) -> None:
    answer = client.chat.completions.create(model=stage.play(chat_ok("Hello!")), messages=HELLO)
    assert answer.choices[0].message.content == "Hello!"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.id, answer.model, answer.created) == ("chatcmpl-1", MODEL, 1_700_000_000)
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 2)


def test_the_async_client_gets_many_answers_at_once_each_its_own(stage: Stage) -> None:
    models = [stage.play(chat_ok(f"answer {i}")) for i in range(20)]

    async def ask() -> list[str | None]:
        async with AsyncOpenAI(base_url=stage.base_url, api_key=KEY, max_retries=0) as sdk:
            asked = [sdk.chat.completions.create(model=model, messages=HELLO) for model in models]
            return [answer.choices[0].message.content for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == [f"answer {i}" for i in range(20)]


def test_the_raw_response_tells_which_target_answered_after_how_many_attempts_and_what_it_cost(
    stage: Stage, client: OpenAI
) -> None:
    route = stage.pair(chat_ok("first"), chat_ok("second"))
    raw = client.chat.completions.with_raw_response.create(model=route, messages=HELLO)
    assert raw.status_code == 200
    assert raw.parse().choices[0].message.content == "first"
    target = route.replace("pair", "up/a")
    told = {name: raw.headers[f"x-wayline-{name}"] for name in ("route", "target", "attempts", "cost")}
    assert told == {"route": route, "target": target, "attempts": "1", "cost": "0.000011"}  # (7 * 1 + 2 * 2) / 1e6


def test_a_whole_answer_can_be_read_as_a_streaming_response(stage: Stage, client: OpenAI) -> None:
    model = stage.play(chat_ok("Hello!"))
    with client.chat.completions.with_streaming_response.create(model=model, messages=HELLO) as response:
        assert response.headers["x-wayline-target"] == model
        assert response.parse().choices[0].message.content == "Hello!"


def test_a_request_goes_under_the_clients_own_id_when_it_gives_one(stage: Stage, client: OpenAI) -> None:
    model = stage.play(chat_ok())
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=HELLO, extra_headers={"x-request-id": "trace-0815"}
    )
    assert raw.headers["x-wayline-request-id"] == "trace-0815"
    assert raw.request_id == "trace-0815"


def test_the_sdk_knows_the_id_of_each_request(stage: Stage, client: OpenAI) -> None:
    model = stage.play(chat_ok())
    ids = {client.chat.completions.create(model=model, messages=HELLO)._request_id for _ in range(3)}
    assert len(ids) == 3
    assert all(id_ is not None and id_.startswith("req_") for id_ in ids)


def test_the_callers_key_stays_here_and_the_gateways_own_goes_out(stage: Stage, client: OpenAI) -> None:
    model = stage.play(chat_ok())
    client.chat.completions.create(model=model, messages=HELLO)
    [request] = stage.asked(model)
    assert request.headers["authorization"] == "Bearer sk-of-the-gateway"
    assert KEY.encode() not in request.raw_head + request.body


def test_every_parameter_arrives_also_those_that_nobody_knows_yet(stage: Stage, client: OpenAI) -> None:
    model = stage.play(chat_ok())
    sent: dict[str, Any] = {"temperature": 0.5, "seed": 7, "stop": ["\n"], "logprobs": True, "reasoning_effort": "low"}
    client.chat.completions.create(
        model=model,
        messages=[
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}
        ],
        extra_body={"from_the_future": {"deep": [1, None]}},
        **sent,
    )
    [request] = stage.asked(model)
    assert sent.items() <= request.json.items()
    assert request.json["from_the_future"] == {"deep": [1, None]}
    assert request.json["messages"][0]["content"][0]["image_url"]["url"] == "data:image/png;base64,AA=="


def test_fields_of_the_answer_that_the_sdk_does_not_know_are_there(stage: Stage, client: OpenAI) -> None:
    body = {**completion("Hello!", Tokens(7, 2)), "x_provider": {"region": "eu"}}
    answer = client.chat.completions.create(model=stage.play(plain(dumps(body))), messages=HELLO)
    assert answer.model_extra is not None
    assert answer.model_extra["x_provider"] == {"region": "eu"}


def test_the_routes_own_name_stands_in_the_answer_where_it_says_so(client: OpenAI) -> None:
    assert client.chat.completions.create(model="named", messages=HELLO).model == "named"
    with client.chat.completions.create(model="named", messages=HELLO, stream=True) as stream:
        assert {chunk.model for chunk in stream} == {"named"}


def test_the_models_are_the_routes(client: OpenAI) -> None:
    models = client.models.list()
    assert {"named", "pair0", "pair1"} <= {model.id for model in models}
    assert {model.object for model in models} == {"model"}
    assert client.models.retrieve("pair1").id == "pair1"
