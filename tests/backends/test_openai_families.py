"""What OpenAI's models take, by family."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from proxy.backends.openai_families import FAMILIES
from proxy.backends.openai_spec import HINTS, NEUTRAL, terms
from proxy.backends.providers import OPENAI
from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest
from proxy.core.dialect import Prepared
from proxy.core.route import Target
from proxy.testing.conformance import prepared

OWN = "https://api.openai.com/v1"
REASONING = ("o1", "o1-2024-12-17", "o3", "o3-mini", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5-codex")
LATER = ("gpt-5.1", "gpt-5.2-2025-12-11", "gpt-5.4-mini")
PLAIN = ("gpt-4o", "gpt-4.1-nano", "gpt-4o-mini-2024-07-18", "gpt-3.5-turbo", "gpt-5-chat-latest", "chatgpt-4o-latest")


def ask(model: str, *, url: str = OWN, target: Target | None = None, **body: Any) -> tuple[dict[str, Any], Prepared]:
    asked = {"model": "chat", "messages": [], **body}
    dialect = bind(Backend("b", "openai", url), target or Target(f"b/{model}", "b", model))
    found = prepared(dialect.chat(ChatRequest(orjson.dumps(asked), asked, "chat", False, False)))
    sent = orjson.loads(found.call.body)
    return {name: sent[name] for name in sent if name not in ("model", "messages")}, found


@pytest.mark.parametrize("model", [*REASONING, *LATER, "ft:o4-mini-2025-04-16:org::id"])
def test_a_reasoning_model_is_told_its_limit_by_the_name_it_knows(model: str) -> None:
    sent, found = ask(model, max_tokens=7)
    assert sent == {"max_completion_tokens": 7}
    assert not found.dropped
    assert ask(model, max_tokens=7, max_completion_tokens=9)[0] == {"max_completion_tokens": 9}


@pytest.mark.parametrize("model", REASONING)
def test_what_it_refuses_is_left_out_and_named_where_it_asked_for_something(model: str) -> None:
    sent, found = ask(model, temperature=0.2, top_p=0.5, presence_penalty=1, logprobs=True, logit_bias={"1": 2})
    assert sent == {}
    assert set(found.dropped) == {"temperature", "top_p", "presence_penalty", "logprobs", "logit_bias"}
    assert set(found.unsupported) == set(found.dropped)


@pytest.mark.parametrize("model", REASONING)
def test_defaults_are_no_wishes(model: str) -> None:
    _, found = ask(model, temperature=1, top_p=1, presence_penalty=0, logprobs=False, logit_bias={}, n=1, seed=None)
    assert not found.dropped


def test_stop_goes_to_those_that_take_it() -> None:
    assert ask("o1", stop=["x"])[0] == ask("o3-mini", stop=["x"])[0] == {"stop": ["x"]}
    for model in ("o3", "o4-mini", "gpt-5-mini", "gpt-5.1"):
        assert ask(model, stop=["x"])[1].unsupported == ("stop",)


@pytest.mark.parametrize("model", LATER)
def test_models_that_reason_only_when_asked_sample_as_told_while_they_do_not(model: str) -> None:
    wish: dict[str, Any] = {"temperature": 0.2, "top_p": 0.9, "logprobs": True, "top_logprobs": 2}
    assert ask(model, **wish)[0] == wish
    assert ask(model, **wish, reasoning_effort="none")[0] == {**wish, "reasoning_effort": "none"}
    sent, found = ask(model, **wish, reasoning_effort="low")
    assert sent == {"reasoning_effort": "low"}
    assert set(found.unsupported) == set(wish)


@pytest.mark.parametrize("model", ["gpt-5.2-pro", "gpt-5.1-codex-max", "gpt-5-pro"])
def test_those_that_always_reason_do_not(model: str) -> None:
    assert ask(model, temperature=0.2)[1].unsupported == ("temperature",)


@pytest.mark.parametrize("model", PLAIN)
def test_other_models_get_a_request_as_it_came(model: str) -> None:
    wish: dict[str, Any] = {
        "temperature": 0.2,
        "max_tokens": 5,
        "stop": "x",
        "logit_bias": {"1": 2},
        "presence_penalty": 1,
    }
    sent, found = ask(model, **wish)
    assert sent == wish
    assert not found.dropped


def test_a_search_model_takes_hardly_anything() -> None:
    sent, found = ask("gpt-4o-search-preview", temperature=0.3, n=2, web_search_options={}, max_tokens=3)
    assert sent == {"web_search_options": {}, "max_completion_tokens": 3}
    assert found.unsupported == ("n", "temperature")


def test_the_families_hold_at_openais_own_hosts_only() -> None:
    """Any server may call a model gpt-5."""
    assert ask("gpt-5", url="https://eu.api.openai.com/v1", max_tokens=1)[0] == {"max_completion_tokens": 1}
    for url in ("http://127.0.0.1:8000/v1", "https://api.openai.com.evil.example/v1", "https://notapi.openai.com/v1"):
        assert ask("gpt-5", url=url, max_tokens=1, temperature=0.1)[0] == {"max_tokens": 1, "temperature": 0.1}


def test_what_the_operator_drops_is_named_but_not_what_the_target_cannot() -> None:
    target = Target("b/o3", "b", "o3", drop=frozenset({"temperature", "seed"}))
    sent, found = ask("o3", target=target, temperature=0.1, seed=1, top_p=0.3)
    assert sent == {}
    assert found.dropped == ("seed", "temperature", "top_p")
    assert found.unsupported == ("top_p",)


def test_predicted_outputs_tiers_and_cache_keys_pass() -> None:
    wish: dict[str, Any] = {
        "prediction": {"type": "content", "content": "x"},
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "wav"},
    }
    assert ask("gpt-4o", **wish)[0] == wish


def test_every_family_has_its_source_and_date_and_a_pattern_that_can_be_read() -> None:
    for family in FAMILIES:
        assert family.source.startswith("https://")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", family.dated)
        re.compile(family.models)
        assert not HINTS & (family.refuses | set(family.only))


@pytest.mark.parametrize("model", ["gpt-5-mini-prod", "gpt-5-project"])
def test_a_name_that_only_resembles_one_is_none(model: str) -> None:
    """`-pro` is a family, `-prod` a deployment."""
    assert terms(OPENAI, model, "api.openai.com").free == ("none",)
    assert NEUTRAL["temperature"] == (1,)
