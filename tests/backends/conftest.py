"""Recorded exchanges, and the dialects they are tried on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.dialect import Dialect
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.testing.exchange import Exchange

KEY = "sk-thekeythatmustnotgetout0123456789"


@pytest.fixture
def fixtures() -> Path:
    return Path(__file__).parent / "fixtures"


@pytest.fixture
def dialect() -> Dialect:
    """One target at an OpenAI backend."""
    backend = Backend("cloud", "openai", "https://api.example.com/v1", Secret(KEY))
    return bind(backend, Target("cloud/gpt", "cloud", "gpt"))


@pytest.fixture
def bound() -> Callable[[Exchange], Dialect]:
    """The dialect of the backend that an exchange was recorded with."""
    others = {"ollama": "openai"}  # its rows are of its OpenAI-compatible door

    def make(exchange: Exchange) -> Dialect:
        below = "/embeddings" if exchange.endpoint == "embeddings" else "/chat/completions"
        backend = Backend(
            exchange.provider, others.get(exchange.provider, exchange.provider), exchange.base_url(below), Secret(KEY)
        )
        return bind(backend, Target(f"{exchange.provider}/it", exchange.provider, exchange.model))

    return make
