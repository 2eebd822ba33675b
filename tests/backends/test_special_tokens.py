"""Tokens that are priced apart are read wherever providers tell of them."""

from __future__ import annotations

from proxy.backends.anthropic_usage import usage_in as anthropic
from proxy.backends.gemini_reply import usage_of as gemini
from proxy.backends.openai_usage import read_usage as openai
from proxy.core.usage import Special, Usage


def found(usage: Usage | None) -> Special | None:
    assert usage is not None
    return usage.special


def test_openais_audio_and_image_tokens() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 40},
    }
    assert found(openai(usage)) == Special(audio_input=60, audio_output=40)
    images = {"input_tokens": 20, "output_tokens": 900, "input_tokens_details": {"image_tokens": 7, "text_tokens": 13}}
    assert found(openai(images)) == Special(image_input=7)
    silent = {
        **usage,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {},
    }
    assert found(openai(silent)) is None


def test_geminis_modalities() -> None:
    metadata = {
        "promptTokenCount": 300,
        "candidatesTokenCount": 1290,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 42}, {"modality": "IMAGE", "tokenCount": 258}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}, {"modality": "NEW"}, 7],
    }
    assert found(gemini(metadata)) == Special(image_input=258, image_output=1290)


def test_anthropics_caches_of_an_hour() -> None:
    usage = {
        "input_tokens": 3,
        "output_tokens": 5,
        "cache_creation_input_tokens": 900,
        "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 500},
    }
    assert found(anthropic({"usage": usage})) == Special(cache_write_1h=500)
