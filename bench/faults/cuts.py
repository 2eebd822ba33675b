"""Wayline's own scenarios after content: an answer is cut, and goes on as one; or the truth is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from bench.faults import gateway, plays
from bench.faults.caller import Ways
from bench.faults.case import FALLBACK, PRIMARY, Case, Make, Run, Stage, cut_at, cutting, saying, speaking
from bench.faults.profile import Profile
from bench.faults.published import whole_after_cut
from bench.faults.speaker import Speaker, foreign, preamble, repeats
from bench.faults.story import LONG, arguments, story
from bench.faults.verdict import Finding, Findings, Verdict, answer, at_most, check, truth
from bench.faults.voice import Voice
from bench.gateways import find_program
from tests.upstream import Script
from tests.upstream_steps import Pause

TOGETHER = 8
"""Streams at the same time."""
SLOW = 1.0
"""Seconds in which a slow client reads nothing."""
LIMIT = 256
"""The most tokens that a tool call's request asks for."""
TOOLS = [{"type": "function", "function": {"name": "play_the_story", "parameters": {"type": "object"}}}]


async def _told_or_whole(stage: Stage) -> Findings:
    """No honest way to go on may be left: then the truth, and nothing of the wrong text."""
    heard = await stage.ask()
    wanted = stage.wanted(PRIMARY, FALLBACK, continued=True)
    found = truth(heard, wanted.text) if heard.errors else answer(heard, wanted)
    return found + at_most("attempts", stage.asked(), 6)


async def _seam_may_show(stage: Stage) -> Findings:
    """Asked in words: what is added is a flaw, as long as every character of the answer is there."""
    heard = await stage.ask()
    wanted = stage.wanted(PRIMARY, FALLBACK, continued=True)
    if heard.errors:
        return truth(heard, wanted.text)
    found = answer(heard, wanted)
    rest = wanted.text[cut_at(0.5) :]
    whole = heard.text.startswith(wanted.text[: cut_at(0.5)]) and heard.text.endswith(rest)
    if any(each.verdict is Verdict.FAIL for each in found) and whole and heard.finishes == ["stop"]:
        return [Finding(Verdict.PARTIAL, f"{len(heard.text) - len(wanted.text)} characters too many at the seam")]
    return found


async def _again_the_same(stage: Stage) -> Findings:
    """A request whose answer is the same each time, so that its own target may be asked again."""
    heard = await stage.ask(temperature=0)
    return answer(heard, stage.wanted(PRIMARY, FALLBACK, continued=True)) + at_most("attempts", stage.asked(), 6)


async def _tool_call(stage: Stage) -> Findings:
    """Whole arguments, or the truth; never a cut call as a success."""
    heard = await stage.ask(tools=TOOLS, max_tokens=LIMIT)
    if not heard.errors:
        return answer(heard, stage.wanted_call(PRIMARY, FALLBACK))
    said = [call["arguments"] for call in heard.calls.values()]
    beginning = all(arguments(0).startswith(each) for each in said)
    return truth(heard, "") + check(beginning, f"wrong arguments before the error: {said}")


async def _tool_call_whole(stage: Stage) -> Findings:
    heard = await stage.ask(tools=TOOLS, max_tokens=LIMIT)
    return answer(heard, stage.wanted_call(PRIMARY, FALLBACK))


async def _never_mixed(stage: Stage) -> Findings:
    heard = await asyncio.gather(*(stage.ask(n) for n in range(TOGETHER)))
    found: Findings = []
    for n, each in enumerate(heard):
        found += answer(each, stage.wanted(PRIMARY, FALLBACK, n=n, continued=True))
    return found


async def _slow_reader(stage: Stage) -> Findings:
    heard = await stage.ask(LONG, ways=Ways(pause=SLOW))
    found = answer(heard, stage.wanted(PRIMARY, FALLBACK, n=LONG, continued=True))
    over = [row["last"] for row in stage.rows()]
    return found + check(bool(over) and over[0] >= SLOW, f"the primary did not have to wait: attempts ended at {over}")


async def _uncut(stage: Stage) -> Findings:
    return answer(await stage.ask(), stage.wanted(PRIMARY, FALLBACK, continued=True))


async def _through_nginx(stage: Stage) -> Findings:
    async with gateway.nginx(stage.port, stage.profile.proxy, stage.directory) as port:
        heard = await stage.ask(port=port)
    found = answer(heard, stage.wanted(PRIMARY)) + at_most("attempts", stage.asked(), 1)
    return found + check(bool(heard.comments), "no keep-alive comment came")


def _silent(profile: Profile, voice: Voice) -> Script:
    """Nothing at all for longer than the nginx in front waits."""

    def late(voice: Voice, text: str, count: Any) -> Any:
        return voice.stream(text, count).after(Pause(profile.proxy * 1.7))

    return Speaker(voice, say=late)


def _patient(profile: Profile) -> dict[str, Any]:
    times = {"first": profile.proxy * 3, "idle": profile.proxy * 3}
    return {"keep_alive": round(profile.proxy * 0.4, 2), "timeouts": times}


def _replay_only(profile: Profile) -> dict[str, Any]:
    return {"continue": {"by": ["replay"]}}


def _ask_only(profile: Profile) -> dict[str, Any]:
    return {"continue": {"by": ["ask"]}}


def _hold_tools(profile: Profile) -> dict[str, Any]:
    return {"hold": "tools"}


def _hold_all(profile: Profile) -> dict[str, Any]:
    return {"on_cut": "hold"}


def _error_only(profile: Profile) -> dict[str, Any]:
    return {"on_cut": "error"}


async def _told_at_once(stage: Stage) -> Findings:
    """`on_cut: error`: the truth with what was received and the request's id, and no further attempt."""
    heard = await stage.ask()
    found = truth(heard, story(0)) + at_most("attempts", stage.asked(), 1)
    error = heard.errors[0] if heard.errors else {}
    told = error.get("received_chars", (error.get("details") or {}).get("received_chars"))
    found += check(told == len(heard.text), f"received_chars {told} instead of {len(heard.text)}")
    right = error.get("request_id") == heard.headers.get("x-wayline-request-id") is not None
    return found + check(right, f"request_id {error.get('request_id')}")


def _cutting_calls(at: int) -> Make:
    return lambda profile, voice: Speaker(voice, cuts=(at,), call_id="call_of_primary")


def _padded(cut: int | None) -> Make:
    """So many bytes that a client which does not read holds its backend up."""
    return lambda profile, voice: Speaker(replace(voice, padding=4000), cuts=(cut,))


def _up_to(mark: str) -> int:
    """Characters of story 0 up to and with the mark."""
    return story(0).index(mark) + len(mark)


def _case(id_: str, title: str, primary: Make, run: Run = whole_after_cut, **more: Any) -> Case:
    return Case(id_, title, run, primary, **{"lane": "cuts", **more})


END = len(story(0))
CUT = cutting(cut_at(0.5))
IN_SENTENCE = cutting(_up_to("the captain that the lighthouse"))
IN_CALL = _cutting_calls(len(arguments(0)) // 2)
OWN_CALL = speaking(call_id="call_of_fallback")
REPLAY: dict[str, Any] = {"prefill": None, "route": _replay_only}
ASK: dict[str, Any] = {"prefill": None, "route": _ask_only}

CUTS: tuple[Case, ...] = (
    _case("C01", "cut inside a tool call's arguments", IN_CALL, _tool_call, fallback=OWN_CALL),
    _case("C01/early", "the same near its beginning", _cutting_calls(60), _tool_call_whole, fallback=OWN_CALL),
    _case("C01/hold", "the same with hold: tools", IN_CALL, _tool_call_whole, fallback=OWN_CALL, route=_hold_tools),
    _case("C02", "eight streams at once, never mixed", cutting(*range(60, 400, 41)), _never_mixed),
    _case("C02/replay", "the same by replay", cutting(*range(60, 400, 41)), _never_mixed, **REPLAY),
    _case("C03", "cut twice", CUT, fallback=cutting(80, None)),
    _case("C03/replay", "the same by replay", CUT, _again_the_same, fallback=cutting(cut_at(0.7), None), **REPLAY),
    _case("C04", "cut between two bytes of a character", saying(plays.in_bytes_of("東"))),
    _case("C04/after", "cut right after such a character", cutting(_up_to("東"))),
    _case("C05", "cut before an emoji's joiner", cutting(_up_to("👩"))),
    _case("C05/after", "cut after an emoji's joiner", cutting(_up_to("👩\u200d"))),
    _case("C05/replay", "the same by replay", cutting(_up_to("👩\u200d")), **REPLAY),
    _case("C06", "cut between the escapes of a surrogate pair", saying(plays.in_escape)),
    _case("C06/half", "cut after an event with half of one", saying(plays.after_half_escape)),
    _case("C06/uncut", "halves of one in two events, not cut", saying(plays.split_escape), _uncut),
    _case("C07", "the last sentence comes again", IN_SENTENCE, fallback=speaking(prefill=repeats)),
    _case(
        "C07/end", "the same, cut at its end", cutting(_up_to("after the other.")), fallback=speaking(prefill=repeats)
    ),
    _case("C07/cjk", "the same without spaces", cutting(_up_to("歌いながら")), fallback=speaking(prefill=repeats)),
    _case("C07/ask", "the same when asked in words", IN_SENTENCE, fallback=speaking(ask=repeats), **ASK),
    _case("C08", "the replay begins with a preamble", CUT, _told_or_whole, fallback=speaking(fresh=preamble), **REPLAY),
    _case("C08/ask", "the same when asked in words", CUT, _seam_may_show, fallback=speaking(ask=preamble), **ASK),
    _case("C09", "the replay is in another language", CUT, _told_or_whole, fallback=speaking(fresh=foreign), **REPLAY),
    _case("C10", "cut after the last word", cutting(END)),
    _case("C10/replay", "the same by replay", cutting(END), **REPLAY),
    _case("C10/clean", "the same as a proper end", cutting(END, how="clean")),
    _case(
        "C11",
        "cut while the client is slow",
        _padded(len(story(LONG)) // 2),
        _slow_reader,
        fallback=_padded(None),
        lane="alone",
    ),
    _case("C12", "an error event in mid-answer", saying(plays.error_in_middle)),
    _case("C13", "cut, and held until it is whole", CUT, _uncut, route=_hold_all),
    _case("C14", "cut, and told at once", CUT, _told_at_once, route=_error_only),
    *(
        [_case("C15", "nothing for long, behind nginx", _silent, _through_nginx, route=_patient, lane="nginx")]
        if find_program("nginx")
        else []
    ),
)
