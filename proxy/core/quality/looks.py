"""What shows by an answer alone: that it turns in circles, that it is cut, that it is no language."""

from __future__ import annotations

import re
from itertools import pairwise

from proxy.core.quality.forms import blocks
from proxy.core.quality.words import common_share, words

_ITEM = re.compile(r"^\s*(?:[-*•+]|\(?\d{1,3}[.)]|[A-Za-z][.)])\s+")
_LEAK = re.compile(r"<\|[\w ]{2,30}\|>|</s>|\[/?INST\]|<<SYS>>|<(?:start|end)_of_turn>|<unk>")
_STRANGE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ue000-\uf8ff\ufffd]")
"""Characters that stand for none."""
_INNER = re.compile(r"[a-z][A-Z]")
_ENDINGS = frozenset(".!?…:;\"'”’)]}>*`_|~。！？」）»$%")
_OPEN = (
    "the a an of and or to in on at by for with from as is are was were be that which this these those its their our "
    "such than into between because but if when der die das und oder ein eine mit von zu im le la les de des et un une "
    "el los las y que con por para"
)
_DANGLING = frozenset(_OPEN.split())
"""Words that no sentence ends with."""
_CHARS = re.compile(r"([^\s=_*.#~|+-])\1{24,}")
_NUMBERING = re.compile(r"^\W*\d{0,4}\W*")


def leaks(text: str) -> bool:
    """Marks stand in it that belong between a model and its server."""
    return _LEAK.search(text) is not None


def cut(text: str) -> bool:
    """It ends in the middle of a sentence, a list or a block."""
    text = text.rstrip()
    _, prose, open_ = blocks(text)
    if open_:
        return True
    prose = prose.rstrip()
    if not prose or text.endswith("```"):
        return False
    line = prose.rsplit("\n", 1)[-1].strip()
    if _ITEM.fullmatch(line + " ") or prose[-1] in ",-–—([{":
        return True
    if prose[-1] in _ENDINGS or not prose[-1].isalnum():
        return False
    said = words(line)
    if said and said[-1] in _DANGLING and len(said) > 2:
        return True
    return len(said) >= (12 if _ITEM.match(line) else 9) and (len(words(prose)) >= 25 or "." in prose)


def items(text: str) -> int:
    """Things that it names: points of a list, else sentences, lines, or what stands between commas."""
    lines = [line for line in text.splitlines() if line.strip()]
    points = sum(_ITEM.match(line) is not None for line in lines)
    return max(points, len(lines), sentences(text), text.count(",") + 1 if "," in text else 0)


def sentences(text: str) -> int:
    """About."""
    return max(len(re.findall(r"[.!?。！？](?=\s|$|[\"'”’)])", text)), 1)


def turns(text: str, found: list[str]) -> float:
    """1: it does not repeat itself; towards 0 the more it does."""
    return min(_phrases(found), _lines(text), _end(text), 0.2 if _CHARS.search(text) else 1.0)


def _phrases(found: list[str]) -> float:
    """By the share of four words in a row that are there once."""
    if len(found) < 24:
        return 1.0
    grams = [tuple(found[at : at + 4]) for at in range(len(found) - 3)]
    share = len(set(grams)) / len(grams)
    return 1.0 if share > 0.8 else 0.75 if share > 0.68 else 0.4 if share > 0.5 else 0.1


def _lines(text: str) -> float:
    lines = [_NUMBERING.sub("", line).strip().casefold() for line in text.splitlines()]
    lines = [line for line in lines if len(line) > 2]
    if len(lines) < 6:
        return 1.0
    in_a_row = sum(one == other for one, other in pairwise(lines))
    share = len(set(lines)) / len(lines)
    return 0.1 if share < 0.5 or in_a_row >= 5 else 0.6 if share < 0.7 else 1.0


def _end(text: str) -> float:
    """Its end is the same piece again and again."""
    tail = text.rstrip()[-480:]
    for length in range(2, 121):
        times = max(4, 24 // length)
        if length * times > len(tail):
            break
        if tail[-1 - length] != tail[-1]:
            continue
        piece = tail[-length:]
        if tail.endswith(piece * times) and any(char.isalnum() for char in piece):
            return 0.1
    return 1.0


def garbled(text: str, found: list[str]) -> bool:
    """It is no language: characters that stand for none, words run together, or none of the words that hold
    sentences together."""
    if len(_STRANGE.findall(text)) > max(2, len(text) / 200):
        return True
    _, prose, open_ = blocks(text)
    if len(found) < 20 or open_:
        return False
    if len(_INNER.findall(prose)) > max(3, len(found) / 25):
        return True
    latin = [word for word in found if word[0] < "\u0250"]
    lines = max(prose.count("\n"), prose.count(",") / 2, 1)
    return len(latin) >= 25 and common_share(latin) < 0.12 and len(latin) / lines > 10
