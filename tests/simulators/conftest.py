"""Wayline in front of two simulators of providers, in processes of their own, and of a backend that always answers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from bench.process import free_ports
from tests.sdk.serving import ROOT, Serving, serving
from tests.upstream import Upstream, in_thread
from tests.upstream_answers import ok

START_WITHIN = 60.0
"""Seconds."""
OTHER = "Otherwise."
FAULTS = ("none", "alone", "alone-limited", "overloaded", "limited", "truncated", "stalled")
AIMOCK = {"openai": "/v1", "anthropic": "", "gemini": "/v1beta", "ollama": "", "azure": ""}
LLMOCK = {"openai": "/v1", "anthropic": "/anthropic", "gemini": "/gemini/v1beta", "mistral": "/mistral/v1"}
SIMULATED = [*(("aimock", type_) for type_ in AIMOCK), *(("llmock", type_) for type_ in LLMOCK)]
CONFIG = """
listen: {{port: 0}}
ledger: {{path: {directory}/ledger.db}}
direct: true
backends:
  rest: {{type: openai, base_url: "{rest}", api_key: key-of-rest}}
{backends}
routes:
{routes}
"""


def config(directory: Path, urls: dict[str, str], rest: str) -> str:
    """Each fault has a backend and a key of its own: what rests after one disturbs no other."""
    backends, routes = [], []
    for simulator, type_ in SIMULATED:
        below = (AIMOCK if simulator == "aimock" else LLMOCK)[type_]
        more = ", api_version: 2024-10-21" if type_ == "azure" else ""
        for fault in FAULTS:
            name = f"{simulator}-{type_}-{fault}"
            settings = f'type: {type_}, base_url: "{urls[simulator]}{below}", api_key: key-of-{name}'
            times = "timeouts: {first: 1, idle: 1}, retry: {same_target: 0}"
            backends.append(f"  {name}: {{{settings}, {times}{more}}}")
            others = "" if fault.startswith("alone") else ", rest/m"
            routes.append(f"  {name}: {{targets: [{name}/m{others}], on_cut: error}}")
    return CONFIG.format(directory=directory, rest=rest, backends="\n".join(backends), routes="\n".join(routes))


@dataclass
class Stage:
    """Wayline, a client of it, and where the simulators are."""

    server: Serving
    client: OpenAI
    urls: dict[str, str]

    def llmock(self, *behaviours: dict[str, Any]) -> None:
        """What it does next."""
        self._post("reset", {})
        self._post("scenario", {"behaviors": list(behaviours)})

    def verdict(self) -> Any:
        """What llmock thinks of Wayline since the last `llmock`."""
        with urllib.request.urlopen(f"{self.urls['llmock']}/_llmock/verdict", timeout=10) as reply:
            return json.loads(reply.read())

    def _post(self, what: str, value: Any) -> None:
        asked = urllib.request.Request(f"{self.urls['llmock']}/_llmock/{what}", json.dumps(value).encode())
        with urllib.request.urlopen(asked, timeout=10):
            pass


@contextlib.contextmanager
def process(command: Sequence[str | Path], url: str, log: Path) -> Iterator[None]:
    """A server, while the block runs."""
    with log.open("wb") as out:
        # Alone in its group: what is called `node` here starts another process, which has to end with it.
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        until = time.monotonic() + START_WITHIN
        while not _answers(url):
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < until, "it did not start"
            time.sleep(0.1)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One for all tests."""
    directory = tmp_path_factory.mktemp("simulators")
    done = subprocess.run([sys.executable, ROOT / "scripts/clients.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    home = Path(done.stdout.splitlines()[-1])
    ports = free_ports(2)
    urls = {name: f"http://127.0.0.1:{port}" for name, port in zip(("aimock", "llmock"), ports, strict=True)}
    node: list[str | Path] = [home / "bin/node", home / "node_modules/@copilotkit/aimock/dist/cli.js"]
    aimock = [*node, "-p", str(ports[0]), "-f", Path(__file__).parent / "aimock.json"]
    llmock: list[str | Path] = [home / "bin/llmock", "serve", "--port", str(ports[1]), "--log-level", "warning"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(process(aimock, urls["aimock"], directory / "aimock.txt"))
        stack.enter_context(process(llmock, f"{urls['llmock']}/health", directory / "llmock.txt"))
        there = stack.enter_context(in_thread(Upstream(ok(OTHER))))
        server = stack.enter_context(serving(directory, config(directory, urls, there.up.base_url)))
        client = OpenAI(base_url=server.base_url, api_key="none", max_retries=0, timeout=30)
        yield Stage(server, stack.enter_context(client), urls)
