"""Azure OpenAI: OpenAI's API behind other addresses, by deployment or by model, with a key or an Entra token.

Three forms of address (https://learn.microsoft.com/azure/ai-foundry/openai/reference, as of 2026-11-21):

    https://NAME.openai.azure.com + api_version   /openai/deployments/{deployment}/chat/completions?api-version=…
    https://NAME.openai.azure.com                 /openai/v1/chat/completions, the model in the body
    …/models, or any other path                   as given, the model in the body
"""

from __future__ import annotations

import dataclasses
from urllib.parse import quote

from proxy.backends.head import Address, address
from proxy.backends.openai import OpenAIDialect
from proxy.backends.openai_families import FAMILIES
from proxy.backends.openai_responses import ResponsesDialect
from proxy.backends.openai_spec import OpenAICompatible
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.route import Target

TOKENS = ("token_command", "token_file")
"""Options that yield an Entra token, which then stands in `Authorization`: no key is sent beside it."""

_V1 = "/openai/v1"
_USAGE_SINCE = "2024-09-01"
"""The first api-version that takes `stream_options`."""

SPEC = OpenAICompatible(
    key_header="api-key",
    key_prefix="",
    takes=frozenset(),
    developer=True,
    families=FAMILIES,
    limits="x-ratelimit-{limit,remaining,reset}-{requests,tokens}",
    source="https://learn.microsoft.com/azure/ai-foundry/openai/reference",
    dated="2026-11-21",
)


def bind(backend: Backend, target: Target) -> OpenAIDialect:
    """The dialect of one deployment or model. Raises `ValueError` for an address that cannot be used."""
    version = backend.options.get("api_version", "")
    spec = SPEC
    if version and version < _USAGE_SINCE:
        spec = dataclasses.replace(SPEC, asks_usage=False, refuses=SPEC.refuses | {"stream_options"})
    if any(backend.options.get(name) for name in TOKENS):
        backend = dataclasses.replace(backend, api_key=None)
    where = _place(backend, target.model)
    kind = ResponsesDialect if where.path.endswith(_V1) else OpenAIDialect
    return kind(spec, where, backend, target)


def origin(backend: Backend) -> Origin:
    """Where the resource is. Raises `ValueError` as `bind` does."""
    return address(backend.base_url).origin


def _place(backend: Backend, model: str) -> Address:
    """The address that the paths of OpenAI's API are added to."""
    found = address(backend.base_url)
    version = backend.options.get("api_version", "")
    path = found.path.removesuffix("/openai")
    if not path:
        dated = version and version[0].isdigit()
        path = f"/openai/deployments/{quote(model, safe='')}" if dated else _V1
    query = found.query
    if version and "api-version=" not in query:
        query = f"{query}&api-version={version}" if query else f"api-version={version}"
    return found._replace(path=path, query=query)
