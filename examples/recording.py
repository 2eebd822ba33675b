"""Records cut.py as a moving picture: `.venv/bin/python examples/recording.py` writes docs/cut.svg.

Each word appears as long after the first one as it did in the run.
"""

from __future__ import annotations

import html
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import cut

ROOT = Path(__file__).resolve().parent.parent
WIDE = 64
"""Characters of a line."""
STILL = 4.0
"""Seconds that the whole picture stands before it begins anew."""
LINE, LEFT, CHAR = 24, 24, 9.63
KILLED, TOLD = "[killed]", ": x-wayline-continued"


class Word(NamedTuple):
    """Some text, and when it came: seconds from the beginning of its answer."""

    text: str
    at: float
    kind: str = "word"


def recorded(base: str, gateway: int, kill_after: int | None) -> list[Word]:
    """One answer, by `cut.pieces`."""
    words: list[Word] = []
    began = 0.0
    for piece in cut.pieces(base, gateway, kill_after):
        now = time.monotonic()
        began = began or now
        kind = "killed" if piece.strip() == KILLED else "told" if piece.startswith(TOLD) else "word"
        words.append(Word(piece, now - began, kind))
    return words


def lines(words: Iterable[Word]) -> Iterator[list[Word]]:
    """Broken where a line is full; what says how it went on has a line of its own."""
    line: list[Word] = []
    for word in words:
        if line and (word.kind == "told" or sum(len(w.text) for w in line) + len(word.text) > WIDE):
            yield line
            line, word = [], word._replace(text=word.text.lstrip())
        line.append(word)
    yield line


def picture(answers: Iterable[tuple[str, list[Word]]]) -> str:
    """The answers one below the other, as an SVG document."""
    rows: list[str] = []
    whole = y = 0.0
    for title, words in answers:
        y += LINE * 1.5
        rows.append(f'<text class="title" x="{LEFT}" y="{y:.0f}">{html.escape(title)}</text>')
        whole = max(whole, words[-1].at)
        for line in lines(words):
            y += LINE
            at = LEFT
            for word in line:
                x, shown = at, html.escape(word.text)
                rows.append(f'<text class="{word.kind}" x="{x:.0f}" y="{y:.0f}" data-at="{word.at:.2f}">{shown}</text>')
                at = round(at + CHAR * len(word.text))
    body = "\n".join(_timed(row, whole + STILL) for row in rows)
    width, height = round(LEFT * 2 + CHAR * WIDE), round(y + LINE)
    size = f'viewBox="0 0 {width} {height}" width="{width}"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {size} xml:space="preserve">
<style>
text {{ font: 16px ui-monospace, monospace; fill: #d8dee9; white-space: pre; }}
.title {{ fill: #7b8494; }} .killed {{ fill: #ff6b6b; font-weight: bold; }} .told {{ fill: #98c379; }}
</style>
<rect width="100%" height="100%" rx="8" fill="#1b1f27"/>
{body}
</svg>
"""


def _timed(row: str, whole: float) -> str:
    """Hidden until its time, again and again."""
    before, mark, rest = row.partition(' data-at="')
    if not mark:
        return row
    at, _, after = rest.partition('">')
    text, _, _ = after.rpartition("</text>")
    share = max(float(at) / whole, 0.0001)
    times = f'values="0;0;1;1" keyTimes="0;{share:.4f};{share:.4f};1"'
    moving = f'<animate attributeName="opacity" {times} dur="{whole:.1f}s" repeatCount="indefinite"/>'
    return f"{before}>{text}{moving}</text>"


def main() -> None:
    """Runs the example and writes the picture."""
    with cut.served() as (base, gateway):
        alone = recorded(base, gateway, None)
        killed = recorded(base, gateway, cut.AFTER)
    shown = picture((("left alone", alone), ("its process killed after twelve words", killed)))
    (ROOT / "docs" / "cut.svg").write_text(shown)


if __name__ == "__main__":
    main()
