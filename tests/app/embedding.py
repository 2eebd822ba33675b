"""A configuration as a mapping, for Wayline inside a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PRICE = {"input": 1, "output": 2}
HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]


def mapping(directory: Path, upstream: str, **more: Any) -> dict[str, Any]:
    """Route `chat` over two targets of one upstream, and `embed`."""
    return {
        "ledger": {"path": directory / "ledger.db"},
        "backends": {"up": {"type": "openai", "base_url": upstream, "api_key": "sk-of-the-gateway"}},
        "routes": {
            "chat": {"targets": [{"target": f"up/{name}", "price": PRICE} for name in ("first", "second")]},
            "embed": {"targets": [{"target": "up/vectors", "price": PRICE}]},
        },
        **more,
    }
