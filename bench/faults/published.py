"""The sixteen scenarios of the failover benchmark published in September 2026, rebuilt from its description.

The primary misbehaves, the fallback is well; every system gets two retries, the client's patience and one fallback.
Where the description leaves something open, the harder reading is played; readings beyond the first stand beside it
under the same number (`S08/replay`), and a scenario is worth the worst of its readings.
"""

from __future__ import annotations

from typing import Any

from bench.faults import plays
from bench.faults.case import (
    FALLBACK,
    PRIMARY,
    Case,
    Make,
    Run,
    Stage,
    always,
    cut_at,
    cutting,
    once,
    saying,
    speaking,
)
from bench.faults.flapping import FLAPS
from bench.faults.profile import Profile
from bench.faults.speaker import Speaker, foreign
from bench.faults.verdict import Findings, answer, at_most, check, exactly, flaw, refused
from bench.faults.voice import Voice
from tests.upstream import Script
from tests.upstream_answers import error
from tests.upstream_faults import rate_limited
from tests.upstream_steps import Behaviour, Hang, Reset

PROMPT = 0.5
"""Seconds within which an answer that is over must be seen to be over."""
TOO_LONG = error(
    400,
    "This model's maximum context length is 4096 tokens. However, your messages resulted in 9001 tokens.",
    type_="invalid_request_error",
    code="context_length_exceeded",
    param="messages",
)
FILTERED = error(
    400,
    "The response was filtered due to the prompt triggering our content management policy.",
    type_="invalid_request_error",
    code="content_filter",
    param="prompt",
)


def _limited_once(profile: Profile, voice: Voice) -> Script:
    return [rate_limited({"retry-after": str(profile.retry_after)}), Speaker(voice)]


def stalling_once(profile: Profile, voice: Voice) -> Script:
    """Stops once in the middle of its answer, and then is well."""
    return [Speaker(voice, say=lambda *what: plays.stalling(profile, *what)), Speaker(voice)]


async def _waits(stage: Stage) -> Findings:
    heard = await stage.ask()
    found = answer(heard, stage.wanted(PRIMARY, FALLBACK)) + at_most("attempts", stage.asked(), 2)
    times = stage.times(stage.primary)
    if len(times) > 1:
        early = times[1] - times[0] < stage.profile.retry_after
        found += check(not early, f"back after {times[1] - times[0]:.2f} s of {stage.profile.retry_after}")
    return found + flaw(stage.fallback.asked > 0, "the fallback was asked, though the same target was ready in time")


async def _no_hammering(stage: Stage) -> Findings:
    wanted = stage.wanted(FALLBACK)
    found = answer(await stage.ask(), wanted) + answer(await stage.ask(), wanted)
    soon = sum(time < 3.0 for time in stage.times(stage.primary))
    return found + at_most("attempts in 3 s", soon, 4) + at_most("attempts", stage.asked(), 6)


async def _same_again(stage: Stage) -> Findings:
    found = answer(await stage.ask(), stage.wanted(PRIMARY, FALLBACK)) + at_most("attempts", stage.asked(), 2)
    return found + flaw(stage.fallback.asked > 0, "the fallback was asked instead of the same target again")


async def _at_most_six(stage: Stage) -> Findings:
    return answer(await stage.ask(), stage.wanted(FALLBACK)) + at_most("attempts", stage.asked(), 6)


async def _sdk_at_most_six(stage: Stage) -> Findings:
    return answer(await stage.ask_by_sdk(), stage.wanted(FALLBACK)) + at_most("attempts", stage.asked(), 6)


async def _one_timeout(stage: Stage) -> Findings:
    heard = await stage.ask()
    found = answer(heard, stage.wanted(FALLBACK)) + exactly("attempts at the primary", stage.primary.asked, 1)
    limit = stage.profile.first + (stage.profile.late - stage.profile.first) / 2
    return found + check(heard.first is None or heard.first < limit, f"the first content after {heard.first} s")


async def whole_after_cut(stage: Stage) -> Findings:
    """The whole answer by whichever means, within the bounds on attempts."""
    return _continued(stage, answer(await stage.ask(), stage.wanted(PRIMARY, FALLBACK, continued=True)))


async def _asked_in_words(stage: Stage) -> Findings:
    """As above, and the stream says that the seam may show."""
    found = await whole_after_cut(stage)
    said = [line for heard in stage.heard for _, line in heard.comments if "x-wayline-continued: ask" in line]
    return found + flaw(len(said) != 1, f"{len(said)} comments say that it was asked to go on")


async def _sdk_whole_after_cut(stage: Stage) -> Findings:
    return _continued(stage, answer(await stage.ask_by_sdk(), stage.wanted(PRIMARY, FALLBACK, continued=True)))


def _continued(stage: Stage, found: Findings) -> Findings:
    found += check(stage.primary.asked > 0, "the primary was never asked: nothing was shown")
    return found + at_most("attempts", stage.asked(), 6)


async def _stalls(stage: Stage) -> Findings:
    wanted = stage.wanted(PRIMARY, FALLBACK, continued=True)
    found = _continued(stage, answer(await stage.ask(), wanted))
    healthy = await stage.ask()
    found += answer(healthy, wanted)
    return found + check(healthy.elapsed < stage.profile.idle, f"a healthy call takes {healthy.elapsed:.1f} s after it")


async def _ends_at_once(stage: Stage) -> Findings:
    heard = await stage.ask()
    late = heard.elapsed - (heard.last_content or 0.0)
    found = answer(heard, stage.wanted(PRIMARY)) + exactly("attempts", stage.asked(), 1)
    return found + check(late < PROMPT, f"over {late:.1f} s after its last word")


async def _sdk_ends_at_once(stage: Stage) -> Findings:
    return answer(await stage.ask_by_sdk(), stage.wanted(PRIMARY)) + exactly("attempts", stage.asked(), 1)


async def _two_at_most(stage: Stage) -> Findings:
    found = answer(await stage.ask(), stage.wanted(FALLBACK)) + at_most("attempts", stage.asked(), 2)
    return found + exactly("attempts at the primary", stage.primary.asked, 1)


async def _both_too_long(stage: Stage) -> Findings:
    found = refused(await stage.ask(), 400, "context_length_exceeded") + at_most("attempts", stage.asked(), 2)
    return found + at_most("attempts at the primary", stage.primary.asked, 1)


async def _filtered(stage: Stage) -> Findings:
    return refused(await stage.ask(), 400, "content_filter") + exactly("attempts", stage.asked(), 1)


async def _sdk_filtered(stage: Stage) -> Findings:
    return refused(await stage.ask_by_sdk(), 400, "content_filter") + exactly("attempts", stage.asked(), 1)


async def _names(stage: Stage) -> Findings:
    found: Findings = []
    for stream in (True, False):
        heard = await stage.ask(stream=stream)
        found += answer(heard, stage.wanted(FALLBACK))
        target = heard.headers.get("x-wayline-target", "")
        found += flaw(not target.endswith(f"/{FALLBACK}"), f"x-wayline-target: {target}")
    return found


async def _sdk_names(stage: Stage) -> Findings:
    return answer(await stage.ask_by_sdk(), stage.wanted(FALLBACK))


CUT = cutting(cut_at(0.5))
BY_REPLAY = {"continue": {"by": ["replay"]}}
BY_ALL = {"continue": {"by": ["exact", "prefill", "replay", "ask"]}}


def _ask_too(profile: Profile) -> dict[str, Any]:
    """The route may also ask in words."""
    return BY_ALL


def _case(id_: str, title: str, run: Run, primary: Make, **more: Any) -> Case:
    return Case(id_, title, run, primary, **{"lane": "cuts" if run in CUTTING else "errors", **more})


CUTTING = (whole_after_cut, _asked_in_words, _sdk_whole_after_cut, _stalls)
OTHER_ANSWER = speaking(fresh=foreign, prefill=None)
"""Refuses prefill, and has an answer of its own when asked from the start: only words help."""

PUBLISHED: tuple[Case, ...] = (
    _case("S01", "429 with Retry-After, then well", _waits, _limited_once, lane="S01", seen_by="primary"),
    _case("S02", "429 without Retry-After, for ever", _no_hammering, always(rate_limited()), seen_by="primary"),
    _case("S03", "500 once, then well", _same_again, once(error(500)), lane="S03", seen_by="primary"),
    _case("S04", "503 for ever", _at_most_six, always(error(503))),
    _case("S04/sdk", "the same by the openai SDK with its own retries", _sdk_at_most_six, always(error(503))),
    _case("S05", "reset before headers", _at_most_six, always(Behaviour((Reset(),)))),
    _case("S06", "accepts and never answers", _one_timeout, always(Behaviour((Hang(),))), lane="slow"),
    _case("S07", "the first token too late", _one_timeout, saying(plays.late), lane="slow"),
    _case("S08", "cut in mid-answer", whole_after_cut, CUT),
    _case("S08/reset", "the same by RST", whole_after_cut, cutting(cut_at(0.3), how="reset")),
    _case("S08/clean", "the same, but as a proper end", whole_after_cut, cutting(cut_at(0.7), how="clean")),
    _case("S08/event", "the same inside an event", whole_after_cut, cutting(cut_at(0.4), how="in_event")),
    _case("S08/replay", "no target takes a partial answer", whole_after_cut, CUT, prefill=None),
    _case(
        "S08/ask", "nor says the same again", _asked_in_words, CUT, fallback=OTHER_ANSWER, prefill=None, route=_ask_too
    ),
    _case("S08/sdk", "by the openai SDK", _sdk_whole_after_cut, CUT),
    _case("S09", "stalls in mid-answer", _stalls, stalling_once, lane="slow"),
    _case("S10", "a word is garbled in mid-answer", whole_after_cut, saying(plays.garbled_word)),
    _case("S10/more", "garbage between two words", whole_after_cut, saying(plays.garbage_between)),
    _case("S10/chunk", "a chunk size that is no number", whole_after_cut, saying(plays.bad_framing)),
    _case("S11", "finish_reason and usage, but no [DONE]", _ends_at_once, saying(plays.without_done)),
    _case("S11/sdk", "by the openai SDK", _sdk_ends_at_once, saying(plays.without_done)),
    _case("S12", "context length exceeded", _two_at_most, always(TOO_LONG), seen_by="both upstreams"),
    _case("S12/both", "at both targets", _both_too_long, always(TOO_LONG), fallback=always(TOO_LONG)),
    _case("S13", "content-filter rejection", _filtered, always(FILTERED), seen_by="client, upstreams"),
    _case("S13/sdk", "by the openai SDK", _sdk_filtered, always(FILTERED), seen_by="client, upstreams"),
    _case("S14", "cut, and the fallback refuses prefill", whole_after_cut, CUT, fallback=speaking(prefill=None)),
    _case("S14/ask", "and has another answer", _asked_in_words, CUT, fallback=OTHER_ANSWER, route=_ask_too),
    *FLAPS,
    _case("S16", "names who served, with usage", _names, always(error(500))),
    _case("S16/sdk", "by the openai SDK", _sdk_names, always(error(502))),
)
