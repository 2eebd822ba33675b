"""Google Cloud (Vertex AI): Gemini by project and location, with embeddings in words of their own, and Claude.

Sources (read on 2026-11-21): google-genai 3.4 (`_api_client.py`: hosts by location, version v1beta1, an API key without
a project), docs.cloud.google.com, "Text embeddings API". Tokens come from a credential, which adds `Authorization`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from proxy.backends.gemini import GeminiDialect
from proxy.backends.gemini_contents import Reach
from proxy.backends.gemini_embed import vertex_body
from proxy.backends.gemini_request import Own, Written
from proxy.backends.head import Address, address
from proxy.backends.vertex_claude import VertexClaude
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.chat import ChatRequest
from proxy.core.dialect import Dialect, Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target

VERSION = "v1beta1"
CLAUDE_VERSION = "v1"
_CLAUDE = re.compile(r"(?:anthropic/)?claude-")
UNROUTED = Failure(FailureKind.UNSUPPORTED, "Claude on Vertex is served only where a route names the model")
_REGIONS_TOGETHER = frozenset({"us", "eu"})
_LEAST_PROJECT = 6
"""Characters that a project's id has at least."""


def bind(backend: Backend, target: Target) -> Dialect:
    """See `proxy.backends.registry.bind`."""
    project = _project(backend)
    hide = (project,) if len(project) >= _LEAST_PROJECT else ()
    if _CLAUDE.match(target.model):
        model = dataclasses.replace(target, model=_CLAUDE.sub("claude-", target.model))
        where = vertex_address(backend, CLAUDE_VERSION)
        return VertexClaude(where, backend, model, placed(backend, "anthropic"), *hide)
    own = Own(Reach(buckets=True, names_type=True), tiers=False, safety=backend.options.get("safety"))
    return VertexDialect(vertex_address(backend), backend, target, own, placed(backend, "google"), *hide)


def origin(backend: Backend) -> Origin:
    """See `proxy.backends.registry.origin`."""
    return vertex_address(backend).origin


def vertex_address(backend: Backend, version: str = VERSION) -> Address:
    """Where the models of this location are. Raises `ValueError` as `address` does."""
    location = _location(backend)
    if backend.base_url:
        return address(backend.base_url)
    if location == "global" or not _project(backend):
        return address(f"https://aiplatform.googleapis.com/{version}")
    if location in _REGIONS_TOGETHER:
        return address(f"https://aiplatform.{location}.rep.googleapis.com/{version}")
    return address(f"https://{location}-aiplatform.googleapis.com/{version}")


def placed(backend: Backend, publisher: str) -> Callable[[str], str]:
    """A model's path below the base URL. Without a project, which an API key can tell, the publisher is at the top."""
    project = _project(backend)
    before = f"/projects/{project}/locations/{_location(backend)}" if project else ""

    def place(model: str) -> str:
        if model.startswith("endpoints/"):  # a tuned model of one's own
            return f"{before}/{model}"
        return f"{before}/publishers/{publisher}/models/{model}"

    return place


class VertexDialect(GeminiDialect):
    """One of Google's models on Vertex."""

    __slots__ = ()

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        if not self._target.model and _CLAUDE.match(self._named(request.model)):
            return UNROUTED
        return super().chat(request)

    def _embedding_of(self, asked: Mapping[str, Any], model: str) -> tuple[str, Written]:
        return vertex_body(asked, model)


def _project(backend: Backend) -> str:
    return str(backend.options.get("project") or "")


def _location(backend: Backend) -> str:
    return str(backend.options.get("location") or "global")
