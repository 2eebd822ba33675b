"""Claude on Google Cloud: Anthropic's Messages API by `rawPredict`, with the model in the path instead of the body.

Source: Anthropic's own SDK for Python (`anthropic.lib.vertex`, read on 2026-11-21). Betas stay in their header there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from proxy.backends.anthropic import AnthropicDialect
from proxy.backends.anthropic_errors import AnthropicErrors
from proxy.backends.gemini_errors import GoogleErrors
from proxy.backends.gemini_models import in_path
from proxy.backends.head import Address, head, standard, to_hide
from proxy.config.values import Backend
from proxy.core.call import HttpCall
from proxy.core.route import Target

VERSION = "vertex-2023-10-16"
_BETA = "anthropic-beta"


class ClaudeErrors(AnthropicErrors, GoogleErrors):
    """Anthropic's errors, or Google's where its own door refuses."""

    __slots__ = ()


class VertexClaude(AnthropicDialect):
    """One of Anthropic's models on Vertex."""

    __slots__ = ()

    def __init__(
        self, where: Address, backend: Backend, target: Target, place: Callable[[str], str], *hide: str
    ) -> None:
        """`place`: a model's path below the base URL; `hide`: more texts that must not get out. Raises `ValueError`
        where a header cannot be sent."""
        super().__init__(where, dataclasses.replace(backend, api_key=None), target)
        key = {"x-goog-api-key": backend.api_key} if backend.api_key else {}
        more = [
            {name: value for name, value in headers.items() if name.lower() != _BETA}
            for headers in (key, backend.headers, target.headers)
        ]

        def made(path: str, accept: str) -> bytes:
            return head(f"POST {where.target(path)} HTTP/1.1", where.authority, standard(accept), *more)

        path = place(in_path(target.model))
        self._head = made(f"{path}:rawPredict", "application/json")
        self._stream_head = made(f"{path}:streamRawPredict", "text/event-stream")
        self._count_head = made(f"{place('count-tokens')}:rawPredict", "application/json")
        self._errors = ClaudeErrors([*to_hide(where, backend, target), *hide])

    def _call(self, top: bytes, body: Mapping[str, Any], betas: Iterable[str]) -> HttpCall:
        """The model stands in the path, but where tokens are counted."""
        counts = top is self._count_head
        said = {name: value for name, value in body.items() if counts or name != "model"}
        return super()._call(top, {"anthropic_version": VERSION, **said}, betas)
