"""S15: the primary is down for a while and comes back, under a request every few moments.

When a circuit probes is spread at random, so that once says little: there are three ways of being down, each by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

from bench.faults.case import FALLBACK, PRIMARY, Case, Stage, speaking
from bench.faults.verdict import Findings, answer, at_most, check, fail
from tests.upstream import Script, Upstream
from tests.upstream_answers import error
from tests.upstream_steps import Behaviour, Reset

PACE = 1.0
"""Seconds at most between two requests once the primary is well again."""


@contextlib.asynccontextmanager
async def _instead(stage: Stage, script: Script | None) -> AsyncIterator[Callable[[], int]]:
    """The primary is gone, and on its port plays a script, or nobody listens; gives how often it was tried."""
    await stage.primary.__aexit__(None, None, None)
    kept = socket.socket()
    try:
        # Bound but not listening: it refuses, and nobody else gets the port (SO_REUSEADDR, see socket(7)) but us.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", stage.primary.port))
        if script is None:
            yield lambda: sum(row["target"].endswith(PRIMARY) and row["ended"] == "failed" for row in stage.rows())
            return
        other = Upstream(script)
        other.port = stage.primary.port
        async with other:
            yield lambda: max(len(other.connections), other.asked)
    finally:
        kept.close()
        await stage.primary.__aenter__()


def _down_by(script: Script | None) -> Callable[[Stage], Awaitable[Findings]]:
    async def run(stage: Stage) -> Findings:
        found = answer(await stage.ask(), stage.wanted(PRIMARY))
        async with _instead(stage, script) as tried:
            calls = round(stage.profile.down / stage.profile.every)
            for _ in range(calls):
                found += answer(await stage.ask(), stage.wanted(PRIMARY, FALLBACK))
                await asyncio.sleep(stage.profile.every)
            found += at_most(f"tries in {calls} requests while it is down", tried(), calls)
            found += check(tried() > 0, "it was never tried while it was down: nothing was shown")
        return found + await _back(stage)

    return run


async def _back(stage: Stage) -> Findings:
    """Every call is answered, and the primary serves again in time."""
    clock = asyncio.get_running_loop().time
    found: Findings = []
    began = clock()
    while clock() - began <= stage.profile.back:
        heard = await stage.ask()
        found += answer(heard, stage.wanted(PRIMARY, FALLBACK))
        if PRIMARY in heard.models:
            return found
        await asyncio.sleep(min(stage.profile.every, PACE))
    return found + fail(f"not back on the primary {clock() - began:.0f} s after its recovery")


def _case(id_: str, title: str, script: Script | None) -> Case:
    return Case(id_, title, _down_by(script), speaking(), seen_by="client, primary", lane=id_.replace("/", "-"))


FLAPS = (
    _case("S15", "the primary flaps", Behaviour((Reset(),), at="connect")),
    _case("S15/503", "the same with 503 meanwhile", error(503)),
    _case("S15/refused", "the same with nobody listening", None),
)
