"""The ways in besides chat completions and embeddings: an explicit table, no discovery."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.inbound.messages import Messages
from proxy.inbound.way import Api

WAYS: Mapping[str, Api] = {
    "/messages": Messages(),
}
"""By path, without the `/v1` before it: `/messages`, …; each takes POST."""
