"""What a backend of type azure may say besides."""

from __future__ import annotations

from proxy.config.spec.scalars import Text
from proxy.config.spec.shapes import Key

AZURE = (
    Key(
        "api_version",
        Text("an api-version such as 2024-12-01-preview", r"^(?:\d{4}-\d{2}-\d{2}(?:-preview)?|v1|preview|latest)$"),
        "With a dated one models are deployments (/openai/deployments/MODEL?api-version=…), without it the address is "
        "/openai/v1 and models are named in the body.",
    ),
)
