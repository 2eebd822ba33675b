"""Tokens that others make and renew, for the types whose calls carry a bearer token."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.config.kinds import BACKEND_TYPES
from proxy.config.spec.scalars import Text
from proxy.config.spec.shapes import Key, ListOf

TOKENS = (
    Key(
        "token_command",
        ListOf("token_command", Text("a program or one of its arguments"), least=1),
        "A program and its arguments, run without a shell, that prints a bearer token, or JSON with one and its end "
        "(`az account get-access-token`). Run again before it ends. Instead of `api_key`.",
    ),
    Key(
        "token_file",
        Text("a path"),
        "A file with such a token, read again while it is in use (Kubernetes' projected tokens). Instead of `api_key`.",
    ),
)
_OTHERWISE = frozenset({"anthropic", "bedrock", "gemini", "vertex"})
"""They take no bearer token, or have credentials of their own."""


def with_tokens(own: Mapping[str, tuple[Key, ...]]) -> Mapping[str, tuple[Key, ...]]:
    """The options of each type, and these where they make sense."""
    rows = [row for row in BACKEND_TYPES.values() if not row.ours and row.name not in _OTHERWISE]
    return {**own, **{row.name: (*own.get(row.name, ()), *TOKENS) for row in rows}}
