"""What models on Bedrock take besides what Converse says for all of them.

Sources (read on 2026-11-21): the Amazon Bedrock user guide ("Inference request parameters and response fields", "Prompt
caching", "Supported models and model features"), and what the service answered in public recordings.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from proxy.backends.anthropic_models import Traits, traits_of

CLAUDE = "anthropic-claude-v1"
"""How `reasoning_details` say that a signature is Claude's: the same on every platform that has it."""
_OTHERS = "amazon-bedrock-v1"

_FAMILIES = (
    ("anthropic", re.compile(r"anthropic|claude")),
    ("nova2", re.compile(r"nova-2|nova-[a-z]+-2")),
    ("nova", re.compile(r"amazon\.nova")),
    ("openai", re.compile(r"openai\.")),
    ("kimi", re.compile(r"moonshot|kimi")),
    ("qwen", re.compile(r"qwen")),
    ("mistral", re.compile(r"mistral|mixtral|pixtral")),
    ("cohere", re.compile(r"cohere\.")),
)
_GPT = re.compile(r"openai\.gpt-\d")
_NEVER_CACHES = re.compile(r"claude-(?:v2|instant|3-(?:haiku|sonnet|opus)|3-5-sonnet-20240620)")
_OWN_PROFILE = "application-inference-profile"
"""An account's own name for a model: it may be any."""
_STATUS = frozenset({"anthropic", "nova", "nova2"})


class Model(NamedTuple):
    """One model, by its id, its inference profile's id or its ARN."""

    family: str
    """Empty: none that is told apart from the rest."""
    claude: Traits | None
    caches: bool
    """It takes cache points in what is said to it. (Others refuse the whole request for them, and of Nova 2 it was seen
    that it charges for writes and never reads.)"""
    caches_tools: bool
    says_failed: bool
    """It takes results of tools with a status."""
    signs: str
    """The format of the thoughts that it takes back."""
    samples: bool
    """It takes temperature, top_p and stop sequences."""
    open_weights: bool
    """It is served by an engine that takes OpenAI's parameters as they are (gpt-oss)."""
    prefill: bool


@lru_cache(maxsize=1024)
def model_of(model: str) -> Model:
    """By its id, whatever region or account stands before it."""
    name = model.lower()
    family = next((known for known, pattern in _FAMILIES if pattern.search(name)), "")
    claude = traits_of(name) if family == "anthropic" else None
    return Model(
        family,
        claude,
        (claude is not None and not _NEVER_CACHES.search(name)) or family == "nova" or _OWN_PROFILE in name,
        claude is not None and not _NEVER_CACHES.search(name),
        family in _STATUS,
        CLAUDE if claude else _OTHERS,
        not _GPT.search(name) and (claude is None or claude.samples),
        "gpt-oss" in name,
        bool(claude and claude.prefill),
    )
