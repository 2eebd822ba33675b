"""What an answer is worth: whole, flawed, honestly refused, or a lie."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import IntEnum
from typing import NamedTuple

from bench.faults.heard import Heard
from bench.faults.story import Count


class Verdict(IntEnum):
    """The published method's four, the worst last."""

    PASS = 0
    """The whole answer; or, where there can be none, what was promised instead."""
    PARTIAL = 1
    """The whole answer with a flaw beside it."""
    SAFE = 2
    """No whole answer, but the truth about it, in time."""
    FAIL = 3
    """A hang, a cut or mixed-up answer as a success, more attempts than allowed."""


class Finding(NamedTuple):
    """One thing that is not as it should be."""

    verdict: Verdict
    why: str


class Wanted(NamedTuple):
    """The right answer."""

    text: str
    tokens: Count
    models: Collection[str]
    """The models that may be named as the one that served."""
    slack: float = 0.0
    """Share by which the usage may differ, where an upstream's count of a cut part is nowhere to be had."""
    arguments: str = ""
    """Of a tool call, in place of a text."""


Findings = list[Finding]


def worst(findings: Iterable[Finding]) -> Verdict:
    """Nothing found is a pass."""
    return max((found.verdict for found in findings), default=Verdict.PASS)


def fail(why: str) -> Findings:
    """One reason to fail."""
    return [Finding(Verdict.FAIL, why)]


def flaw(wrong: bool, why: str) -> Findings:
    """A flaw, if it is one."""
    return [Finding(Verdict.PARTIAL, why)] if wrong else []


def check(right: bool, why: str) -> Findings:
    """A promise, and how it was broken."""
    return [] if right else fail(why)


def answer(heard: Heard, wanted: Wanted) -> Findings:
    """The whole answer, each character once; or how it falls short of that."""
    ended = _ended(heard)
    if ended:
        return ended
    if heard.errors or heard.status != 200:
        said = heard.errors[0].get("code") if heard.errors else "no error body"
        return [Finding(Verdict.SAFE, f"{heard.status}, {said}"), *truth(heard, wanted.text)]
    return [*_content(heard, wanted), *_frame(heard), *_named(heard, wanted)]


def truth(heard: Heard, text: str) -> Findings:
    """A clean error, and before it nothing but the beginning of the right answer."""
    found = _ended(heard)
    if heard.status == 200 and not heard.errors:
        return [*found, *fail("no error was told")]
    found += check(len(heard.errors) == 1, f"{len(heard.errors)} errors")
    named = heard.errors and isinstance(heard.errors[0], dict) and heard.errors[0].get("message")
    found += check(bool(named), f"an error without a message: {heard.errors}")
    found += check(not heard.finishes, f"an error and a finish_reason: {heard.finishes}")
    found += check(text.startswith(heard.whole_text()), f"wrong text before the error: {_differs(heard, text)}")
    return found + check(not heard.garbage, f"garbage: {heard.garbage}")


def refused(heard: Heard, status: int, code: str) -> Findings:
    """A real HTTP error with this status and code."""
    told = heard.errors[0].get("code") if heard.errors else None
    found = check(heard.status == status, f"status {heard.status} instead of {status}")
    return found + check(told == code, f"code {told!r} instead of {code!r}") + truth(heard, "")


def at_most(what: str, count: int, allowed: int) -> Findings:
    """Not more attempts than allowed."""
    return check(count <= allowed, f"{count} {what}, {allowed} allowed")


def exactly(what: str, count: int, right: int) -> Findings:
    """As many attempts as there must be."""
    return check(count == right, f"{count} {what} instead of {right}")


def _ended(heard: Heard) -> Findings:
    """It ended as HTTP ends an answer."""
    if heard.end == "patience":
        return fail(f"hangs: not over after {heard.elapsed:.1f} s, {len(heard.text)} characters so far")
    if heard.end != "clean":
        told = ", in spite of an error told" if heard.errors else " without a word"
        return fail(f"broken off{told} ({heard.end})")
    return []


def _content(heard: Heard, wanted: Wanted) -> Findings:
    if wanted.arguments:
        calls = [call["arguments"] for call in heard.calls.values()]
        return check(calls == [wanted.arguments], f"the tool call's arguments are {calls}")
    text = heard.whole_text()
    if text == wanted.text:
        return check(not heard.garbage, f"garbage: {heard.garbage}")
    if wanted.text.startswith(text):
        return fail(f"a cut answer as a success: {len(text)} of {len(wanted.text)} characters, {heard.finishes}")
    return fail(f"wrong text as a success: {_differs(heard, wanted.text)}")


def _differs(heard: Heard, text: str) -> str:
    said = heard.whole_text()
    at = next((i for i, (a, b) in enumerate(zip(said, text, strict=False)) if a != b), min(len(said), len(text)))
    return f"from character {at}: {said[at : at + 40]!r} instead of {text[at : at + 40]!r}"


def _frame(heard: Heard) -> Findings:
    """One id, one role, one finish_reason, and `[DONE]`."""
    right = "tool_calls" if heard.calls else "stop"
    found = flaw(len(heard.ids) != 1, f"ids {heard.ids}")
    found += flaw(heard.roles != 1, f"{heard.roles} roles")
    if not heard.finishes:
        found += fail("ends without a finish_reason")
    found += flaw(bool(heard.finishes) and heard.finishes != [right], f"finish_reasons {heard.finishes}")
    streamed = "event-stream" in heard.headers.get("content-type", "")
    return found + flaw(streamed and not heard.done, "no [DONE]")


def _named(heard: Heard, wanted: Wanted) -> Findings:
    """The model that served, and usage."""
    right = bool(heard.models) and set(heard.models) <= set(wanted.models)
    found = flaw(not right, f"models {heard.models} instead of {sorted(wanted.models)}")
    usage = heard.usage
    if usage is None:
        return [*found, Finding(Verdict.PARTIAL, "no usage")]
    told = Count(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0))
    off = max(abs(a - b) / b for a, b in zip(told, wanted.tokens, strict=True))
    found += flaw(off > wanted.slack, f"usage {tuple(told)} instead of {tuple(wanted.tokens)}")
    return found + flaw(usage.get("total_tokens") != sum(told), f"total_tokens is not their sum: {usage}")
