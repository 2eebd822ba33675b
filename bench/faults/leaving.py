"""Wayline's own scenarios of attempts that nobody needs any more: the caller left, or another one was faster."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from bench.faults import plays
from bench.faults.caller import Ways
from bench.faults.case import FALLBACK, PRIMARY, Case, Make, Run, Stage, always, cut_at, cutting, saying, speaking
from bench.faults.profile import Profile
from bench.faults.speaker import Speaker
from bench.faults.verdict import Findings, answer, check, exactly, fail, flaw
from bench.faults.voice import Voice
from tests.upstream import Script, Upstream
from tests.upstream_steps import Behaviour, Hang

GONE = 0.25
"""Seconds within which an upstream must see its connection closed."""
SOON = 0.3
"""Seconds after which a second target starts, or a caller leaves."""


async def _before_first_byte(stage: Stage) -> Findings:
    heard = await stage.ask(ways=Ways(leave_at=SOON))
    found = await _closed(stage.primary, heard.began + heard.elapsed) + exactly("attempts", stage.asked(), 1)
    return found + await _booked(stage, said=False)


async def _in_middle(stage: Stage) -> Findings:
    heard = await stage.ask(ways=Ways(leave_after=40))
    found = await _closed(stage.primary, heard.began + heard.elapsed) + exactly("attempts", stage.asked(), 1)
    return found + await _booked(stage, said=True)


async def _in_hold(stage: Stage) -> Findings:
    heard = await stage.ask(ways=Ways(leave_at=SOON))
    found = check(not heard.text, "it was not held") + exactly("attempts", stage.asked(), 1)
    return found + await _closed(stage.primary, heard.began + heard.elapsed) + await _booked(stage, said=True)


async def _in_continuation(stage: Stage) -> Findings:
    heard = await stage.ask(ways=Ways(leave_after=cut_at(0.5) + 40))
    found = await _closed(stage.fallback, heard.began + heard.elapsed) + exactly("attempts", stage.asked(), 2)
    return found + await _booked(stage, said=True)


async def _hedged(stage: Stage) -> Findings:
    heard = await stage.ask()
    found = answer(heard, stage.wanted(FALLBACK)) + exactly("attempts", stage.asked(), 2)
    if heard.first is None:
        return found
    found += check(heard.first < stage.profile.first, f"the first content after {heard.first:.2f} s")
    found += await _closed(stage.primary, heard.began + heard.first)
    ended = {row["target"].rpartition("/")[2]: row["ended"] for row in await _rows(stage, 2)}
    return found + check(ended == {PRIMARY: "cancelled", FALLBACK: "served"}, f"the ledger says {ended}")


async def _not_hedged(stage: Stage) -> Findings:
    return answer(await stage.ask(), stage.wanted(PRIMARY)) + exactly("attempts", stage.asked(), 1)


async def _closed(up: Upstream, since: float) -> Findings:
    """The upstream's first connection was closed by the gateway in time."""
    try:
        connection = await up.closed(0, within=5.0)
    except TimeoutError:
        return fail("the upstream's connection is open 5 s later")
    took = (connection.closed or 0.0) - since
    return check(took < GONE, f"the upstream saw it {took * 1000:.0f} ms later")


async def _booked(stage: Stage, *, said: bool) -> Findings:
    """The ledger tells of a cancelled attempt, with an estimate where something came."""
    row = await last_row(stage)
    if row is None:
        return fail("no row in the ledger")
    found = check(row["ended"] == "cancelled", f"the ledger says {row['ended']}")
    if said:
        estimated = row["usage_source"] == "estimated" and row["input"] and row["output"]
        told = f"{row['usage_source']}, {row['input']} in, {row['output']} out"
        found += flaw(not estimated, f"usage of the cancelled attempt: {told}")
    return found


async def last_row(stage: Stage) -> dict[str, Any] | None:
    """The ledger's row of the last attempt, as soon as each has one."""
    rows = await _rows(stage, stage.asked())
    return rows[-1] if rows else None


async def _rows(stage: Stage, count: int) -> list[dict[str, Any]]:
    for _ in range(100):
        if len(rows := stage.rows()) >= count:
            return rows
        await asyncio.sleep(0.05)
    return stage.rows()


def _slow_words(profile: Profile, voice: Voice) -> Script:
    return Speaker(replace(voice, every=0.02))


def _hedge(profile: Profile) -> dict[str, Any]:
    return {"hedge": {"after": SOON, "max": 1, "budget": 1}}


def _hold(profile: Profile) -> dict[str, Any]:
    return {"on_cut": "hold"}


def _case(id_: str, title: str, primary: Make, run: Run, seen_by: str, **more: Any) -> Case:
    return Case(id_, title, run, primary, **{"lane": "alone", "seen_by": seen_by, **more})


HANGS = always(Behaviour((Hang(),)))
CUT = cutting(cut_at(0.5))

LEAVING: tuple[Case, ...] = (
    _case("L01", "caller leaves before the first byte", HANGS, _before_first_byte, "primary, ledger"),
    _case("L02", "caller leaves in mid-stream", _slow_words, _in_middle, "primary, ledger"),
    _case("L03", "caller leaves what is held", _slow_words, _in_hold, "primary, ledger", route=_hold),
    _case("L04", "caller leaves a continuation", CUT, _in_continuation, "fallback, ledger", fallback=_slow_words),
    _case("L05", "hedged: the second is faster", saying(plays.late), _hedged, "client, primary, ledger", route=_hedge),
    _case("L05/fast", "the first is fast enough", speaking(), _not_hedged, "both upstreams", route=_hedge),
)
