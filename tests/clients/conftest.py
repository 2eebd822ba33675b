"""Wayline in front of an upstream that replays four providers, and other people's clients in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.recordings import FAMILIES, SCENES
from tests.clients.replay import Replay
from tests.sdk.serving import ROOT, Serving, serving
from tests.upstream import InThread, Upstream, in_thread

KEY = "sk-of-a-test-client"
SCRIPTS = Path(__file__).parent / "scripts"
FEW = ROOT / "tests" / "fixtures" / "tls" / "localhost.pem"
"""Certificates that each client loads at its start: one is loaded faster than all the world's."""
BELOW = {"openai": "/v1", "anthropic": "", "gemini": "/v1beta", "ollama": ""}
PLAIN = "on_cut: error, retry: {same_target: 0}"
CONFIG = """
listen: {{port: 0}}
ledger: {{path: {directory}/ledger.db}}
store: {{path: {directory}/responses.db}}
keys: [{{name: tests, key: {key}}}]
backends:
{backends}
routes:
{routes}
"""


def config(directory: Path, url: str) -> str:
    """A route for each provider and scene, named `gemini-tools`; what makes keys rest has backends of its own."""
    backends, routes = [], []
    for name, family in FAMILIES.items():
        settings = f'{{type: {name}, base_url: "{url}{BELOW[name]}", api_key: key-of-{name}}}'
        backends += [f"  {name}: {settings}", f"  {name}-limited: {settings}"]
        for kind in (*SCENES, "refused", "limited"):
            backend = f"{name}-limited" if kind == "limited" else name
            routes.append(f"  {name}-{kind}: {{targets: [{backend}/{family}-{kind}], {PLAIN}}}")
    # OpenAI's own address would be recognized; a provider known to be as strict about what messages hold, anywhere.
    backends.append(f'  groq: {{type: groq, base_url: "{url}/v1", api_key: key-of-groq}}')
    routes.append(f"  groq-tools: {{targets: [groq/gpt-4o-tools], {PLAIN}}}")
    return CONFIG.format(directory=directory, key=KEY, backends="\n".join(backends), routes="\n".join(routes))


@dataclass
class Stage:
    """A running Wayline, the upstream behind it, and the environment of the clients."""

    server: Serving
    there: InThread
    replay: Replay
    home: Path

    def run(self, script: str, *words: str, ours: bool = False) -> dict[str, Any]:
        """What a client's script tells of its scenes. `ours`: with the versions that the tests themselves have."""
        program = self.home / "bin" / ("node" if script.endswith(".mjs") else "python")
        program = Path(sys.executable) if ours else program
        # Node looks for packages from the folder of what it runs: of the working directory for what comes by stdin.
        first = ["--input-type=module", "-"] if script.endswith(".mjs") else [str(SCRIPTS / script)]
        told = subprocess.run(
            [str(program), *first, self.server.url, KEY, *words],
            input=(SCRIPTS / script).read_text(),
            env={**os.environ, "LLM_USER_PATH": str(self.server.directory), "SSL_CERT_FILE": str(FEW)},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
        return found


@pytest.fixture(scope="session")
def home() -> Path:
    """Where the clients are installed."""
    done = subprocess.run([sys.executable, ROOT / "scripts/clients.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[Stage]:
    """One for all clients."""
    directory = tmp_path_factory.mktemp("clients")
    replay = Replay()
    with in_thread(Upstream(replay)) as there:
        url = there.up.base_url.removesuffix("/v1")
        with serving(directory, config(directory, url)) as server:
            yield Stage(server, there, replay, home)
    assert replay.wrong == []
