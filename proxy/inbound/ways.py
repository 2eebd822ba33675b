"""The ways in besides chat completions and embeddings: an explicit table, no discovery."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.inbound.completions import Completions
from proxy.inbound.messages import CountTokens, Messages
from proxy.inbound.responses import Responses
from proxy.inbound.way import Api, Counts

WAYS: Mapping[str, Api] = {
    "/completions": Completions(),
    "/messages": Messages(),
    "/responses": Responses(),
}
"""By path, without the `/v1` before it: `/messages`, …; each takes POST."""

COUNTS: Mapping[str, Counts] = {
    "/messages/count_tokens": CountTokens(),
}
"""Those that only count."""
