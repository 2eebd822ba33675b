"""What leaves for an OpenAI-speaking backend."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.backends.head import address
from proxy.backends.openai import OpenAIDialect
from proxy.backends.openai_spec import OpenAICompatible
from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.dialect import Dialect, Prepared
from proxy.core.failure import Failure
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.testing.conformance import prepared

KEY = "sk-thekeythatmustnotgetout0123456789"


def request(body: Mapping[str, Any], *, wants_usage: bool = False) -> ChatRequest:
    whole = {"model": "chat", "messages": [], **body}
    return ChatRequest(orjson.dumps(whole), whole, whole["model"], bool(whole.get("stream")), wants_usage)


def sent(found: Prepared | Failure) -> Any:
    return orjson.loads(prepared(found).call.body)


def target(**more: Any) -> Target:
    return Target("cloud/gpt", "cloud", "gpt", **more)


def at(url: str = "https://api.example.com/v1", aim: Target | None = None, **backend: Any) -> Dialect:
    return bind(Backend("cloud", "openai", url, Secret(KEY), **backend), aim or target())


def lines(found: Prepared | Failure) -> list[str]:
    return prepared(found).call.head.decode("latin-1").split("\r\n")


def test_the_head_is_ready_but_for_its_framing() -> None:
    line, *fields = lines(at().chat(request({})))
    assert line == "POST /v1/chat/completions HTTP/1.1"
    assert fields[-1] == ""
    found = dict(field.lower().split(": ", 1) for field in fields[:-1])
    assert found.pop("user-agent").startswith("wayline/")
    assert found == {
        "host": "api.example.com",
        "authorization": f"bearer {KEY}",
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
    }


def test_a_stream_says_that_it_wants_one() -> None:
    assert "Accept: text/event-stream" in lines(at().chat(request({"stream": True})))


def test_embeddings_have_an_address_of_their_own() -> None:
    body = {"model": "embed", "input": "x", "encoding_format": "base64"}
    prepared = at().embed(EmbedRequest(orjson.dumps(body), body, "embed", True))
    assert lines(prepared)[0] == "POST /v1/embeddings HTTP/1.1"
    assert sent(prepared) == {**body, "model": "gpt"}


def test_without_a_key_none_is_sent() -> None:
    prepared = bind(Backend("cloud", "openai", "http://127.0.0.1:8000/v1"), target()).chat(request({}))
    assert not any(line.lower().startswith("authorization") for line in lines(prepared))
    assert "Host: 127.0.0.1:8000" in lines(prepared)


def test_the_nearest_header_wins_whatever_its_case() -> None:
    headers = {"X-Team": "backend", "OpenAI-Organization": Secret("org-1")}
    prepared = at(headers=headers, aim=target(headers={"x-team": "target", "authorization": Secret("Other 1")})).chat(
        request({})
    )
    found = lines(prepared)
    assert "x-team: target" in found
    assert "authorization: Other 1" in found
    assert "OpenAI-Organization: org-1" in found
    assert sum(line.lower().startswith(("x-team", "authorization")) for line in found) == 2


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "Ω"])
def test_a_header_cannot_bring_another_one_along(value: str) -> None:
    for more in ({"headers": {"x": value}}, {"headers": {"x": Secret(value)}}, {"aim": target(headers={"x": value})}):
        with pytest.raises(ValueError, match="'x'") as raised:
            at(**more)
        assert "Evil" not in str(raised.value)
    with pytest.raises(ValueError, match="Authorization"):
        bind(Backend("b", "openai", api_key=Secret(value)), target())


@pytest.mark.parametrize("name", ["x y", "x:", "", "x\r\ny", "Content-Length", "transfer-encoding", "Connection"])
def test_names_that_are_no_names_or_belong_to_the_framing_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="header"):
        at(headers={name: "1"})


def test_the_request_goes_as_it_came_but_for_the_model() -> None:
    body = {"tools": [{"type": "function"}], "seed": 7, "a_future_field": {"x": [1, None]}, "max_tokens": 5}
    assert sent(at().chat(request(body))) == {"model": "gpt", "messages": [], **body}


def test_usage_is_always_asked_for_on_a_stream() -> None:
    dialect = at()
    assert sent(dialect.chat(request({"stream": True})))["stream_options"] == {"include_usage": True}
    for options in ({}, {"include_usage": False}, None):
        body = sent(dialect.chat(request({"stream": True, "stream_options": options})))
        assert body["stream_options"] == {"include_usage": True}
    body = sent(dialect.chat(request({"stream": True, "stream_options": {"include_obfuscation": False}})))
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert "stream_options" not in sent(dialect.chat(request({"stream": False})))


def test_nonsense_in_stream_options_is_the_providers_to_refuse() -> None:
    assert sent(at().chat(request({"stream": True, "stream_options": "yes"})))["stream_options"] == "yes"


def test_defaults_give_way_to_the_client_and_overrides_do_not() -> None:
    aim = target(defaults={"temperature": 0.1, "top_p": 0.2}, overrides={"user": "us"})
    body = sent(at(aim=aim).chat(request({"temperature": 1, "user": "me"})))
    assert body == {"model": "gpt", "messages": [], "temperature": 1, "top_p": 0.2, "user": "us"}


def test_what_a_target_does_not_take_is_left_out_and_named() -> None:
    asked = prepared(
        at(aim=target(drop=frozenset({"seed", "logit_bias", "n"}))).chat(request({"seed": 1, "n": 2, "user": "x"}))
    )
    assert asked.dropped == ("n", "seed")
    assert asked.unsupported == ()  # it is the operator who does not want them
    assert sent(asked) == {"model": "gpt", "messages": [], "user": "x"}


def test_a_target_that_does_not_take_stream_options_is_not_asked_for_usage() -> None:
    asked = prepared(at(aim=target(drop=frozenset({"stream_options"}))).chat(request({"stream": True})))
    assert "stream_options" not in sent(asked)
    assert asked.dropped == ()


def test_a_provider_is_data() -> None:
    spec = OpenAICompatible(
        base_url="https://api.other.example",
        key_header="api-key",
        key_prefix="",
        refuses=frozenset({"logit_bias"}),
        renames={"seed": "random_seed"},
        asks_usage=False,
    )
    backend = Backend("other", "other", api_key=Secret(KEY))
    dialect = OpenAIDialect(spec, address(spec.base_url), backend, target())
    asked = prepared(dialect.chat(request({"stream": True, "seed": 3, "logit_bias": {"50256": -100}})))
    assert lines(asked)[0] == "POST /chat/completions HTTP/1.1"
    assert f"api-key: {KEY}" in lines(asked)
    assert asked.dropped == asked.unsupported == ("logit_bias",)
    assert sent(asked) == {"model": "gpt", "messages": [], "stream": True, "random_seed": 3}


def test_a_target_without_a_model_of_its_own_sends_the_one_that_was_named() -> None:
    dialect = at(aim=Target("cloud/", "cloud", ""))
    assert sent(dialect.chat(request({"model": "cloud/org/some-model"})))["model"] == "org/some-model"


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("model"), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(
    st.text(max_size=8) | st.sampled_from(["messages", "stream_options", "user", 'a"model"', "mod\\u0065l"]),
    ANY | st.sampled_from(['"model":"chat"', '\\"model\\"', {"model": "chat"}, {"include_usage": None}]),
    max_size=6,
)


@given(body=BODIES, stream=st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_request_arrives_as_asked_and_is_itself_not_changed(body: dict[str, Any], stream: bool) -> None:
    asked = request({**body, "model": "chat", "stream": stream})
    before = copy.deepcopy(asked)
    expected = {**asked.body, "model": "gpt"}
    options = expected.get("stream_options")
    if stream and (options is None or isinstance(options, dict)):
        expected["stream_options"] = {**(options or {}), "include_usage": True}
    assert sent(at().chat(asked)) == expected
    assert asked == before


def test_of_two_keys_of_one_name_only_the_one_that_was_checked_is_sent() -> None:
    raw = b'{"model":"dear","model":"chat","messages":[],"mod\\u0065l":"chat"}'
    body = orjson.loads(raw)
    asked = prepared(at().chat(ChatRequest(raw, body, "chat", False, False)))
    assert asked.call.body.count(b"model") == 1
