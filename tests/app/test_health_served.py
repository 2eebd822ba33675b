"""A real server: what it knows of its targets outlives it, and somebody is told once of what is wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.sdk.serving import Serving, serving
from tests.upstream import Request, Upstream, in_thread
from tests.upstream_answers import chat_ok, error
from tests.upstream_steps import Behaviour

CONFIG = """
listen: {{port: 0}}
ledger: {{path: {directory}/ledger.db}}
state: {{path: {directory}/state.db}}
alerts: {{webhook: {{url: "{hook}", secret: a-secret-of-the-receiver}}}}
backends:
  up: {{type: openai, base_url: "{upstream}", api_key: sk-of-the-gateway}}
routes:
  chat: {{targets: [{{target: up/bad, retry: {{same_target: 0}}}}, up/good]}}
"""


class There:
    """The upstream, of which one model always fails, and the webhook, which refuses what comes first."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self._refuse = 1

    def __call__(self, request: Request, n: int) -> Behaviour:
        if request.path.endswith("/hook"):
            assert signed(request)
            self._refuse -= 1
            if self._refuse >= 0:
                return error(503)
            self.told.append(request.json)
            return chat_ok()
        return error(500) if request.json["model"] == "bad" else chat_ok()

    def kinds(self) -> list[tuple[str, str, str]]:
        return [(one["type"], one["data"]["kind"], one["data"]["subject"]) for one in self.told]


def signed(request: Request) -> bool:
    said = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    mac = hmac.new(b"a-secret-of-the-receiver", said, hashlib.sha256).digest()
    return hmac.compare_digest(request.headers["webhook-signature"], "v1," + base64.b64encode(mac).decode())


def ask(server: Serving, prompt: str) -> None:
    body = orjson.dumps({"model": "chat", "messages": [{"role": "user", "content": prompt}]})
    request = urllib.request.Request(f"{server.base_url}/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.status == 200


def logged(server: Serving) -> list[str]:
    """The alerts that the log says were raised."""
    return sorted(line["kind"] for line in server.log() if line["event"] == "alert.raised")


def until(true: Callable[[], bool], within: float = 30.0) -> None:
    """Polls what another process brings about."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_scores_survive_a_restart_and_alerts_are_told_once(tmp_path: Path) -> None:
    there = There()
    with in_thread(Upstream(there)) as upstream:
        hook = upstream.up.base_url.removesuffix("/v1") + "/hook"
        config = CONFIG.format(directory=tmp_path, hook=hook, upstream=upstream.up.base_url)

        def score(server: Serving, target: str) -> float:
            return server.metric("wayline_target_health_score", target=target)

        with serving(tmp_path, config) as server:
            for number in range(12):
                ask(server, f"secret prompt {number}")
            until(lambda: score(server, "up/bad") < 100)
            before = score(server, "up/bad")
            assert before == 60  # five failures of twenty at least opened its circuit
            assert score(server, "up/good") == 100
            until(lambda: len(there.told) >= 2)
            raised = sorted(there.kinds())
            assert raised == [("alert.raised", "degraded", "up/bad"), ("alert.raised", "down", "up/bad")]
            assert server.metric("wayline_alert", kind="down", subject="up/bad") == 1
            until(lambda: logged(server) == ["degraded", "down"])

        there.told.clear()
        with serving(tmp_path, config) as server:
            until(lambda: score(server, "up/bad") == before)
            until(lambda: len(there.told) >= 1)
            # It stood, and does no longer; that it is degraded is still so, and was told before.
            assert there.kinds() == [("alert.cleared", "down", "up/bad")]
            assert server.metric("wayline_alert", kind="down", subject="up/bad") == 0
            assert server.metric("wayline_alert", kind="degraded", subject="up/bad") == 1
    everything = (tmp_path / "log.txt").read_text() + str(there.told)
    assert "secret prompt" not in everything and "a-secret-of" not in everything and "/hook" not in everything
