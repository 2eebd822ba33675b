"""The gateway under test: a real `python -m proxy serve`, with one route for each case of its lane."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bench import process
from bench.faults.case import FALLBACK, PRIMARY, Case
from bench.faults.profile import Profile
from bench.gateways import find_program
from tests.upstream import Upstream

READY = re.compile(r"Wayline is ready at http://[^/\s]+:(\d+)")
PRICE = {"input": 1, "output": 2}
PATIENCE = 3
"""Seconds of a Retry-After that are waited out at the same target."""


class Cast(NamedTuple):
    """A case and its upstreams."""

    case: Case
    primary: Upstream
    fallback: Upstream
    elsewhere: Upstream


def config(cast: Sequence[Cast], profile: Profile, *, directory: Path) -> dict[str, Any]:
    """The configuration of one lane."""
    backends: dict[str, Any] = {}
    routes: dict[str, Any] = {}
    for case, primary, fallback, _ in cast:
        first, second = f"{case.slug}-a", f"{case.slug}-b"
        backends[first] = {"type": "openai", "base_url": primary.base_url, "api_key": "bench"}
        backends[second] = {"type": "openai", "base_url": fallback.base_url, "api_key": "bench"}
        if case.prefill is not None:
            backends[second]["prefill"] = case.prefill
        last = {"target": f"{second}/{FALLBACK}", "price": PRICE}
        common = _common(profile) | dict(case.route(profile))
        routes[case.slug] = {"targets": [{"target": f"{first}/{PRIMARY}", "price": PRICE}, last], **common}
        routes[f"{case.slug}.alone"] = {"targets": [last], **common}
    listen = {"host": "127.0.0.1", "port": 0}
    return {"listen": listen, "ledger": {"path": str(directory / "ledger.db")}, "backends": backends, "routes": routes}


def _common(profile: Profile) -> dict[str, Any]:
    """What the method gives every system: two retries, its patience, and one fallback."""
    # A client that waits 30 s is answered within them.
    total = round(profile.patience * 0.9, 1)
    times = {"connect": min(5.0, profile.patience / 4), "first": profile.first, "idle": profile.idle, "total": total}
    return {"timeouts": times, "retry": {"same_target": 2, "patience": PATIENCE}}


@contextlib.asynccontextmanager
async def serving(
    cast: Sequence[Cast], profile: Profile, directory: Path, core: int
) -> AsyncIterator[tuple[int, subprocess.Popen[bytes]]]:
    """Runs it while the block runs; gives its port and process."""
    path = directory / "routes.yaml"
    written = config(cast, profile, directory=directory)
    path.write_text(yaml.safe_dump(written, sort_keys=False, allow_unicode=True))
    log = directory / "log.txt"
    child = process.start(process.python("-m", "proxy", "serve", "--config", str(path)), core, log=log)
    try:
        yield await _ready(child, log), child
    finally:
        await asyncio.to_thread(process.stop, child)


async def _ready(child: subprocess.Popen[bytes], log: Path, within: float = 60.0) -> int:
    """The port that it says it listens on. Raises RuntimeError with the log's end when the process ended."""
    async with asyncio.timeout(within):
        while child.poll() is None:
            if found := READY.search(_said(log)):
                return int(found[1])
            await asyncio.sleep(0.05)
    raise RuntimeError(f"it did not start: {_tail(log)}")


async def listening(port: int, child: subprocess.Popen[bytes], log: Path, within: float = 30.0) -> None:
    """Waits until somebody accepts on the port. Raises RuntimeError with the log's end when the process ended."""
    async with asyncio.timeout(within):
        while child.poll() is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
    raise RuntimeError(f"it did not start: {_tail(log)}")


def _said(log: Path) -> str:
    return log.read_text(errors="replace")


def _tail(log: Path) -> str:
    return _said(log)[-2000:]


NGINX = """
daemon off;
worker_processes 1;
error_log {directory}/nginx.txt warn;
pid {directory}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {directory};
  proxy_temp_path {directory};
  fastcgi_temp_path {directory};
  uwsgi_temp_path {directory};
  scgi_temp_path {directory};
  server {{
    listen 127.0.0.1:{port} reuseport;
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_read_timeout {timeout}s;
    }}
  }}
}}
"""


@contextlib.asynccontextmanager
async def nginx(behind: int, gives_up: int, directory: Path) -> AsyncIterator[int]:
    """An nginx in front of a port, that gives up after so many seconds without a byte; gives its own port."""
    with socket.socket() as kept:  # nobody else gets the port before nginx has it
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        async with _nginx(kept.getsockname()[1], behind, gives_up, directory) as port:
            yield port


@contextlib.asynccontextmanager
async def _nginx(port: int, behind: int, gives_up: int, directory: Path) -> AsyncIterator[int]:
    own = directory / "nginx"
    own.mkdir(exist_ok=True)
    path = own / "nginx.conf"
    path.write_text(NGINX.format(directory=own, port=port, behind=behind, timeout=gives_up))
    log = own / "out.txt"
    command = [find_program("nginx") or "nginx", "-c", str(path), "-e", str(own / "nginx.txt")]
    child = process.start(command, process.cores()[1], log=log)
    try:
        await listening(port, child, log)
        yield port
    finally:
        await asyncio.to_thread(process.stop, child)
