"""What a caller may ask of targets, by header or body: it is heeded, goes no further, and is refused where unclear."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.sdk.stage import KEY, Stage
from tests.upstream_answers import chat_ok

HELLO: Any = [{"role": "user", "content": "Say hello."}]


def second(route: str) -> str:
    """The name of a pair's second target."""
    return route.replace("pair", "b")


def test_a_header_leaves_a_target_out(stage: Stage, client: OpenAI) -> None:
    route = stage.pair(chat_ok(), chat_ok())
    first = route.replace("pair", "a")
    raw = client.chat.completions.with_raw_response.create(
        model=route, messages=HELLO, extra_headers={"x-wayline-prefer": f"exclude={first}, strategy=cheapest"}
    )
    assert raw.headers["x-wayline-target"] == f"up/{second(route)}"


def test_a_member_of_the_body_does_and_is_not_sent_on(stage: Stage, client: OpenAI) -> None:
    route = stage.pair(chat_ok(), chat_ok())
    raw = client.chat.completions.with_raw_response.create(
        model=route, messages=HELLO, extra_body={"wayline": {"only": [second(route)]}, "temperature": 0.5}
    )
    assert raw.headers["x-wayline-target"] == f"up/{second(route)}"
    (request,) = stage.asked(route)
    assert request.json == {"model": second(route), "messages": HELLO, "temperature": 0.5}


def test_other_apis_ask_in_the_same_way(stage: Stage) -> None:
    route = stage.pair(chat_ok(), chat_ok())
    with Anthropic(base_url=stage.base_url.removesuffix("/v1"), api_key=KEY, max_retries=0) as sdk:
        sdk.messages.create(
            model=route, max_tokens=9, messages=HELLO, extra_body={"wayline": {"only": [second(route)]}}
        )
    (request,) = stage.asked(route)
    assert request.json["model"] == second(route) and "wayline" not in request.json


@pytest.mark.parametrize(
    ("asked", "param", "told"),
    [
        ({"cheap": True}, "wayline", "unknown word 'cheap', expected one of max_cost,"),
        ({"max_cost": "lots"}, "max_cost", "US dollars"),
        ([], "wayline", "'wayline' must be an object"),
    ],
)
def test_what_is_unclear_is_refused_by_name(stage: Stage, client: OpenAI, asked: Any, param: str, told: str) -> None:
    route = stage.pair(chat_ok(), chat_ok())
    with pytest.raises(openai.BadRequestError, match=told) as raised:
        client.chat.completions.create(model=route, messages=HELLO, extra_body={"wayline": asked})
    assert (raised.value.code, raised.value.param) == ("invalid_preference", param)
    assert not stage.asked(route)


def test_where_no_target_is_left_each_is_told_with_its_reason(stage: Stage, client: OpenAI) -> None:
    route = stage.pair(chat_ok(), chat_ok())
    first = route.replace("pair", "a")
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(
            model=route,
            messages=HELLO,
            max_tokens=1000,
            extra_body={"wayline": {"max_cost": 0.001, "exclude": [f"up/{first}"]}},
        )
    assert raised.value.code == "no_target_fits"
    assert f"up/{first}: excluded; up/{second(route)}: would cost $0.00" in raised.value.message
    assert not stage.asked(route)


def test_embeddings_ask_too(stage: Stage, client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="up/named: excluded"):
        client.embeddings.create(model="named", input="x", extra_body={"wayline": {"exclude": ["up"]}})
