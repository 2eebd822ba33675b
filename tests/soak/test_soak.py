"""A day's worth of requests in minutes, with faults drawn from a seed: nothing lost, mixed or leaked, and exact books.

`WAYLINE_SOAK_SECONDS` (default 180) and `WAYLINE_SOAK_SEED` (default: the date) say how long and which.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
from collections import Counter
from pathlib import Path

import pytest
import uvloop

from tests.soak.backends import Faulty
from tests.soak.crowd import Crowd
from tests.soak.serving import Held, Serving, serving
from tests.upstream_steps import Tokens

SECONDS = float(os.environ.get("WAYLINE_SOAK_SECONDS", "180"))
SEED = os.environ.get("WAYLINE_SOAK_SEED", datetime.datetime.now(datetime.UTC).date().isoformat())
CLIENTS = 32
MIB = 2**20
SPARE = 4
"""Sockets that a quiet process may hold beside its pool: the one that listens, the loop's own pair, one to spare."""


class Soak:
    """One soak and what was seen of it."""

    def __init__(self) -> None:
        self.backends = {
            "a": Faulty("a", SEED, early=0.08, late=0.03),
            "b": Faulty("b", SEED, early=0.04, late=0.02),
            "c": Faulty("c", SEED, early=0.0, late=0.02),
        }
        self.crowds: list[Crowd] = []
        self.holds: list[Held] = []

    async def run(self, directory: Path, seconds: float) -> Serving:
        """Three stretches: warm up; the first backend dies and comes back; the rest. Memory is read between them."""
        async with contextlib.AsyncExitStack() as stack:
            first, *others = self.backends.values()
            await first.up.__aenter__()
            for each in others:
                await stack.enter_async_context(each.up)
            urls = {name: each.up.base_url for name, each in self.backends.items()}
            run = await stack.enter_async_context(serving(directory, urls))
            try:
                await self._stretch(run, 0.2 * seconds)
                await first.up.__aexit__(None, None, None)
                await self._stretch(run, 0.1 * seconds)
            finally:
                await first.up.__aenter__()
                stack.push_async_exit(first.up.__aexit__)
            await self._stretch(run, 0.35 * seconds)
            await self._stretch(run, 0.35 * seconds)
            assert run.end() in {0, 143, -15}
        return run

    @property
    def wrong(self) -> list[str]:
        """What must not be."""
        return [each for crowd in self.crowds for each in crowd.wrong]

    @property
    def ends(self) -> Counter[str]:
        """How requests ended."""
        return sum((crowd.ends for crowd in self.crowds), Counter())

    def ids(self, ended: str) -> set[int]:
        """The requests that ended so: `told` or `left`."""
        return {id_ for crowd in self.crowds for id_ in (crowd.told if ended == "told" else crowd.left)}

    @property
    def cut(self) -> set[int]:
        """The requests whose streams a backend broke off after content."""
        return {id_ for each in self.backends.values() for id_ in each.cut}

    @property
    def tokens(self) -> Tokens:
        """What the backends said they used."""
        return sum((each.up.tokens for each in self.backends.values()), Tokens())

    @property
    def asked(self) -> int:
        """Requests that reached a backend."""
        return sum(each.up.asked for each in self.backends.values())

    def summary(self) -> str:
        """For whoever runs it by hand."""
        faults = sum((each.played for each in self.backends.values()), Counter())
        slowest = max(crowd.slowest for crowd in self.crowds)
        calls = f"{dict(self.ends)}, {self.asked} calls, {self.tokens}, slowest {slowest:.1f} s"
        return f"{calls}, {self.holds}, {dict(faults)}"

    async def _stretch(self, run: Serving, seconds: float) -> None:
        crowd = Crowd(run.port, f"{SEED} {len(self.crowds)}", CLIENTS, first=1 + len(self.crowds) * 10_000_000)
        self.crowds.append(crowd)
        await crowd.run(seconds)
        self.holds.append(await self._quiet(run))

    async def _quiet(self, run: Serving) -> Held:
        """What it holds when all is over: its sockets to backends do not count, they are its pool."""
        held = run.held()
        for _ in range(50):
            pooled = sum(each.up.open for each in self.backends.values())
            held = Held(run.held().sockets - pooled, run.held().memory)
            if held.sockets <= SPARE:
                break
            await asyncio.sleep(0.1)
        return held


@pytest.mark.slow
def test_nothing_is_lost_mixed_or_leaked_and_the_books_are_exact(tmp_path: Path) -> None:
    soak = Soak()
    run = uvloop.run(soak.run(tmp_path, SECONDS))
    print(soak.summary())
    assert not soak.wrong, f"seed {SEED}: {soak.wrong}"
    assert soak.ids("told") == soak.cut - soak.ids("left")
    assert soak.ends["whole"] > 20 * SECONDS
    assert all(each.played for each in soak.backends.values())
    assert "Traceback" not in run.log()
    booked, rows = run.booked()
    assert booked == soak.tokens
    assert rows >= soak.asked
    assert all(held.sockets <= SPARE for held in soak.holds), soak.holds
    assert soak.holds[-1].memory - soak.holds[-2].memory < 6 * MIB, soak.holds
