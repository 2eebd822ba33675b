"""What the scripts of this folder share: scenes to run one after the other, told as one line of JSON.

Started with Wayline's address and a key; every scene is asked for by the name of a route, `gemini-tools`.
"""

from __future__ import annotations

import base64
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from told_tools import FUNCTIONS as FUNCTIONS

URL, KEY = sys.argv[1:3]
PROVIDERS = ("openai", "anthropic", "gemini", "ollama")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PNG = base64.b64decode(PIXEL)


def tell(scenes: Mapping[str, Callable[[str], Any]], providers: tuple[str, ...] = PROVIDERS) -> None:
    """Runs each scene with each provider; an exception is told by its class, status and words."""
    told: dict[str, Any] = {}
    for provider in providers:
        for name, scene in scenes.items():
            try:
                told[f"{provider} {name}"] = scene(provider)
            except Exception as error:  # noqa: BLE001 - what a client raises is what is asked for here
                traceback.print_exc()
                told[f"{provider} {name}"] = {
                    "error": type(error).__name__,
                    "status": getattr(error, "status_code", None),
                    "words": str(error),
                }
    print(json.dumps(told))
