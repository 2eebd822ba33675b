"""What it costs to choose, against a plain request at a route in order: `python -m bench.choosing`

The same two connections as in `bench.micro`, and a process of its own for each row. A round of each row follows a round
of `order`, so that what disturbs the machine disturbs both; told is the mean of the quicker half of the rounds (the
least would leave out what is worked out anew every 50 ms), in microseconds a request, and its ratio to `order`'s. No
socket is part of it. `--only WORD` takes the rows whose name has it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from statistics import fmean
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
KEY = "0123456789"
KEYED = traffic.request(traffic.PATH, BODY).replace(
    b"\r\nAccept:", f"\r\nAuthorization: Bearer {KEY}\r\nAccept:".encode(), 1
)


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
    mixed: bool = False
    """Its requests are of all sizes."""

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


class Mixed(Pair):
    """Requests of 64 sizes, from 0.2 to 15 KB, one after another."""

    _requests = itertools.cycle(
        traffic.request(traffic.PATH, traffic.body("chat", traffic.PLAIN_MARK, size=int(200 * 1.07**place)))
        for place in range(64)
    )

    @property
    def request(self) -> bytes:
        return next(self._requests)

    @request.setter
    def request(self, _request: bytes) -> None: ...


def _keys(count: int, more: str = "") -> str:
    """So many, of which the bench has the last one. Answers have no bound here, so a usual one is reserved."""
    others = "".join(f'{{name: k{place}, key: "{place:020}"}}, ' for place in range(count - 1))
    return f'keys: [{others}{{name: a, key: "{KEY}"{more}}}]\nbudgets: {{unbounded: allow}}'


SOME, MANY = 1.15, 1.25
ORDER = Row("order, 4 targets", "")
ROWS = (
    ORDER,
    Row("one key, 4 targets", "", more=_keys(1), request=KEYED),
    Row("one key of 1,000, 4 targets", "", more=_keys(1000), request=KEYED),
    Row("a key with two budgets, 4 targets", "", more=_keys(1, ", budgets: [1000/day, 1000/month]"), request=KEYED),
    Row("order, 100 targets", "", 100, limit=MANY),
    Row(
        "order, limits and a queue",
        "limits: {rpm: 1000000, concurrency: 1000}",
        more="limits: {rpm: 1000000}\nqueue: {size: 100}",
        limit=SOME,
    ),
    *(
        Row(f"{strategy}, 4 targets", f"strategy: {strategy}", limit=SOME)
        for strategy in ("weighted", "least_latency", "least_busy", "cheapest", "score", "ucb")
    ),
    *(
        Row(f"{strategy}, all sizes, {many} targets", f"strategy: {strategy}", many, limit=limit, mixed=True)
        for strategy in ("least_latency", "score")
        for many, limit in ((4, SOME), (100, MANY))
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
        pair = (Mixed if row.mixed else Pair)(process, row.request)
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
    for row in rows:
        async with pair_of(ORDER._replace(mixed=row.mixed), directory) as order, pair_of(row, directory) as pair:
            for _ in range(warm):
                order.once()
                pair.once()
            took: tuple[list[float], list[float]] = ([], [])
            for turn in range(2 * rounds):
                await asyncio.sleep(PAUSE)  # the ledger is written meanwhile, on a thread of its own
                place = turn % 2
                took[place].append(sum((order if place else pair).round()))
            yield Told(row, *(1e6 / A_ROUND * fmean(sorted(each)[: max(rounds // 2, 1)]) for each in took))


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
