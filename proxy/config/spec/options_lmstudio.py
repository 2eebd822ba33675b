"""What a backend of type `lmstudio` may say besides."""

from __future__ import annotations

from proxy.config.spec.numbers import Duration
from proxy.config.spec.shapes import Key

LMSTUDIO = (
    Key(
        "ttl",
        Duration(),
        "How long a model that a request has loaded stays in memory unused. Without it what LM Studio says (1h).",
    ),
)
