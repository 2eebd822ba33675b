"""What a request asks for, as far as that shows: about what, how long, in which form and language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.core.quality.words import key_terms, language, words
from proxy.core.screen.texts import asked

_ONE_TO_TEN = "one two three four five six seven eight nine ten"
_NUMBERS = dict(zip(_ONE_TO_TEN.split(), range(1, 11), strict=True))
_HOW_MANY = r"(\d{1,4}|" + "|".join(_NUMBERS) + ")"
_WORDS = re.compile(rf"\b{_HOW_MANY}[ -]words?\b", re.IGNORECASE)
_SENTENCES = re.compile(rf"\b{_HOW_MANY}[ -]sentences?\b", re.IGNORECASE)
_ITEMS = re.compile(
    rf"\b(?:list|name|give|suggest|write|provide|tell|share)\b[^.?!\n]{{0,24}}?\b{_HOW_MANY}\s+(?!words?\b|sentences?\b|"
    r"years?\b|days?\b|minutes?\b|hours?\b|old\b)[^\W\d_]",
    re.IGNORECASE,
)
_JSON = re.compile(
    r"\b(?:write|give|return|respond|reply|output|answer|produce|generate|as|in|only|valid)\b[^.?!\n]{0,40}\bjson\b",
    re.IGNORECASE,
)
_LONG = re.compile(r"\b(?:essay|in (?:great )?detail|detailed|long (?:story|text|list)|comprehensive)\b", re.IGNORECASE)
_TONGUES = re.compile(
    r"\b(?:english|french|german|spanish|italian|portuguese|dutch|russian|chinese|japanese|korean|arabic|hindi|turkish|"
    r"polish|latin|greek|hebrew|swedish|danish|czech|translat\w*|languages?|english\w*|deutsch\w*|englisch\w*|"
    r"französisch\w*|spanisch\w*|übersetz\w*|tradu\w*|fran[çc]ais\w*|anglais\w*|espagnol\w*|español\w*|inglés|"
    r"allemand\w*)\b|翻译|翻訳|перевед|англий",
    re.IGNORECASE,
)
_REWORDS = re.compile(
    r"\b(?:rewrite|rephrase|paraphrase|correct|translate|convert|summari[sz]e|shorten|improve|übersetze?|korrigiere?)\b",
    re.IGNORECASE,
)
_LEAST = 2
"""Common words by which the language of a question is told, which may be short."""
_MOST = 20_000
"""Characters of a request that are looked at."""


class Wanted(NamedTuple):
    """Of one request."""

    text: str
    """Of its last message from outside."""
    terms: frozenset[str]
    """Stems of the words that say what it is about."""
    language: str
    """As `words.language`; empty where it does not show, or where another may be meant."""
    free: bool = False
    """It speaks of languages: the answer may be in another one, and share no word with it."""
    words: int | None = None
    sentences: int | None = None
    items: int | None = None
    long: bool = False
    json: bool = False
    """Asked for in words."""
    rewords: bool = False
    """Something is to be said otherwise: what is in the request already is no answer."""
    form: Mapping[str, Any] | None = None
    """`response_format`, where it is not text."""


def wanted(body: Mapping[str, Any]) -> Wanted:
    """Of a request in the terms of chat completions."""
    every = list(asked(body))
    last = every[-1][-_MOST:] if every else ""
    terms = key_terms(last)
    if len(terms) < 2:
        terms |= key_terms(" ".join(every)[-_MOST:])
    form = body.get("response_format")
    context = " ".join(asked(body, frozenset({"system", "developer"})))[:_MOST]
    free = _TONGUES.search(last) is not None or _TONGUES.search(context) is not None
    return Wanted(
        last,
        frozenset(terms),
        "" if free else language(last, words(last), _LEAST),
        free,
        _number(_WORDS, last),
        _number(_SENTENCES, last),
        _number(_ITEMS, last),
        _LONG.search(last) is not None,
        _JSON.search(last) is not None,
        _REWORDS.search(last) is not None,
        form if isinstance(form, dict) and form.get("type") not in (None, "text") else None,
    )


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    if found is None:
        return None
    said = found[1].casefold()
    return _NUMBERS[said] if said in _NUMBERS else int(said)
