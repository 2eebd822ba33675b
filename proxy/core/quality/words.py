"""Words, and the language that they are in, as far as that shows by the commonest ones."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[.,]\d+)*")
_STEM = 5
"""Characters by which two words count as the same: planet, planets; explain, explanation."""
_COMMON = {
    "en": "the of and to in is that it was for on are as with his they at be this have from or had by but what some we "
    "can out other were all your when up use how said an each she which do their if will about many then them would "
    "like so these her him has more could no than been its who did get may also into our you not my there "
    "what why how does do is are i am",
    "de": "der die das und ist nicht mit ein eine einer einen den dem des zu von auf für im sich als auch es an werden "
    "aus er hat dass sie nach wird bei noch wie um über so ihre aber wenn oder ich wir kann durch sind was man zur",
    "fr": "le la les des du un une et est en que qui dans pour pas au sur plus ce il elle ne se par avec son sont aux "
    "ou mais comme nous vous leur cette être fait peut ces tout bien deux ont été quelle quel",
    "es": "el los las del un una y es en que por para con no se su lo como más pero sus le ya o este sí porque esta "
    "son entre cuando muy sin sobre también hasta hay donde quien desde todo nos cuál qué al está",
    "it": "il lo gli della dei delle del un una e è di che per con non si da al dalla come più anche ma nel nella sono "
    "questo questa essere ha alla degli le o se ci quando qual",
    "pt": "o os as da do dos das um uma e é em que por para com não se no na mais como mas ao ele seu sua ou ser "
    "quando muito nos já está também só pelo pela até isso são foi",
    "nl": "de het een en van is dat op te in zijn met voor niet aan er om ook als dan maar bij of uit nog naar heeft "
    "hij ze wordt door over deze werd kan wel geen zo wat hoe",
}
COMMON = frozenset(word for words in _COMMON.values() for word in words.split())
_LANGUAGES = {word: tuple(language for language, words in _COMMON.items() if word in words.split()) for word in COMMON}
"""Those in which a word is common."""
_LOOKED_AT = 300
"""Words, and seven times as many letters, by which a language is told."""
_INSTRUCTIONS = (
    "write explain describe give list tell name make create please show want need help example examples briefly short "
    "answer question sentence sentences word words using following text what which where why how does summarize "
    "translate rewrite suggest provide generate return difference between three five seven eight nine four some "
    "erkläre schreibe nenne gib erzähle bitte kurz was quel quelle expliquez écrivez donnez escribe explica "
    "dame"
)
_ASKING = frozenset(_INSTRUCTIONS.split())
_SCRIPTS = (
    *(("kana", 0x3040, 0x30FF), ("han", 0x3400, 0x9FFF), ("hangul", 0xAC00, 0xD7A3), ("cyrillic", 0x0400, 0x052F)),
    *(("greek", 0x0370, 0x03FF), ("arabic", 0x0600, 0x06FF), ("hebrew", 0x0590, 0x05FF), ("thai", 0x0E00, 0x0E7F)),
    ("devanagari", 0x0900, 0x097F),
)
_BEYOND_LATIN = re.compile("[\u0370-\u1dff\u2c00-\ud7ff]")
LEAST = 3
"""Common words that an answer must have before its language is named."""


def words(text: str) -> list[str]:
    """In lower case."""
    return _WORD.findall(text.casefold())


def stems(found: Iterable[str]) -> set[str]:
    """What words are compared by. Characters of scripts without spaces are compared in pairs."""
    made: set[str] = set()
    for word in found:
        if "\u3040" <= word[0] <= "\u9fff":
            made.update(word[at : at + 2] for at in range(max(len(word) - 1, 1)))
        else:
            made.add(word[:_STEM])
    return made


def key_terms(text: str) -> set[str]:
    """The stems of the words that say what a request is about."""
    return stems(
        word
        for word in words(text)
        if word not in COMMON and word not in _ASKING and (len(word) > 2 or word[0] >= "\u0370" or word[0].isdigit())
    )


def language(text: str, found: list[str], least: int = LEAST) -> str:
    """A script other than Latin by its name, a language in Latin script by its code; empty: it does not show. `least`:
    common words that a text must have before its language is named."""
    script = _script(text)
    if script:
        return script
    counts = dict.fromkeys(_COMMON, 0)
    for word in found[:_LOOKED_AT]:
        for one in _LANGUAGES.get(word, ()):
            counts[one] += 1
    best = max(counts, key=lambda one: counts[one])
    second = max(count for one, count in counts.items() if one != best)
    return best if counts[best] >= least and counts[best] >= 1.4 * second else ""


def _script(text: str) -> str:
    """Of most letters; empty for Latin. Japanese is told by any kana."""
    text = text[: 7 * _LOOKED_AT]
    if _BEYOND_LATIN.search(text) is None:
        return ""
    letters = [ord(char) for char in text if char.isalpha()]
    counts = {name: sum(first <= code <= last for code in letters) for name, first, last in _SCRIPTS}
    if counts["kana"] and counts["kana"] + counts["han"] > len(letters) / 2:
        return "kana"
    name = max(counts, key=lambda one: counts[one])
    return name if counts[name] > len(letters) / 2 else ""


def common_share(found: list[str]) -> float:
    """Of the words, those that are common in some language: natural text in Latin script has a quarter or more."""
    return sum(word in COMMON for word in found) / len(found) if found else 0.0
