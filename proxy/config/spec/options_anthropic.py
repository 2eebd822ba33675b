"""What a backend of type anthropic may say besides."""

from __future__ import annotations

from proxy.config.spec.numbers import Whole
from proxy.config.spec.scalars import Text
from proxy.config.spec.shapes import Key, ListOf

_BETA = Text("a beta's name: letters, digits, . _ -", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")

ANTHROPIC = (
    Key(
        "version",
        Text("a version: a date", r"^\d{4}-\d{2}-\d{2}$"),
        "The `anthropic-version` of the API.",
        "2023-06-01",
    ),
    Key(
        "beta",
        ListOf("names of betas", _BETA, distinct=True),
        "Betas to ask for (`anthropic-beta`), besides those that a client asks for itself.",
    ),
    Key(
        "max_tokens",
        Whole(1, 10_000_000),
        "The longest answer where a request names none (Anthropic insists on one); without it what the model can give.",
    ),
)
