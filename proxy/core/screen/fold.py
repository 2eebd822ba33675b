"""Texts as they are compared. Character by character, so that a text folds to the same however it is cut in pieces."""

from __future__ import annotations

import re
import unicodedata

_MARKS = ((0x0300, 0x036F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F))
"""Marks that stand on letters of any kind (Unicode, blocks "Combining Diacritical Marks …")."""
_SAME = {"’": "'", "‘": "'", "ʼ": "'", "‐": "-", "‑": "-", "–": "-", "—": "-"}
_CUTLESS = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1100, 0x11FF), (0x1780, 0x17FF)),
    *((0x2E80, 0xA4CF), (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
)
"""Scripts that put no spaces between words, or attach particles to them: Thai to Burmese, Khmer, Chinese, Japanese,
Korean."""
_SPACES = re.compile(r" ?[^\S ]\s*|  \s*")
"""White space that is not one space already: most texts have little of it."""
_FILLERS = "\u115f\u1160\u3164\uffa0"
_CONTROLS = bytes([*range(9), *range(14, 28), 127])
"""Of ASCII, without white space. Left out of bytes, which takes a twentieth of the time that it takes of a text."""
_LOWER = bytes(range(256)).lower()
MOST_KEPT = 20_000
"""Characters whose fold is kept: all that people write with, and not all that a hostile text could be made of."""


def _within(char: str, blocks: tuple[tuple[int, int], ...]) -> bool:
    code = ord(char)
    return any(first <= code <= last for first, last in blocks)


def _invisible(char: str) -> bool:
    """Format characters (zero width, soft hyphen, direction), variation selectors, Hangul fillers, and control
    characters that are no white space."""
    if "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef" or char in _FILLERS:
        return True
    category = unicodedata.category(char)
    return category == "Cf" or (category == "Cc" and not char.isspace())


class _Loose(dict[int, str]):
    """For terms: compatibility forms, case and marks make no difference; what is invisible is not there."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
        kept = "".join(_SAME.get(c, c) for c in folded if not _invisible(c) and not _within(c, _MARKS))
        if len(self) < MOST_KEPT:
            self[code] = kept
        return kept


class _Plain(dict[int, str]):
    """For patterns: compatibility forms make no difference; what is invisible is not there."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        kept = "" if _invisible(char) else unicodedata.normalize("NFKC", char)
        if len(self) < MOST_KEPT:
            self[code] = kept
        return kept


_LOOSE = _Loose()
_PLAIN = _Plain()


def loose(text: str) -> str:
    """As terms see it."""
    return text.encode().translate(_LOWER, _CONTROLS).decode() if text.isascii() else text.translate(_LOOSE)


def plain(text: str) -> str:
    """As patterns see it."""
    return text.encode().translate(None, _CONTROLS).decode() if text.isascii() else text.translate(_PLAIN)


def spaced(text: str) -> str:
    """Any white space as one space."""
    return _SPACES.sub(" ", text)


def joins(char: str) -> bool:
    """It belongs to a word of which it may be any part: in scripts without spaces every character is a word's edge."""
    return char.isalnum() and (char < "\u0e00" or not _within(char, _CUTLESS))
