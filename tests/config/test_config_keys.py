"""Keys that are looked for where the provider's own tools look for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.config.backend_type import BackendType
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.values import LeftOut

if TYPE_CHECKING:
    from tests.config.conftest import Loader

ROUTES = "\nroutes: {r: {targets: [b/m]}}"
NAMED = [row for row in BACKEND_TYPES.values() if row.key_variable]


def minimal(row: BackendType) -> str:
    """A backend of this type that names what it must, and no key."""
    where = ', base_url: "https://x.example"' if row.base_url is None else ""
    region = {"bedrock": ", region: us-east-1", "vertex": ", project: p, location: global"}.get(row.name, "")
    return f"backends: {{b: {{type: {row.name}{where}{region}}}}}{ROUTES}"


@pytest.mark.parametrize("row", NAMED, ids=lambda row: row.name)
def test_each_providers_own_variable_holds_its_key(loader: Loader, row: BackendType) -> None:
    loader.environ = {row.key_variable: "sk-own"}
    backend = loader.good(minimal(row)).backends["b"]
    assert backend.api_key is not None
    assert backend.api_key.reveal() == "sk-own"
    assert not backend.missing


@pytest.mark.parametrize("row", NAMED, ids=lambda row: row.name)
def test_while_it_is_unset_the_backend_is_not_configured_and_that_is_no_error(loader: Loader, row: BackendType) -> None:
    config = loader.good(minimal(row))
    assert config.backends["b"].missing == (row.key_variable,)
    assert config.left_out == (LeftOut("r", "b/m", f"{row.key_variable} is not set"),)


@pytest.mark.parametrize(
    "said",
    [
        'api_key: "${OTHER}"',
        'api_keys: ["${OTHER}", "${NONE}"]',
        'base_url: "http://127.0.0.1:9/v1"',
        'headers: {Authorization: "Basic eA=="}',
        "token_command: [echo, x]",
        "token_file: /run/token",
    ],
)
def test_a_file_that_says_where_the_key_comes_from_is_believed(loader: Loader, said: str) -> None:
    loader.environ = {"GROQ_API_KEY": "not-this-one", "OTHER": "o"}
    backend = loader.good(f"backends: {{b: {{type: groq, {said}}}}}{ROUTES}").backends["b"]
    assert backend.api_key is None or backend.api_key.reveal() == "o"
    loader.environ = {"OTHER": "o"}
    assert not loader.good(f"backends: {{b: {{type: groq, {said}}}}}{ROUTES}").backends["b"].missing


def test_a_key_is_not_sent_to_another_address_than_its_providers(loader: Loader) -> None:
    loader.environ = {"OPENAI_API_KEY": "sk-own"}
    text = f'backends: {{b: {{type: openai, base_url: "https://other.example/v1"}}}}{ROUTES}'
    assert loader.good(text).backends["b"].api_key is None


def test_where_every_address_is_ones_own_the_variable_counts_all_the_same(loader: Loader) -> None:
    loader.environ = {"AZURE_OPENAI_API_KEY": "k"}
    text = f'backends: {{b: {{type: azure, base_url: "https://mine.openai.azure.com"}}}}{ROUTES}'
    assert loader.good(text).backends["b"].api_key is not None


def test_a_bad_value_in_it_is_told_without_the_value(loader: Loader) -> None:
    loader.environ = {"GROQ_API_KEY": "two words"}
    (line,) = loader.bad(f"backends: {{b: {{type: groq}}}}{ROUTES}")
    assert "backends.b.api_key" in line
    assert "two words" not in line
