"""Run a command quietly: one sentence before, and where it fails its last lines and what they mean."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TAIL = 25
PATIENCE = 8.0
"""Seconds of silence after which it says how far it is; then twice as long each time, up to a minute."""


def line(text: str) -> None:
    print(f"wayline: {text}", flush=True)


def run(
    command: Sequence[str],
    doing: str,
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    explain: Callable[[str], str] = lambda text: "",
) -> None:
    """Its output goes to `log`. A failure ends this process: with the log's tail, and `explain`'s word on it."""
    if attend(command, doing, log, environment) == 0:
        return
    text = log.read_text(errors="replace")
    print("\n".join(text.splitlines()[-TAIL:]), file=sys.stderr)
    reason = explain(text)
    print(f"wayline: {doing} failed. {reason}".rstrip(), file=sys.stderr)
    print(f"wayline: the whole output is in {log}", file=sys.stderr)
    raise SystemExit(1)


def attend(command: Sequence[str], doing: str, log: Path, environment: Mapping[str, str] | None) -> int:
    """Its exit status. While it runs, a word now and then."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment
        )
    began, wait = time.monotonic(), PATIENCE
    while True:
        try:
            return process.wait(wait)
        except subprocess.TimeoutExpired:
            wait = min(wait * 2, 60.0)
            seen = log.read_text(errors="replace").count("\nCollecting ")
            so_far = f"; {seen} packages so far" if seen > 1 else ""
            line(f"still {doing} after {time.monotonic() - began:.0f} s{so_far}")
        except KeyboardInterrupt:
            process.wait()
            raise SystemExit(130) from None


UNREACHABLE = (
    "Temporary failure in name resolution",
    "Name or service not known",
    "nodename nor servname",
    "NewConnectionError",
    "Network is unreachable",
    "Connection refused",
    "ConnectTimeoutError",
    "ProxyError",
)
TROUBLE = [
    (UNREACHABLE, "The package index cannot be reached: is there a network, and does pip know its proxy or mirror?"),
    (("CERTIFICATE_VERIFY_FAILED",), "The package index's certificate is not trusted here: set PIP_CERT."),
    (("No space left on device",), "The disk is full."),
    (("DO NOT MATCH THE HASHES",), "What was downloaded is not what locks/ name: a mirror or proxy changed it."),
    (
        ("No matching distribution found for xllamacpp",),
        "The prebuilt llama.cpp engine does not exist for this machine. The server does not need it: "
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/wayline serve",
    ),
    (
        ("No matching distribution found",),
        "A locked package has no prebuilt form for this machine and Python: try PYTHON=python3.12.",
    ),
]


def pip_trouble(text: str) -> str:
    """What pip's output means to someone who only wanted to start the server."""
    return next((meaning for marks, meaning in TROUBLE if any(mark in text for mark in marks)), "")
