"""What `wayline serve` costs before the first request."""

from __future__ import annotations

import subprocess
import sys

from bench.process import rss
from tests.sdk.stage import Stage

SERVING = "import proxy.cli, proxy.app.serve, proxy.app.process, proxy.wire.server, proxy.wire.workers, sys"
HEAVY = {
    "pydantic",  # genai-prices brings it, and is asked in a process of its own
    "genai_prices",
    "httpx2",
    "xllamacpp",
    "llama_cpp",
    "proxy.local.worker.server",  # what runs a model is for its worker
}


def test_it_imports_nothing_heavy() -> None:
    command = [sys.executable, "-c", f"{SERVING}; print(*sys.modules)"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "proxy.wire.server" in found
    assert not HEAVY & set(found)


def test_it_is_small(stage: Stage) -> None:
    assert rss(stage.server.child.pid) < 80e6
