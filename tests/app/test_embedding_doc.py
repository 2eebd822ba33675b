"""docs/embedding.md: its examples run, and give what it shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.app.embedding import PRICE, mapping
from tests.upstream import Request as Asked
from tests.upstream import Upstream, in_thread
from tests.upstream_answers import chat_ok, embeddings_ok, stream_ok
from tests.upstream_steps import Behaviour

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "docs/embedding.md").read_text("utf-8"), re.M | re.S)


def answer(request: Asked, _: int) -> Behaviour:
    if request.path.endswith("/embeddings"):
        return embeddings_ok([[0.1], [0.2]])
    return stream_ok(["Hello ", "there!"]) if request.json.get("stream") else chat_ok("Hello there!")


def run(code: str, directory: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_the_examples_run_and_give_what_is_shown(tmp_path: Path) -> None:
    (_, example), (_, shown), (_, mounted) = BLOCKS
    with in_thread(Upstream(answer)) as there:
        config = mapping(tmp_path, there.up.base_url)
        config["routes"]["chat"]["targets"] = [{"target": "up/large", "price": PRICE}]
        (tmp_path / "routes.yaml").write_text(json.dumps(config, default=str))
        assert run(example, tmp_path) == shown
        asks = (
            "from starlette.testclient import TestClient\n"
            "with TestClient(app) as client: print(client.get('/llm/v1/models').json()['data'][0]['id'])"
        )
        assert run(f"{mounted}\n{asks}", tmp_path) == "chat\n"
