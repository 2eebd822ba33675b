"""The results, for a terminal, as JSON, and as a table for the documentation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from bench.faults.profile import Profile
from bench.faults.run import Played
from bench.faults.verdict import Verdict

SCENARIOS = 16
WORDS = {Verdict.PASS: "pass", Verdict.PARTIAL: "partial", Verdict.SAFE: "safe", Verdict.FAIL: "FAIL"}


def line(played: Played) -> str:
    """One case, for a terminal."""
    first = f"{played.case.id:<11} {WORDS[played.verdict]:<8} {played.took:5.1f} s  {_asked(played):<7} "
    why = "".join(f"\n{'':22}{finding.why}" for finding in played.findings)
    return f"{first}{played.case.title}{why}"


def _asked(played: Played) -> str:
    """Requests that came to primary and fallback."""
    return "{}+{}".format(*(len(times) for times in played.attempts.values()))


def scenarios(played: Sequence[Played]) -> dict[str, Verdict]:
    """Each of the published scenarios that was played, by its number: worth the worst of its readings."""
    found: dict[str, Verdict] = {}
    for each in played:
        number = each.case.id.partition("/")[0]
        if number.startswith("S"):
            found[number] = max(found.get(number, Verdict.PASS), each.verdict)
    return found


def summary(played: Sequence[Played]) -> str:
    """How many of what."""
    published = scenarios(played)
    passed = sum(verdict is Verdict.PASS for verdict in published.values())
    kinds = {word: sum(each.verdict is verdict for each in played) for verdict, word in WORDS.items()}
    counted = ", ".join(f"{count} {word.lower()}" for word, count in kinds.items())
    return f"published scenarios passed: {passed} of {len(published)}; of all {len(played)} readings: {counted}"


def as_json(played: Sequence[Played], profile: Profile, machine: dict[str, Any]) -> dict[str, Any]:
    """Everything, with the evidence."""
    return {
        "machine": machine,
        "profile": profile._asdict(),
        "published": {number: WORDS[verdict].lower() for number, verdict in scenarios(played).items()},
        "cases": [_evidence(each) for each in played],
    }


def _evidence(played: Played) -> dict[str, Any]:
    return {
        "id": played.case.id,
        "title": played.case.title,
        "verdict": WORDS[played.verdict].lower(),
        "findings": [[WORDS[each.verdict].lower(), each.why] for each in played.findings],
        "took": round(played.took, 3),
        "attempts": played.attempts,
        "heard": [_call(each) for each in played.heard],
        "ledger": list(played.rows),
    }


def _call(heard: Any) -> dict[str, Any]:
    told = dataclasses.asdict(heard)
    del told["began"]
    told["characters"] = len(heard.text)
    if len(heard.text) > 2000:
        told["text"] = f"{heard.text[:1000]} … {heard.text[-1000:]}"
    told["text"] = told["text"].encode("utf-8", "backslashreplace").decode()
    told["usages"] = told["usages"][-1:]
    return told


PAGE = """# When upstreams misbehave

`make faults` starts a real `wayline serve`, puts scripted upstreams behind it, and plays the sixteen scenarios of the
failover benchmark published in September 2026, rebuilt from its description, and Wayline's own beyond them. The primary
misbehaves, the fallback is well; every system has two retries, 30 s of patience and one fallback. `make faults` plays
with real times; `make faults ARGS="--profile quick"` plays the same scenarios scaled down, in less than a minute.

A whole answer is a *pass* (each character once, one id, one role, one finish_reason, right usage), an answer with a
flaw is *partial*, a clean error in time is *safe*; a hang, a cut answer presented as a success, or more attempts than
allowed *fails*. Where the description leaves something open, the harder reading is played; what has a name after a
slash is a further reading of the same scenario.

{date}, Python {python}, {cores} cores, profile `{profile}`:
{summary}.

## The published scenarios

{published}

Other gateways, by the published failover benchmark of September 2026: the best passes 11 of 16; all of them deliver an
empty answer as a success; none continues a stream that was cut. They were not run here.

## Wayline's own

{own}

Attempts are the requests that the primary and the fallback got, over all calls of the scenario. This page is written by
`make faults ARGS="--page docs/faults.md"`.
"""


def page(played: Sequence[Played], profile: Profile, machine: dict[str, Any]) -> str:
    """The documentation's page."""
    published = [each for each in played if each.case.id.startswith("S")]
    own = [each for each in played if not each.case.id.startswith("S")]
    return PAGE.format(
        date=machine["date"][:10],
        python=machine["python"],
        cores=machine["cores"],
        profile=profile.name,
        summary=summary(played),
        published=_table(published),
        own=_table(own),
    )


def _table(played: Sequence[Played]) -> str:
    lines = ["| | scenario | seen by | verdict | attempts |", "|---|---|---|---|---|"]
    for each in played:
        verdict = WORDS[each.verdict] + "".join(f"; {finding.why}" for finding in each.findings)
        case = each.case
        lines.append(f"| {case.id} | {case.title} | {case.seen_by} | {_cell(verdict)} | {_asked(each)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:300]
