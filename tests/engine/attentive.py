"""A stage with more routes than `chat`: `care` (target c/m) and `moderation` (target c/omni)."""

from __future__ import annotations

import json
from typing import Any

import yaml

from proxy.app.build import Builder
from proxy.config.load import load, read_secret
from proxy.config.values import Config
from tests.engine.stage import TIMES, Asked, Stage


class Attentive(Stage):
    """`route`: what the route `chat` over a/m and b/m says; `screen`: what the top says."""

    def __init__(self, *, screen: dict[str, Any] | None = None, direct: bool = False, **route: Any) -> None:
        price = {"input": 1, "output": 2}
        backends = {n: {"type": "openai", "base_url": f"http://{n}.test/v1", "price": price} for n in "abc"}
        usual = {"timeouts": TIMES, "on_cut": "error", "retry": {"same_target": 0}}
        routes = {
            "chat": {"targets": ["a/m", "b/m"], **usual, **route},
            "care": {"targets": ["c/m"], "screen": False, **usual},
            "moderation": {"targets": ["c/omni"], **usual},
        }
        whole: dict[str, Any] = {"backends": backends, "routes": routes, "direct": direct}
        config = load(yaml.safe_dump(whole | ({"screen": screen} if screen else {})), {}, "routes.yaml", read_secret)
        assert isinstance(config, Config), str(config)
        super().__init__()
        self.config = config
        self.roads = Builder(config, {}, self.gates, rings=self.rings).roads()
        self.engine.attention.find = self.roads.within

    def say(self, text: str, *, stream: bool = False, **more: Any) -> Asked:
        """A user's message, sent."""
        return self.ask(stream=stream, messages=[{"role": "user", "content": text}], **more)


def moderated(**found: bool) -> bytes:
    """What a moderation answers."""
    scores = {name: 0.9 if flagged else 0.1 for name, flagged in found.items()}
    result = {"flagged": any(found.values()), "categories": found, "category_scores": scores}
    return json.dumps({"id": "modr-1", "model": "omni", "results": [result]}).encode()


def choices(body: bytes) -> list[dict[str, Any]]:
    """All choices of a stream's chunks."""
    blocks = [block for block in body.split(b"\n\n") if block.startswith(b"data: {")]
    return [choice for block in blocks for choice in json.loads(block[6:]).get("choices", ())]


def told(body: bytes) -> str:
    """All content of a stream's chunks."""
    return "".join(choice.get("delta", {}).get("content") or "" for choice in choices(body))


def reasons(body: bytes) -> list[str]:
    """The finish reasons of a stream's chunks."""
    return [choice["finish_reason"] for choice in choices(body) if choice.get("finish_reason")]
