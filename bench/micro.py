"""What a plain request costs in Python alone, without sockets and other processes: `python -m bench.micro`

One client connection and one upstream connection on transports that only take bytes; between them a whole `Process`
with everything on. Two halves: the client's request until the upstream's is written, and the upstream's response until
the client's is. The least of many rounds is told, in microseconds of wall time: what disturbs the machine only adds.
Then an event of a stream, on a route that could go on with a cut answer and on one that would only tell of the cut.

`--row WORD` takes the configuration of the first row of `bench.everything` whose name has it, instead of a plain one.
`--count` runs it under valgrind (which must be installed) and tells instructions a request on the event loop's thread:
the same number again and again, also on a busy machine, so that a change of half a percent can be seen.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from uvicorn.server import ServerState

from bench import everything, traffic
from proxy.app.process import Process
from proxy.config.load import load
from proxy.config.values import Config
from proxy.core.call import Origin
from proxy.engine import lessons, scopes, shelf
from proxy.net.connection import Connection
from proxy.net.dial import Dialer
from proxy.net.proxies import Proxy
from proxy.ops.log import Log
from proxy.wire.guard import GuardedProtocol
from proxy.wire.server import configure

CONFIG = """
ledger: {{path: {path}}}
backends: {{up: {{type: openai, base_url: "http://127.0.0.1:1/v1", api_key: bench}}}}
routes:
  gpt-4o-mini: {{targets: [{{target: up/m, price: {{input: 0.15, output: 0.6}}}}]}}
  tells: {{targets: [up/m], on_cut: error}}
  goes-on: {{targets: [up/m], on_cut: continue}}
"""
REQUEST = traffic.request(traffic.PATH, traffic.body("gpt-4o-mini", traffic.PLAIN_MARK, size=700))
RESPONSE = traffic.PLAIN_RESPONSE
EVENTS = 500
A_ROUND = 100
"""Requests: short enough that many rounds pass undisturbed."""
PAUSE = 0.005
"""Seconds between rounds, in which ledger and log are written."""
COUNTED = 200
VALGRIND = 50
"""So many times slower: what holds for a while must hold for as many requests as it does without it."""
COUNTED_WITHIN = "functools_reduce"
"""The C function within which valgrind counts: what runs in it is what `--count` tells of."""


class Wire(asyncio.Transport):
    """Takes bytes and keeps the last ones."""

    def __init__(self) -> None:
        super().__init__()
        self.last = b""

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.last = bytes(data)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def abort(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default


class Pair:
    """The two connections, after a first request that has opened the second."""

    def __init__(self, process: Process, request: bytes = REQUEST) -> None:
        self.request = request
        config = configure(process.runtime.desk.config.listen, process.app, process.endpoints)
        config.load()
        self.inner = GuardedProtocol(config, ServerState(), {}, asyncio.get_running_loop())
        self.inner_wire = Wire()
        self.inner.connection_made(self.inner_wire)
        self.outer: Connection
        self.outer_wire = Wire()

    async def begin(self) -> None:
        """The first request. Raises RuntimeError when it is not answered well."""

        async def made(_dialer: Dialer, _origin: Origin, _proxy: Proxy | None, protocol: asyncio.Protocol) -> None:
            assert isinstance(protocol, Connection)
            self.outer = protocol
            protocol.connection_made(self.outer_wire)

        Dialer.open = made  # type: ignore[method-assign, assignment]  # no socket here
        self.inner.data_received(self.request)
        for _ in range(10):  # turns of the loop, since a connection is made in a task
            await asyncio.sleep(0)
        self.outer.data_received(RESPONSE)
        if not self.inner_wire.last.endswith(traffic.SMALL):
            raise RuntimeError(f"not answered: {self.inner_wire.last!r}")

    def once(self) -> None:
        """One request."""
        self.inner.data_received(self.request)
        self.outer.data_received(RESPONSE)

    def stream(self, route: str) -> float:
        """Seconds that an event of a stream takes."""
        self.inner.data_received(traffic.request(traffic.PATH, traffic.body(route, "", size=700, stream=True)))
        self.outer.data_received(traffic.STREAM_HEAD + traffic.ROLE + traffic.WORD)
        began = time.perf_counter()
        for _ in range(EVENTS):
            self.outer.data_received(traffic.WORD)
        took = time.perf_counter() - began
        self.outer.data_received(traffic.FINISH)
        if not self.inner_wire.last.endswith(b"0\r\n\r\n"):
            raise RuntimeError(f"not answered: {self.inner_wire.last!r}")
        return took / EVENTS

    def round(self) -> tuple[float, float]:
        """Seconds that the two halves of so many requests take."""
        going, coming = 0.0, 0.0
        for _ in range(A_ROUND):
            began = time.perf_counter()
            self.inner.data_received(self.request)
            middle = time.perf_counter()
            self.outer.data_received(RESPONSE)
            going += middle - began
            coming += time.perf_counter() - middle
        return going, coming


def configured(directory: Path, word: str) -> tuple[Config, bytes]:
    """What is measured: a configuration, and the request to it."""
    text, request = CONFIG.format(path=directory / "ledger.db"), REQUEST
    if word:
        row = next(row for row in (everything.ORDER, *everything.ROWS) if word in row.name)
        row.config(directory, 1, ["http://127.0.0.1:1"])
        text = (directory / "routes.yaml").read_text()
        request = everything.gateway(row).request(traffic.PLAIN_MARK)
    config = load(text, {}, "bench", str)
    assert isinstance(config, Config), str(config)
    return config, request


async def measure(directory: Path, rounds: int, word: str, *, counted: bool) -> None:
    """Prints the figures; with `counted`, only does what is counted."""
    config, request = configured(directory, word)
    if counted:
        shelf.FRESH_FOR *= VALGRIND
        lessons.CALIBRATES_EVERY *= VALGRIND
        scopes.TOLD_FOR *= VALGRIND
    nowhere = os.open(os.devnull, os.O_WRONLY)
    log = Log(form="json", fd=nowhere)
    process = Process(config, {}, log, lambda: "the configuration is never loaded again")
    try:
        pair = Pair(process, request)
        await pair.begin()
        for _ in range(A_ROUND):
            pair.once()
        if counted:
            functools.reduce(lambda _, __: pair.once(), range(COUNTED), None)
            return
        best = (1.0, 1.0)
        for _ in range(rounds):
            going, coming = pair.round()
            best = (min(best[0], going), min(best[1], coming))
            await asyncio.sleep(PAUSE)
        going, coming = (1e6 * each / A_ROUND for each in best)
        print(f"request in {going:.1f} us, response out {coming:.1f} us, together {going + coming:.1f} us")
        if word:
            return
        events = {"tells": 1.0, "goes-on": 1.0}
        for _ in range(rounds):
            for route in events:
                events[route] = min(events[route], pair.stream(route))
            await asyncio.sleep(PAUSE)
        tells, goes_on = (1e6 * each for each in events.values())
        print(f"event of a stream {goes_on:.2f} us, where a cut is only told {tells:.2f} us: {goes_on / tells:.3f} x")
    finally:
        await process.ledger.close()
        log.close()
        os.close(nowhere)


def count(word: str) -> None:
    """Runs this under valgrind and prints what it counted."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={COUNTED_WITHIN}"]
        command += [f"--callgrind-out-file={name}/out", sys.executable, "-m", "bench.micro", "--counted", "--row", word]
        env = {**os.environ, "PYTHONHASHSEED": "0"}  # or dicts differ from run to run, and with them the count
        said = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stderr
    collected = int(said.split("Collected :")[1].split()[0])
    print(f"{collected / COUNTED:,.0f} instructions a request")


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(prog="python -m bench.micro", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="default: %(default)s, about five seconds")
    parser.add_argument("--count", action="store_true", help="instructions instead of time, with valgrind")
    parser.add_argument("--row", default="", metavar="WORD", help="a row of bench.everything")
    parser.add_argument("--counted", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.count:
        count(args.row)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        uvloop.run(measure(Path(name), args.rounds, args.row, counted=args.counted))


if __name__ == "__main__":
    main()
