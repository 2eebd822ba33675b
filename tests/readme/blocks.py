"""README.md's blocks by their names, and whether what really came out is what it shows.

<!-- readme: NAME -->            above a block; nothing of it shows where Markdown is rendered
<!-- not run: why -->            below that: scripts/readme.py leaves it out
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"

_BLOCK = re.compile(
    r"(?:^<!-- readme: (?P<name>\S+) -->\n)?(?:^<!-- not run: (?P<why>.+?) -->\n)?"
    r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.M | re.S,
)
_CHANGES = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+Z|\b\d{10}\b|req_[0-9a-f]{24}"  # moments, ids
    r'|(?<=_s":)[\d.]+|(?<=here:\s)[\d.]+'  # durations
)
"""Parts of an output that are others each time."""


class Block(NamedTuple):
    """A fenced block. `name` is empty where it has none; `why` says why CI does not paste it, empty: it does."""

    name: str
    kind: str
    text: str
    why: str


def parsed(markdown: str) -> list[Block]:
    """All blocks, in order."""
    return [Block(m["name"] or "", m["kind"], m["text"], m["why"] or "") for m in _BLOCK.finditer(markdown)]


BLOCKS = parsed(README.read_text(encoding="utf-8"))
NAMED = {block.name: block for block in BLOCKS if block.name}


def shows(shown: str, real: str) -> bool:
    """The lines that are shown came out, in their order. White space does not count; `…` stands for anything."""
    line = r".*?"
    wanted = line.join(_pattern(part) for part in shown.splitlines() if part.strip())
    return re.search(wanted, _bare(real), re.S) is not None


def _pattern(shown: str) -> str:
    return re.escape(_bare(shown)).replace(re.escape("…"), ".*?")


def _bare(text: str) -> str:
    """Without white space, with one sign for all that changes, and rules of one length."""
    return re.sub(r"─+", "─", re.sub(r"\s+", "", _CHANGES.sub("~", text)))
