"""OpenRouter: preferences, charges, free models."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.backends.openrouter_models import Unfree, free_models, free_variant
from proxy.backends.registry import bind, origin
from proxy.config.load import load
from proxy.config.values import Backend, Config
from proxy.core.chat import ChatRequest, Completion, EmbedRequest, Kind
from proxy.core.dialect import Dialect, Malformed
from proxy.core.failure import Failure, FailureKind
from proxy.core.price import FREE, Price, cost
from proxy.core.route import Target
from proxy.testing.conformance import prepared


def at(model: str = "meta-llama/llama-3.3-70b-instruct", **options: Any) -> Dialect:
    return bind(Backend("or", "openrouter", options=options), Target(f"or/{model}", "or", model))


def request(**body: Any) -> ChatRequest:
    whole = {"model": "chat", "messages": [], **body}
    return ChatRequest(orjson.dumps(whole), whole, str(whole["model"]), bool(whole.get("stream")), False)


def sent(dialect: Dialect, **body: Any) -> Any:
    found = orjson.loads(prepared(dialect.chat(request(**body))).call.body)
    assert found.pop("messages") == []
    return found


def test_it_is_asked_what_an_answer_costs() -> None:
    assert sent(at("a/b")) == {"model": "a/b", "usage": {"include": True}}
    assert sent(at("a/b"), usage={"include": False})["usage"] == {"include": False}
    body = {"model": "e", "input": "x"}
    embed = prepared(at("a/b").embed(EmbedRequest(b"", body, "e", False)))
    assert orjson.loads(embed.call.body) == {"model": "a/b", "input": "x", "usage": {"include": True}}


def test_preferences_are_handed_on_unless_the_request_has_some() -> None:
    dialect = at(provider={"sort": "price", "data_collection": "deny"})
    assert sent(dialect)["provider"] == {"sort": "price", "data_collection": "deny"}
    assert sent(dialect, provider={"order": ["x"]})["provider"] == {"order": ["x"]}


def test_a_price_limit_holds_whatever_a_request_prefers() -> None:
    dialect = at(max_price={"prompt": Decimal("0.5"), "completion": Decimal(2)}, provider={"sort": "price"})
    assert sent(dialect)["provider"] == {"sort": "price", "max_price": {"prompt": 0.5, "completion": 2}}
    dearer = {"max_price": {"prompt": 9, "completion": 1, "image": 1}}
    assert sent(dialect, provider=dearer)["provider"]["max_price"] == {"prompt": 0.5, "completion": 1, "image": 1}
    for nonsense in ("x", None, {"max_price": "x"}, {"max_price": {"prompt": -1, "completion": True}}):
        assert sent(dialect, provider=nonsense)["provider"]["max_price"] == {"prompt": 0.5, "completion": 2}


def test_its_options_come_from_the_file() -> None:
    text = """
    backends:
      or: {type: openrouter, api_key: k, free_only: true, max_price: {prompt: 0.5}, provider: {only: [groq]},
           referer: "https://app.example", title: My app}
    routes: {r: {targets: [or/a/b]}}
    """
    config = load(text, {}, "f", lambda path: path)
    assert isinstance(config, Config), str(config)
    target = config.routes["r"].targets[0]
    assert target.price == FREE  # whatever the model costs that is not free
    dialect = bind(config.backends["or"], target)
    assert sent(dialect) == {
        "model": "a/b:free",
        "usage": {"include": True},
        "provider": {"only": ["groq"], "max_price": {"prompt": 0.5}},
    }
    head = prepared(dialect.chat(request())).call.head.decode()
    assert "HTTP-Referer: https://app.example\r\nX-Title: My app\r\n" in head
    assert origin(config.backends["or"]).host == "openrouter.ai"


def test_a_header_of_the_file_stands_instead() -> None:
    backend = Backend("or", "openrouter", headers={"x-title": "other"}, options={"title": "mine"})
    head = prepared(bind(backend, Target("or/m", "or", "m")).chat(request())).call.head.decode().lower()
    assert "x-title: other" in head
    assert "mine" not in head


def test_only_free_models_are_asked_for() -> None:
    dialect = at("a/b", free_only=True)
    assert sent(dialect)["model"] == "a/b:free"
    assert sent(at("a/b:free", free_only=True))["model"] == "a/b:free"
    assert sent(at("openrouter/free", free_only=True))["model"] == "openrouter/free"
    assert sent(dialect, models=["c/d", "e/f:free"])["models"] == ["c/d:free", "e/f:free"]


def test_what_costs_besides_the_model_is_left_out_then_and_said() -> None:
    asked = prepared(at("a/b", free_only=True).chat(request(plugins=[{"id": "web"}], web_search_options={})))
    assert asked.dropped == asked.unsupported == ("plugins", "web_search_options")
    assert sent(at("a/b"), plugins=[{"id": "web"}])["plugins"] == [{"id": "web"}]


def test_a_variant_that_costs_is_not_asked_for() -> None:
    with pytest.raises(Unfree, match=":nitro"):
        at("a/b:nitro", free_only=True)
    found = at("a/b", free_only=True).chat(request(models=["c/d:online"]))
    assert isinstance(found, Failure)
    assert (found.kind, found.param) == (FailureKind.UNSUPPORTED, "model")
    direct = bind(Backend("or", "openrouter", options={"free_only": True}), Target("or/", "or", ""))
    assert sent(direct, model="or/c/d")["model"] == "c/d:free"
    assert isinstance(direct.chat(request(model="or/c/d:floor")), Failure)


LIST = orjson.dumps(
    {
        "data": [
            {"id": "a/b", "pricing": {"prompt": "0.0000001", "completion": "0"}},
            {"id": "a/b:free", "pricing": {"prompt": "0", "completion": "0", "request": "0", "image": "0"}},
            {"id": "stealth/alpha", "pricing": {"prompt": "0", "completion": "0"}},
            {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
            {"id": "odd", "pricing": {"prompt": "0"}},
            {"id": 3, "pricing": {"prompt": "0", "completion": "0"}},
            {"id": "x", "pricing": {"prompt": "zero", "completion": "0"}},
            None,
        ]
    }
)


def test_its_own_list_says_what_costs_nothing() -> None:
    known = free_models(LIST)
    assert known == {"a/b:free", "stealth/alpha"}
    assert free_variant("a/b", known) == "a/b:free"
    assert free_variant("stealth/alpha", known) == "stealth/alpha"
    with pytest.raises(Unfree, match="no free variant of c/d"):
        free_variant("c/d", known)
    for body in (b"no", b"[]", b'{"data": 1}'):
        with pytest.raises(Malformed):
            free_models(body)


@given(st.text(max_size=30))
def test_a_free_variant_of_itself_is_itself(model: str) -> None:
    try:
        free = free_variant(model)
    except Unfree:
        return
    assert free_variant(free) == free


def test_what_it_charges_is_the_cost_of_record() -> None:
    usage: dict[str, Any] = {"prompt_tokens": 10, "completion_tokens": 2, "cost": 0.000123, "is_byok": False}
    usage["cost_details"] = {"upstream_inference_cost": 0.000123}
    answer: dict[str, Any] = {"model": "m", "choices": [{"index": 0, "message": {"content": "x"}}], "usage": usage}
    found = at().completion(orjson.dumps(answer))
    assert isinstance(found, Completion)
    assert cost(Price(Decimal(9), Decimal(9)), found.usage) == Decimal("0.000123")
    own_key = {**answer, "usage": {**usage, "cost": 0.00001, "is_byok": True}}
    found = at().completion(orjson.dumps(own_key))
    assert isinstance(found, Completion)
    assert cost(None, found.usage) == Decimal("0.000133")


@pytest.mark.parametrize("said", [None, "0.1", True, -1, 1e99, {}])
def test_what_is_no_charge_is_passed_over(said: object) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "cost": said}
    answer = {"model": "m", "choices": [{"index": 0, "message": {"content": "x"}}], "usage": usage}
    found = at().completion(orjson.dumps(answer))
    assert isinstance(found, Completion)
    assert found.usage is not None
    assert cost(None, found.usage) is None


def test_a_failure_in_mid_stream_is_one() -> None:
    decoder = at().decoder(wants_usage=False)
    chunk = {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "a"}}]}
    error = {**chunk, "error": {"code": 502, "message": "Provider disconnected"}}
    error["choices"] = [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
    events = decoder.feed(
        b": OPENROUTER PROCESSING\n\n" + b"".join(b"data: %b\n\n" % orjson.dumps(c) for c in (chunk, error))
    )
    assert [event.kind for event in events] == [Kind.CONTENT, Kind.ERROR]


@pytest.mark.parametrize(
    ("model", "goes_on"),
    [
        ("anthropic/claude-haiku-4.5", True),
        ("anthropic/claude-3.7-sonnet", True),
        ("anthropic/claude-opus-4.6", False),
        ("anthropic/claude-opus-5", False),
        ("mistralai/mistral-small", True),
        ("openai/gpt-4o", False),
        ("google/gemini-3-pro", False),
    ],
)
def test_only_models_known_to_go_on_with_a_message_are_asked_to(model: str, goes_on: bool) -> None:
    assert (at(model).prefill is not None) is goes_on
    told = Target(f"or/{model}", "or", model, prefill=not goes_on)
    assert (bind(Backend("or", "openrouter"), told).prefill is None) is goes_on
