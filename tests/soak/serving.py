"""A real `wayline serve` for a soak, seen from outside: its process, its sockets, its memory, its ledger."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench import process
from tests.soak.crowd import answer, connected
from tests.upstream_steps import Tokens


class Held(NamedTuple):
    """What a process holds on to."""

    sockets: int
    memory: int
    """Bytes."""


@dataclass
class Serving:
    """The process, and where its files are."""

    child: subprocess.Popen[bytes]
    port: int
    directory: Path

    def held(self) -> Held:
        """Its open sockets and resident memory now."""
        pid = self.child.pid
        links = []
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                links.append(str(each.readlink()))
        return Held(sum(link.startswith("socket:") for link in links), process.rss(pid))

    def end(self) -> int:
        """SIGTERM; its exit status. Raises subprocess.TimeoutExpired."""
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(20)

    def log(self) -> str:
        """All that it wrote."""
        return (self.directory / "log.txt").read_text(errors="replace")

    def booked(self) -> tuple[Tokens, int]:
        """The ledger's sum of tokens that upstreams reported, and its number of rows."""
        with contextlib.closing(sqlite3.connect(self.directory / "ledger.db")) as ledger:
            row = ledger.execute(
                "SELECT sum(input), sum(output) FROM attempts WHERE usage_source = 'reported'"
            ).fetchone()
            count = ledger.execute("SELECT count(*) FROM attempts").fetchone()[0]
        return Tokens(row[0] or 0, row[1] or 0), count


CONFIG = """
listen: {{host: 127.0.0.1, port: {port}}}
ledger: {{path: {directory}/ledger.db}}
backends:
{backends}
routes:
  chat: {{targets: [{targets}], on_cut: error, timeouts: {{connect: 3, first: 3, idle: 3, total: 30}}}}
  embed: {{targets: [{first}]}}
"""


@contextlib.asynccontextmanager
async def serving(directory: Path, urls: dict[str, str]) -> AsyncIterator[Serving]:
    """Runs `wayline serve` with the route `chat` over all backends in order, and `embed` on the last."""
    port = process.free_ports(1)[0]
    names = list(urls)
    backends = "\n".join(f'  {name}: {{type: openai, base_url: "{url}", api_key: soak}}' for name, url in urls.items())
    price = "price: {input: 1, output: 2}"
    targets = ", ".join(f"{{target: {name}/m, {price}}}" for name in names)
    config = CONFIG.format(
        port=port, directory=directory, backends=backends, targets=targets, first=f"{{target: {names[-1]}/m, {price}}}"
    )
    async with running(directory, port, config) as run:
        yield run


@contextlib.asynccontextmanager
async def running(directory: Path, port: int, config: str) -> AsyncIterator[Serving]:
    """Runs `wayline serve` with a configuration that listens on that port."""
    path = directory / "routes.yaml"
    path.write_text(config)
    command = process.python("-m", "proxy", "serve", "--config", str(path))
    child = process.start(command, process.cores()[0], log=directory / "log.txt")
    run = Serving(child, port, directory)
    try:
        await _answering(run)
        yield run
    finally:
        process.stop(child)


async def _answering(run: Serving) -> None:
    async with asyncio.timeout(20):
        while run.child.poll() is None:
            with contextlib.suppress(OSError):
                async with connected(run.port) as (reader, writer):
                    writer.write(b"GET /healthz HTTP/1.1\r\nHost: soak\r\n\r\n")
                    await answer(reader)
                    return
            await asyncio.sleep(0.05)
    raise RuntimeError(f"it ended: {run.log()[-2000:]}")
