"""Run README.md's ```sh and ```python blocks, top to bottom, as a reader who pastes them would.

`make run` starts the server and goes on with the next block once it is ready; it keeps running to the end, on a free
port that takes the place of 8080 everywhere. A block under `<!-- not run: reason -->` is left out, and so are the
test commands, which CI runs as a step of their own.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(?:<!-- not run: (?P<why>.+?) -->\n+)?^```(?P<kind>sh|python)\n(?P<text>.*?)^```$", re.M | re.S)
SERVE = "make run"
TESTS = ("make test", "make test-all", "make check", "make bench")
FIRST_ANSWER = 90.0
"""Seconds from `make run` in a fresh clone to the end of the block after it, which has an answer."""
PATIENCE = 300.0


class Block(NamedTuple):
    kind: str
    text: str
    why_not: str


def blocks(readme: str) -> list[Block]:
    """Each block, in order."""
    return [Block(m["kind"], m["text"], m["why"] or "") for m in BLOCK.finditer(readme)]


def left_out(block: Block) -> str:
    """Why it is not run here; empty: it is."""
    commands = [line.split("#")[0].strip() for line in block.text.splitlines() if line.strip()]
    return block.why_not or ("a step of its own in CI" if all(command in TESTS for command in commands) else "")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(port: int) -> subprocess.Popen[bytes]:
    """`make run`, in a process group of its own, until it is ready."""
    began = time.monotonic()
    process = subprocess.Popen(
        ["make", "run", f"PORT={port}"], cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True
    )
    while not ready(port):
        if process.poll() is not None:
            raise SystemExit(f"README: `{SERVE}` ended with {process.returncode}")
        if time.monotonic() - began > FIRST_ANSWER:
            stop(process)
            raise SystemExit(f"README: `{SERVE}` was not ready within {FIRST_ANSWER:.0f} s")
        time.sleep(0.2)
    print(f"README: ready {time.monotonic() - began:.1f} s after `{SERVE}`", flush=True)
    return process


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does: the whole group."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise SystemExit("README: the server did not stop within 60 s of Ctrl-C") from None


def paste(block: Block, port: int) -> None:
    """Run one block as it stands, but for the port."""
    text = block.text.replace("8080", str(port))
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with tempfile.NamedTemporaryFile("w", suffix=f".{block.kind}") as script:
        script.write(text)
        script.flush()
        command = ["sh", "-e", script.name] if block.kind == "sh" else [str(ROOT / ".venv/bin/python"), script.name]
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, env={**os.environ, "PATH": path}, timeout=PATIENCE
        )
    if done.returncode:
        raise SystemExit(f"README: this block ended with {done.returncode}:\n{text}")


def in_time(began: float) -> None:
    """Ends this process when the answer after `make run` came late. `began` is 0 for every later block."""
    took = time.monotonic() - began if began else 0.0
    if took:
        print(f"\nREADME: first answer {took:.1f} s after `{SERVE}`", flush=True)
    if took > FIRST_ANSWER:
        raise SystemExit(f"README: that is later than {FIRST_ANSWER:.0f} s")


def main() -> None:
    port, server, ran, began = free_port(), None, 0, 0.0
    try:
        for block in blocks(README.read_text(encoding="utf-8")):
            why = left_out(block)
            head = block.text.strip().splitlines()[0]
            print(f"README: {f'not run ({why})' if why else 'running'}: {head}", flush=True)
            if why:
                continue
            if block.text.split("#")[0].strip() == SERVE:
                began = time.monotonic()
                server = start(port)
            else:
                paste(block, port)
                in_time(began)
                began = 0.0
            ran += 1
    finally:
        if server is not None:
            stop(server)
    if not ran:
        raise SystemExit("README: it has no block to run")
    print(f"README: {ran} blocks ran")


if __name__ == "__main__":
    main()
