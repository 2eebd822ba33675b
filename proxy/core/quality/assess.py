"""An answer against its request: three parts between 0 and 1, made of signs that a reader would see at a glance.

Not one of them understands anything. What is wrong in substance and right in form passes; see docs/quality.md for what
they catch, measured on real answers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.core.quality.forms import broken, fits, json_in, read
from proxy.core.quality.looks import cut, garbled, items, leaks, sentences, turns
from proxy.core.quality.refusal import refuses
from proxy.core.quality.wanted import Wanted, wanted
from proxy.core.quality.words import language, stems, words

COMPLETENESS, RELEVANCE, COHERENCE = 0.40, 0.35, 0.25
MOST = 12_000
"""Characters of an answer that are looked at: the beginning, and of a longer one the end by itself."""
END = 4_000
MOST_JSON = 256_000
"""Characters of JSON that are parsed."""


class Answer(NamedTuple):
    """One choice of an answer."""

    text: str
    finish: str | None = None
    refused: bool = False
    """Its model, or a filter, says in so many words that this is a refusal."""
    calls: tuple[tuple[str, str], ...] = ()
    """(name, arguments) of the tools that it calls."""


class Parts(NamedTuple):
    """Each from 0 to 1."""

    completeness: float
    relevance: float
    coherence: float

    @property
    def value(self) -> float:
        """Weighted."""
        return COMPLETENESS * self.completeness + RELEVANCE * self.relevance + COHERENCE * self.coherence


def assess(body: Mapping[str, Any], answers: tuple[Answer, ...]) -> Parts:
    """All choices of an answer to a request in the terms of chat completions: their mean."""
    if not answers:
        return Parts(0.0, 0.0, 0.0)
    want = wanted(body)
    each = [_called(body, one) if one.calls else _said(want, one) for one in answers[:16]]
    return Parts(*(sum(part) / len(each) for part in zip(*each, strict=True)))


def _called(body: Mapping[str, Any], answer: Answer) -> Parts:
    """Tools that exist, with arguments that are an object."""
    tools = body.get("tools")
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    schemas = {one.get("name"): one.get("parameters") for one in functions if isinstance(one, dict)}
    good = 0.0
    for name, arguments in answer.calls:
        found = read(arguments or "{}")
        right = found is not None and isinstance(found[0], dict)
        known = not schemas or name in schemas
        good += 1.0 if right and known and found is not None and fits(found[0], schemas.get(name)) else 0.3 * right
    share = good / len(answer.calls)
    finished = 0.3 if answer.finish == "length" else 1.0
    return Parts(share * finished, 1.0 if share else 0.5, share)


def _said(want: Wanted, answer: Answer) -> Parts:
    whole = answer.text.strip()
    text, end = whole[:MOST], whole if len(whole) <= MOST else whole[-END:]
    found = words(text)
    if not text or not _says(text, found):
        return Parts(0.0, 0.0, 0.0)
    no = answer.refused or answer.finish == "content_filter" or refuses(text)
    round_ = turns(text, found) if text is end else min(turns(text, found), turns(end, words(end)))
    complete = _finished(answer.finish, end) * _long_enough(want, text, found) * _form(want, whole)
    complete *= (0.3 if no else 1.0) * (0.5 if round_ < 0.3 else 1.0)
    garbage = garbled(text, found)
    relevant = 0.05 if no else min(_relevant(want, text, found), 0.4 if garbage else 1.0)
    flawed = broken(text) or leaks(text)
    coherent = round_ * (0.3 if flawed else 1.0) * (0.1 if garbage else 1.0)
    if relevant < 0.3 or garbage or flawed:
        complete *= 0.6  # what was asked for is not there, or not of use
    return Parts(complete, relevant, coherent)


def _says(text: str, found: list[str]) -> bool:
    """There is more in it than punctuation."""
    return bool(found) or any(unicodedata.category(char)[0] not in "PZC" for char in text)


def _finished(finish: str | None, text: str) -> float:
    if finish == "length":
        return 0.3
    if cut(text):
        return 0.35
    return 0.8 if finish is None else 1.0


def _long_enough(want: Wanted, text: str, found: list[str]) -> float:
    if len(found) > 2 and _again(want, " ".join(found)):
        return 0.4
    if want.words is not None and want.words > 3:
        share = len(found) / want.words
        return max(0.3, 2 * share) if share < 0.5 else 0.7 if share > 3 else 1.0
    if want.sentences is not None and want.form is None:
        return 0.7 if sentences(text) > 3 * want.sentences or sentences(text) < want.sentences / 2 else 1.0
    if want.items is not None and 1 < want.items <= 100 and items(text) < 0.6 * want.items:
        return 0.4
    return 0.5 if want.long and len(found) < 40 else 1.0


def _again(want: Wanted, said: str) -> bool:
    """It only says what was in the request already."""
    asked = " ".join(words(want.text))
    return said == asked or (want.rewords and said in asked)


def _form(want: Wanted, text: str) -> float:
    if len(text) > MOST_JSON:
        return 1.0
    if want.form is None:
        return 0.3 if want.json and json_in(text) is None else 1.0
    found = read(text)
    if found is None:
        return 0.15
    said = want.form.get("json_schema")
    schema = said.get("schema") if isinstance(said, Mapping) else None
    return 1.0 if fits(found[0], schema) else 0.3


def _relevant(want: Wanted, text: str, found: list[str]) -> float:
    tongue = language(text, found)
    if want.language and tongue and tongue != want.language and want.form is None:
        return 0.15
    return _about(want, found)


def _about(want: Wanted, found: list[str]) -> float:
    """By the words of the request that are there again. A short answer need not repeat any."""
    terms = want.terms
    if not terms or want.free or want.form is not None:
        return 1.0
    hits = len(terms & stems(found))
    if hits >= 3 or hits >= 0.34 * len(terms):
        return 1.0
    if hits:
        return 0.8
    return 0.85 if len(found) <= 12 else 0.5 if len(found) <= 30 else 0.1
