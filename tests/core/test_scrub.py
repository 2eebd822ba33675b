"""A caller never reads our key, our account or our backends' addresses in an error; ordinary words stay."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.scrub import scrub


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Incorrect API key provided: sk-proj-abcDEF1234567890abcdef.", "abcDEF1234567890"),
        ("Incorrect API key provided: sk-.", "sk-"),
        ("Incorrect API key provided: sk-ab***********************wxyz.", "wxyz"),
        ("Your api key: ****-key is invalid", "****-key"),
        ("header Authorization: Bearer abcdefghijklmnop was refused", "abcdefghijklmnop"),
        ("key gsk_abcdefghijklmnopqrstuv is over", "abcdefghijklmnop"),
        ("key AIzaSyA1234567890abcdefghijklmn is over", "AIzaSy"),
        ("token 0123456789abcdef0123456789abcdef is over", "0123456789abcdef"),
        ("Rate limit reached in organization org-AbCdEfGh12345678 on tokens", "AbCdEfGh"),
        ("Project `proj_AbCdEfGh12345678` lacks it", "AbCdEfGh"),
        ("see https://user:pw@10.0.0.3:8080/x?key=1 for more", "10.0.0.3"),
        ("connect to 10.0.0.3:8080 failed", "10.0.0.3"),
        ("connect to [fe80::1]:8080 failed", "fe80"),
        ("connect to 2001:db8:0:0:0:0:2:1 failed", "2001"),
        ("dial tcp: lookup vllm-7.models.svc.cluster.local: no such host", "vllm-7"),
        ("upstream gpu-3.example.com:8000/v1 is down", "gpu-3"),
        ("localhost:11434 refused", "11434"),
        ("cannot open /home/me/models/secret.gguf now", "secret"),
    ],
)
def test_keys_accounts_and_addresses_go(text: str, gone: str) -> None:
    assert gone in text
    assert gone not in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "Invalid 'messages[0].content': empty array. Expected length 1, but got 0 instead.",
        "The model `gpt-4.1-nano` does not support 'temperature' 0.7, e.g. in v1.2 (see docs).",
        "This model's maximum context length is 8192 tokens. However, you requested 10000 tokens.",
        "Unsupported value: 'reasoning.effort' and/or 'top_p'",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo at 12:30:45 failed",
        "n must be <= 128: token usage is 5/10",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert scrub(text) == text


def test_what_is_known_to_be_secret_goes_whatever_it_looks_like() -> None:
    assert "plain" not in scrub("the plain word was a key", ["plain", ""])


def test_the_message_is_one_line_of_bounded_length() -> None:
    assert scrub("a\r\n\tb\x00c") == "a b c"
    long = scrub("word " * 1000)
    assert len(long) <= 500
    assert long.endswith("…")


@given(text=st.text(max_size=200), secret=st.text(alphabet="abcdefXYZ0189-_", min_size=8, max_size=30))
@settings(max_examples=200, deadline=None)
def test_a_hidden_text_never_shows(text: str, secret: str) -> None:
    assert secret not in scrub(f"{text}{secret}{text}", [secret])


@pytest.mark.parametrize("piece", ["a.", "sk-", "https://", "1:", "*", "1.2.", "/home/", "[:", "localhost", "a-b_"])
def test_a_hostile_message_costs_little(piece: str) -> None:
    start = time.process_time()
    scrub(piece * 200_000)
    assert time.process_time() - start < 0.5
