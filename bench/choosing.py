"""What it costs to choose, against a plain request at a route in order: `python -m bench.choosing`

The same two connections as in `bench.micro`, and a process of its own for each row. A round of each row follows a round
of `order`, so that what disturbs the machine disturbs both; told are the least of many rounds, in microseconds a
request, and their ratio. `--only WORD` takes the rows whose name has it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import NamedTuple

import uvloop

from bench import traffic
from bench.micro import A_ROUND, PAUSE, Pair
from proxy.app.process import Process
from proxy.config.load import load
from proxy.config.values import Config
from proxy.ops.log import Log

WARM = 1000
"""Requests before the first is measured: strategies have tried every target by then."""
BODY = traffic.body("chat", traffic.PLAIN_MARK, size=700)


class Row(NamedTuple):
    """A configuration, and what its client sends. `limit`: of the ratio to `order`, as it was asked for."""

    name: str
    route: str
    """Of the route `chat`, besides its targets."""
    targets: int = 4
    more: str = ""
    """Other parts of the configuration, in lines of their own."""
    request: bytes = traffic.request(traffic.PATH, BODY)
    limit: float | None = None

    def config(self, path: Path) -> str:
        """As YAML. `path`: of the ledger."""
        prices = [f"{{input: {0.1 + 0.01 * place:.2f}, output: {0.4 + 0.04 * place:.2f}}}" for place in range(100)]
        targets = ", ".join(f"{{target: up/m{n}, price: {prices[n % 100]}}}" for n in range(self.targets))
        return f"""
ledger: {{path: {path}}}
backends: {{up: {{type: openai, base_url: "http://127.0.0.1:1/v1", api_key: bench}}}}
routes: {{chat: {{{self.route}{", " if self.route else ""}targets: [{targets}]}}}}
{self.more}
"""


SOME, MANY = 1.15, 1.25
ORDER = Row("order, 4 targets", "")
ROWS = (
    ORDER,
    Row("order, 100 targets", "", 100, limit=MANY),
    *(
        Row(f"{strategy}, 4 targets", f"strategy: {strategy}", limit=SOME)
        for strategy in ("weighted", "least_latency", "least_busy", "cheapest", "score", "ucb")
    ),
    Row("score and sticky, 4 targets", "strategy: score, sticky: true"),
    Row("score and a rule, 4 targets", "strategy: score, rules: [{when: {tokens: '>8000'}, use: cheapest}]"),
    *(
        Row(f"{strategy}, 100 targets", f"strategy: {strategy}", 100, limit=MANY)
        for strategy in ("weighted", "least_latency", "least_busy", "cheapest", "score", "ucb")
    ),
)


@contextlib.asynccontextmanager
async def pair_of(row: Row, directory: Path) -> AsyncIterator[Pair]:
    """Its two connections, ready."""
    config = load(row.config(directory / "ledger.db"), {}, "bench", str)
    assert isinstance(config, Config), str(config)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    log = Log(form="json", fd=nowhere)
    process = Process(config, {}, log, lambda: "the configuration is never loaded again")
    try:
        pair = Pair(process, row.request)
        await pair.begin()
        yield pair
    finally:
        await process.ledger.close()
        if process.state is not None:
            await process.state.close()
        log.close()
        os.close(nowhere)


class Told(NamedTuple):
    """Microseconds a request."""

    row: Row
    took: float
    order: float

    def line(self) -> str:
        ratio = self.took / self.order
        asked = "" if self.row.limit is None else f"  (asked: {self.row.limit:.2f})"
        return f"{self.row.name:<32} {self.took:7.1f} us  {ratio:5.2f} x order{asked}"


async def measure(rows: Iterable[Row], directory: Path, rounds: int, warm: int) -> AsyncIterator[Told]:
    """One after another, each beside `order`."""
    async with pair_of(ORDER, directory) as order:
        for row in rows:
            async with pair_of(row, directory) as pair:
                for _ in range(warm):
                    order.once()
                    pair.once()
                best = [1.0, 1.0]
                for turn in range(2 * rounds):
                    await asyncio.sleep(PAUSE)  # the ledger is written meanwhile, on a thread of its own
                    place = turn % 2
                    best[place] = min(best[place], sum((order if place else pair).round()))
                took, plain = (1e6 * each / A_ROUND for each in best)
                yield Told(row, took, plain)


async def tell(rows: Iterable[Row], rounds: int, warm: int) -> None:
    """Prints a line for each."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        async for told in measure(rows, Path(name), rounds, warm):
            print(told.line(), flush=True)


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(prog="python -m bench.choosing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="default: %(default)s, about four seconds a row")
    parser.add_argument("--warm", type=int, default=WARM, help="requests that are not measured, default: %(default)s")
    parser.add_argument("--only", default="", metavar="WORD", help="the rows whose name has it")
    args = parser.parse_args()
    uvloop.run(tell([row for row in ROWS if args.only in row.name], args.rounds, args.warm))


if __name__ == "__main__":
    main()
