"""The models that a backend says it has, whoever it is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.backends.listing import Offer, listing, offers
from proxy.config.values import Backend
from proxy.core.ability import Ability
from proxy.core.dialect import Malformed
from proxy.core.secret import Secret

KEY = "sk-thekeythatmustnotgetout0123456789"


def line(type_: str, base_url: str = "", **options: Any) -> str | None:
    call = listing(Backend("b", type_, base_url, Secret(KEY), options=options))
    return None if call is None else call.head.split(b"\r\n")[0].decode()


@pytest.mark.parametrize(
    ("type_", "base_url", "asked"),
    [
        ("openai", "https://api.example.com/v1", "/v1/models"),
        ("anthropic", "https://api.anthropic.com", "/v1/models?limit=1000"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta", "/v1beta/models?pageSize=1000"),
        ("ollama", "http://127.0.0.1:11434", "/api/tags"),
        ("openrouter", "https://openrouter.ai/api/v1", "/api/v1/models"),
        ("groq", "https://api.groq.com/openai/v1", "/openai/v1/models"),
    ],
)
def test_each_kind_of_backend_is_asked_where_its_list_is(type_: str, base_url: str, asked: str) -> None:
    assert line(type_, base_url) == f"GET {asked} HTTP/1.1"


def test_the_question_carries_the_key_and_no_body() -> None:
    call = listing(Backend("b", "anthropic", "https://api.anthropic.com", Secret(KEY)))
    assert call is not None and call.body == b"" and call.repeatable
    head = call.head.decode().lower()
    assert f"x-api-key: {KEY}" in head and "anthropic-version" in head and "content-type" not in head
    assert head.endswith("\r\n") and not head.endswith("\r\n\r\n")


def test_what_has_no_list_is_not_asked() -> None:
    assert line("llamacpp") is None
    assert line("bedrock", region="eu-central-1") is None


def read(value: object) -> tuple[Offer, ...]:
    return offers(orjson.dumps(value))


def test_openais_list_names_its_models() -> None:
    rows = [{"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "system"}, {"id": "o3"}]
    assert [offer.name for offer in read({"object": "list", "data": rows})] == ["gpt-4o", "o3"]


def test_openrouters_list_tells_contexts_prices_and_what_models_can_do() -> None:
    row = {
        "id": "some/model:free",
        "context_length": 131072,
        "architecture": {"input_modalities": ["text", "image"]},
        "pricing": {"prompt": "0.0000025", "completion": "0.00001"},
        "top_provider": {"max_completion_tokens": 16384},
        "supported_parameters": ["tools", "max_tokens"],
    }
    (offer,) = read({"data": [row]})
    assert offer.ability == Ability(
        131072, 16384, frozenset({"vision", "tools"}), frozenset({"audio", "files", "json_schema", "reasoning"})
    )
    assert offer.price is not None
    assert (offer.price.input, offer.price.output, offer.price.origin) == (Decimal("2.5"), Decimal(10), "backend")
    (depends,) = read({"data": [{**row, "pricing": {"prompt": "-1", "completion": "-1"}}]})
    assert depends.price is None


def test_geminis_and_ollamas_lists_are_read_too() -> None:
    gemini = {"name": "models/gemini-2.5-flash", "inputTokenLimit": 1048576, "outputTokenLimit": 65536}
    assert read({"models": [gemini]}) == (Offer("gemini-2.5-flash", Ability(1048576, 65536)),)
    assert read({"models": [{"name": "qwen3:0.6b", "size": 522653767}]}) == (Offer("qwen3:0.6b", size=522653767),)


def test_a_bare_list_is_one() -> None:
    assert [offer.name for offer in read([{"id": "a"}, {"name": "b"}, {"other": 1}, 7])] == ["a", "b"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data": 3}', b"7"])
def test_what_is_no_list_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(Malformed):
        offers(body)


@given(
    st.lists(st.dictionaries(st.sampled_from(["id", "pricing", "architecture", "size", "context_length"]), st.none()))
)
def test_odd_rows_are_passed_over(rows: list[dict[str, None]]) -> None:
    assert read({"data": rows}) == ()
