"""Validators for what the ways in give out and hand on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

FIXTURES = Path(__file__).parent / "fixtures"

Valid = Callable[[str, Any], None]
"""Takes the name of a schema and a value, and raises where they do not agree."""


def _validator(file: str) -> Valid:
    schemas = orjson.loads((FIXTURES / file).read_bytes())
    known: dict[str, Draft202012Validator] = {}

    def check(name: str, value: Any) -> None:
        validator = known.get(name)
        if validator is None:
            validator = known[name] = Draft202012Validator({**schemas, "$ref": f"#/components/schemas/{name}"})
        validator.validate(value)

    return check


@pytest.fixture(scope="session")
def anthropic_schema() -> Valid:
    """Anthropic's own description of its API."""
    return _validator("anthropic-messages.json")


@pytest.fixture(scope="session")
def chat_schema() -> Valid:
    """OpenAI's own description of a chat request."""
    return _validator("openai-chat-request.json")
