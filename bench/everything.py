"""What choosing, keys, limits and budgets cost a plain request of a real process: `python -m bench.everything`

For each row a `wayline serve` of its own, beside one with the same targets in order and nothing else. They take short
turns, one right after the other, since the machine's own speed changes within seconds; told are the medians of the
processes' CPU time a request, in microseconds, and of the ratios of two turns that stand side by side. Health windows,
ledger, metrics and the request log are always on. `--only WORD` takes the rows whose name has it, `--connections N`
that many requests at a time (1: each comes when the one before it was answered).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import uvloop

from bench import process, rows, traffic
from bench.gateways import Gateway, Start, running
from proxy.core.key import Key
from proxy.state.keys import add
from proxy.state.schema import open_database

KEY = "bench-key-000000"
CONNECTIONS = 32
SOME, MANY = 1.15, 1.25


class Row(NamedTuple):
    """A configuration. `limit`: of the ratio to `order`, as it was asked for."""

    name: str
    route: str = ""
    """Of the route, besides its targets."""
    more: str = ""
    """Other parts of the configuration, in lines of their own."""
    targets: int = 4
    key: str | None = None
    """What the caller's key says besides its name; `None`: nobody is asked for one."""
    others: int = 0
    """Keys besides, in the database."""
    limit: float | None = None

    def config(self, directory: Path, port: int, targets: Sequence[str]) -> Start:
        """Written into the directory; with the command that serves it."""
        dollars = [f"{{input: {0.1 + 0.01 * n:.2f}, output: {0.4 + 0.04 * n:.2f}}}" for n in range(self.targets)]
        listed = ", ".join(f"{{target: up/m{n}, price: {price}}}" for n, price in enumerate(dollars))
        keyed = "" if self.key is None else f"keys: [{{name: bench, key: '{KEY}'{self.key}}}]\n"
        if self.others:
            store(directory / "ledger-state.db", self.others)
        text = f"""
listen: {{host: 127.0.0.1, port: {port}}}
ledger: {{path: {directory / "ledger.db"}}}
backends: {{up: {{type: openai, base_url: "{targets[0]}/v1", api_key: bench}}}}
routes: {{chat: {{{self.route}{", " if self.route else ""}targets: [{listed}]}}}}
{keyed}{self.more}
"""
        (directory / "routes.yaml").write_text(text)
        return Start(process.python("-m", "proxy", "serve", "--config", str(directory / "routes.yaml")), port)


def store(path: Path, keys: int) -> None:
    """So many keys, as `wayline keys add` makes them."""
    with contextlib.closing(open_database(path, busy=1.0)) as db:
        for place in range(keys):
            add(db, Key(f"k{place}"), None, time.time())


class Keyed(Gateway):
    """Its callers send a key."""

    def request(self, mark: str, *, size: int = 700, stream: bool = False) -> bytes:
        """See `Gateway`."""
        plain = super().request(mark, size=size, stream=stream)
        return plain.replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode(), 1)


LIMITS = "limits: {rpm: 1000000, tpm: 1000000000, concurrency: 1000}"
ALL = "limits: {rpm: 1000000}\nqueue: {size: 100}\nbudgets: {unbounded: allow, all: [100000/month]}"
OWN = ", limits: {rpm: 1000000}, budgets: [10000/day]"
EVERYTHING = Row("everything, 4 targets", f"strategy: score, {LIMITS}", ALL, key=OWN, limit=SOME)
ORDER = Row("order, 4 targets")
ROWS = (
    Row("one key", key=""),
    Row("10,000 keys", key="", others=10_000),
    Row("score, 4 targets", "strategy: score", limit=SOME),
    Row("limits and a queue", LIMITS, "limits: {rpm: 1000000}\nqueue: {size: 100}", limit=SOME),
    Row("a key with a budget", more="budgets: {unbounded: allow}", key=", budgets: [10000/day]", limit=SOME),
    EVERYTHING,
    EVERYTHING._replace(name="everything, 4 targets, 10,000 keys", others=10_000),
    *(
        Row(f"{strategy}, 100 targets", f"strategy: {strategy}", targets=100, limit=MANY)
        for strategy in ("order", "score", "weighted", "least_latency")
    ),
)


def gateway(row: Row) -> Gateway:
    """As the bench runs one."""
    made = Gateway if row.key is None else Keyed
    return made(row.name.replace(" ", "-").replace(",", ""), row.config, lambda: "", model="chat")


class Told(NamedTuple):
    """Microseconds a request."""

    row: Row
    took: float
    ratio: float

    def line(self) -> str:
        asked = "" if self.row.limit is None else f"  (asked: {self.row.limit:.2f})"
        return f"{self.row.name:<36} {self.took:7.1f} us  {self.ratio:5.2f} x order{asked}"


class Turns(NamedTuple):
    """`rounds` of each, so many seconds long, with as many requests at a time as there are connections."""

    rounds: int
    seconds: float
    connections: int


async def measure(row: Row, directory: Path, good: str, core: int, turns: Turns) -> Told:
    """One row, beside `order`."""
    start = partial(running, targets=[good], core=core)
    ours, plain = gateway(row), gateway(ORDER)
    found: list[tuple[float, float]] = []
    async with (
        start(ours, directory=directory / ours.name) as one,
        start(plain, directory=directory / f"{ours.name}-order") as other,
    ):
        for place in range(turns.rounds + 1):
            took = {}
            for run in (one, other) if place % 2 else (other, one):
                request = run.gateway.request(traffic.PLAIN_MARK)
                got = await rows.sample(run, request, turns.connections, turns.seconds)
                if got["failures"]:
                    raise RuntimeError(f"{row.name}: {got['failures']:.0f} requests failed")
                took[run.port] = got["cpu_us"]
            if place:  # the first round warms up
                found.append((took[one.port], took[other.port]))
    return Told(row, statistics.median(took for took, _ in found), statistics.median(took / by for took, by in found))


async def tell(chosen: Sequence[Row], turns: Turns) -> None:
    """Prints a line for each."""
    core, other = process.cores()
    os.sched_setaffinity(0, {other})
    ports = process.free_ports(2)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        command = process.python("-m", "bench.upstream", *map(str, ports))
        upstream = process.start(command, other, log=directory / "upstream.txt")
        try:
            await rows.reachable(ports[0])
            for row in chosen:
                told = await measure(row, directory, f"http://127.0.0.1:{ports[0]}", core, turns)
                print(told.line(), flush=True)
        finally:
            process.stop(upstream)


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(prog="python -m bench.everything", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=0.4, help="of a round, default: %(default)s")
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="default: %(default)s")
    parser.add_argument("--only", default="", metavar="WORD", help="the rows whose name has it")
    args = parser.parse_args()
    turns = Turns(args.rounds, args.seconds, args.connections)
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(tell([row for row in ROWS if args.only in row.name], turns))


if __name__ == "__main__":
    main()
