"""Wayline's own scenarios before content: what must go elsewhere silently, and who must see what."""

from __future__ import annotations

import asyncio
import statistics
import time
from email.utils import formatdate
from typing import Any

from bench.faults import plays
from bench.faults.case import FALLBACK, PRIMARY, Case, Make, Run, Stage, always, saying, speaking
from bench.faults.gateway import PATIENCE
from bench.faults.leaving import last_row
from bench.faults.profile import Profile
from bench.faults.speaker import Speaker
from bench.faults.verdict import Findings, answer, at_most, check, exactly, flaw
from bench.faults.voice import Voice
from tests.upstream import Request, Script
from tests.upstream_answers import error, error_after, plain
from tests.upstream_faults import rate_limited
from tests.upstream_steps import Behaviour, Reset

CALLS, CONNECTIONS, ADDED = 30, 15, 0.005


async def healthy(stage: Stage) -> Findings:
    """A healthy primary answers alone."""
    found = answer(await stage.ask(), stage.wanted(PRIMARY)) + answer(
        await stage.ask(stream=False), stage.wanted(PRIMARY)
    )
    return found + exactly("attempts", stage.asked(), 2)


async def silently_elsewhere(stage: Stage) -> Findings:
    """The client gets the fallback's whole answer and learns of nothing."""
    found = answer(await stage.ask(), stage.wanted(FALLBACK)) + at_most("attempts", stage.asked(), 6)
    return found + check(stage.primary.asked > 0, "the primary was never asked: nothing was shown")


async def _json_for_stream(stage: Stage) -> Findings:
    found = answer(await stage.ask(), stage.wanted(PRIMARY, FALLBACK))
    return found + at_most("attempts", stage.asked(), 6)


async def _key_refused(stage: Stage) -> Findings:
    found = answer(await stage.ask(), stage.wanted(FALLBACK)) + answer(await stage.ask(), stage.wanted(FALLBACK))
    return found + exactly("attempts at the primary in two calls", stage.primary.asked, 1)


def _limited_by_date(skew: float | None) -> Make:
    """Once a 429 with a date; the upstream's own clock is wrong by `skew` seconds, or it tells no time at all."""

    def make(profile: Profile, voice: Voice) -> Script:
        def answers(request: Request, n: int) -> Behaviour:
            now = time.time() + (skew or 0.0)
            date = {} if skew is None else {"date": formatdate(now, usegmt=True)}
            return rate_limited({"retry-after": formatdate(now + profile.away, usegmt=True), **date})

        return [answers, Speaker(voice)]

    return make


async def _stays_away(stage: Stage) -> Findings:
    profile = stage.profile
    wanted = stage.wanted(FALLBACK)
    first = await stage.ask()
    found = answer(first, wanted) + check(first.elapsed < PATIENCE / 2, f"left only after {first.elapsed:.1f} s")
    told = stage.primary.requests[0].time
    until = told + profile.away - 1.0  # an HTTP date has no fractions: it may be up to a second early
    while time.monotonic() < until - profile.every:
        found += answer(await stage.ask(), wanted)
        await asyncio.sleep(profile.every)
    found += exactly("attempts at the primary before the date", stage.primary.asked, 1)
    await asyncio.sleep(told + profile.away + 0.5 - time.monotonic())
    return found + answer(await stage.ask(), stage.wanted(PRIMARY))


async def _not_followed(stage: Stage) -> Findings:
    found = answer(await stage.ask(), stage.wanted(FALLBACK))
    return found + exactly("connections to the other origin", len(stage.elsewhere.connections), 0)


async def _counted(stage: Stage) -> Findings:
    heard = await stage.ask()
    return answer(heard, stage.wanted(PRIMARY)) + exactly("attempts", stage.asked(), 1) + await _booked(stage)


async def _booked(stage: Stage) -> Findings:
    row = await last_row(stage)
    told = None if row is None else (row["usage_source"], row["input"], row["output"])
    right = ("reported", *stage.wanted(PRIMARY).tokens)
    return check(told == right, f"the ledger says {told} instead of {right}")


async def _in_ledger(stage: Stage) -> Findings:
    """Where a client cannot find it, the ledger has it all the same."""
    await stage.ask()
    return await _booked(stage)


async def _whole_in_time(stage: Stage) -> Findings:
    heard = await stage.ask()
    late = heard.elapsed - (heard.last_content or 0.0)
    found = answer(heard, stage.wanted(PRIMARY)) + exactly("attempts", stage.asked(), 1)
    found += check(late < stage.profile.idle + 3.0, f"over {late:.1f} s after its last word")
    return found + flaw(late > 1.0, f"over {late:.1f} s after its last word, though finish_reason and usage had come")


async def _dead_first(stage: Stage) -> Findings:
    found: Findings = []
    took: dict[bool, list[float]] = {True: [], False: []}
    await stage.ask(alone=True)
    for _ in range(CALLS):
        for alone in (True, False):
            heard = await stage.ask(alone=alone)
            found += answer(heard, stage.wanted(FALLBACK))
            took[alone].append(heard.elapsed)
    found += at_most(f"connection attempts in {CALLS} requests", len(stage.primary.connections), CONNECTIONS)
    added = statistics.median(took[False]) - statistics.median(took[True])
    return found + check(added < ADDED, f"p50 is {added * 1000:.1f} ms above that of no dead target")


def _redirecting(profile: Profile, voice: Voice) -> Script:
    return plain(b"", 307, headers={"location": f"{voice.other}/chat/completions"})


def _case(id_: str, title: str, primary: Make, run: Run = silently_elsewhere, **more: Any) -> Case:
    return Case(id_, title, run, primary, **more)


HTML = plain(b"<html><body><h1>It works!</h1></body></html>", content_type="text/html")
RESETS = Behaviour((Reset(),), at="connect")  # as good as refused, and the tries can be counted
UNKNOWN_KEY = error(401, "Incorrect API key provided: bench.", type_="invalid_request_error", code="invalid_api_key")
PRIMARY_TOO = {"seen_by": "client, primary"}
ROWS = {"seen_by": "client, ledger"}

BEYOND: tuple[Case, ...] = (
    _case("E01", "nothing is wrong", speaking(), healthy, seen_by="client, both upstreams"),
    _case("E02", "role chunk, then an error", saying(plays.role_then_error)),
    _case("E03", "the first event is an error", always(error_after(None))),
    _case("E04", "empty answer", saying(plays.empty_answer)),
    _case("E04/blank", "nothing but white space", saying(plays.blank_answer)),
    _case("E04/cut", "white space, and then cut", saying(plays.blank_and_cut)),
    _case("E05", "HTML with 200", always(HTML)),
    _case("E06", "JSON where a stream was asked", saying(plays.no_stream), _json_for_stream),
    _case("E07", "401 at the first target", always(UNKNOWN_KEY), _key_refused, seen_by="client, primary"),
    _case("E08", "Retry-After as a date", _limited_by_date(0.0), _stays_away, lane="E08", **PRIMARY_TOO),
    _case("E08/skew", "its clock is an hour slow", _limited_by_date(-3600.0), _stays_away, lane="skew", **PRIMARY_TOO),
    _case("E08/alone", "it sends no date header", _limited_by_date(None), _stays_away, lane="dateless", **PRIMARY_TOO),
    _case("E09", "307 to another origin", _redirecting, _not_followed, seen_by="the other origin"),
    _case("E12", "usage on every chunk", saying(plays.usage_everywhere), _counted, **ROWS),
    _case("E12/finish", "usage with the finish_reason", saying(plays.usage_with_finish), _counted, **ROWS),
    _case("E12/before", "usage before the finish_reason", saying(plays.usage_before_finish), _counted, **ROWS),
    _case("E12/choice", "usage after it, with a choice", saying(plays.usage_with_empty_choice), _counted, **ROWS),
    _case("E12/x_groq", "usage under x_groq only", saying(plays.x_groq), _in_ledger, seen_by="ledger"),
    _case("E13", "a dead first target, 30 requests", always(RESETS), _dead_first, lane="alone", seen_by="both"),
    _case("E14", "over, but never closed", saying(plays.never_closed), _whole_in_time, lane="slow"),
)
