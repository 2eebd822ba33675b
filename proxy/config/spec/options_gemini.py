"""What backends of the types `gemini` and `vertex` may say besides."""

from __future__ import annotations

from proxy.config.spec.scalars import Choice
from proxy.config.spec.shapes import Key

SAFETY = Key(
    "safety",
    Choice(("OFF", "BLOCK_NONE", "BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_LOW_AND_ABOVE")),
    "From which probability on harassment, hate speech, sexually explicit and dangerous content is blocked; a "
    "request's own `safetySettings` come before it. Without it as Google has it for the model.",
)
GEMINI = (SAFETY,)
