"""The admin page as a browser's script engine runs it: what it shows, what its buttons do, and that names stay text."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.serving import serving
from tests.upstream import Request, Upstream, in_thread
from tests.upstream_answers import error, ok
from tests.upstream_steps import Behaviour

pytestmark = pytest.mark.slow

KEY = "adm-0123456789abcdef"
MARKUP = "<img/src=x/onerror=alert(1)>"
SCRIPT = Path(__file__).parent / "scripts" / "admin_page.mjs"


def answer(request: Request, n: int) -> Behaviour:
    if request.json["model"] == MARKUP:
        return error(503, f"{MARKUP} is out of order")
    found: Behaviour = ok("Hello !")(request, n)
    return found


def config(directory: Path, upstream: str) -> dict[str, Any]:
    price = {"input": 1, "output": 2}
    targets = [{"target": f"up/{model}", "price": price} for model in (MARKUP, "good")]
    return {
        "ledger": {"path": str(directory / "ledger.db")},
        "admin": {"key": KEY},
        "backends": {"up": {"type": "openai", "base_url": upstream, "api_key": "k"}},
        "routes": {"chat": {"targets": targets}},
    }


def test_the_page_shows_and_does_and_takes_no_name_for_markup(tmp_path: Path, home: Path) -> None:
    with (
        in_thread(Upstream(answer)) as there,
        serving(tmp_path, json.dumps(config(tmp_path, there.up.base_url))) as server,
    ):
        body = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], "wayline": {"agent": "<b>x</b>"}}
        headers = {"content-type": "application/json"}
        asked = urllib.request.Request(f"{server.base_url}/chat/completions", json.dumps(body).encode(), headers)
        urllib.request.urlopen(asked, timeout=30).close()
        told = page(home, server.url)
    assert told["allowed"] == [True, True]  # its style and its script, by its own policy
    assert told["before"].startswith("needs a key") and told["hidden"]
    assert "not valid" in told["refused"]
    assert [row[0] for row in told["targets"]] == [f"up/{MARKUP}", "up/good"]
    assert told["spend"][0][:2] == ["chat", "1"]
    assert told["requests"][0][3] == "up/good (2 attempts)"
    assert "attempt 2: up/good served" in told["why"]
    assert told["tested"].startswith(f"up/{MARKUP}: failed") and "is out of order" in told["tested"]
    assert "cooled" in told["event"]
    assert any("cooled by hand" in row[1] for row in told["cooled"])
    assert told["elements"] == 1  # its own script
    assert told["left"] == [True, 0]
    assert told["wrong"] == []


def page(home: Path, url: str) -> dict[str, Any]:
    """What the script saw."""
    command = [str(home / "bin" / "node"), "--input-type=module", "-", url, KEY]
    done = subprocess.run(
        command, input=SCRIPT.read_text(), cwd=home, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
