"""What is wrong with a configuration, and where: values that never hold a secret."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

MOST = 200
"""No more problems than this are told at once."""

_KEY_LIKE = re.compile(r"^(?:sk|pk|rk|gsk|hf|xai|ghp|wl-|key|aiza|bearer|basic)[-_ ]?.{8,}", re.IGNORECASE)


class Mark(NamedTuple):
    """A place in the file, both counted from 1."""

    line: int
    column: int


class Problem(NamedTuple):
    """One thing that is wrong. `path` is like `routes.chat.targets[1]`, empty for the file itself."""

    mark: Mark
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Problems:
    """Everything that is wrong with a file, in the order of its lines. Never empty."""

    source: str
    items: tuple[Problem, ...]

    def lines(self) -> list[str]:
        """One line each: `routes.yaml:12:7: routes.chat.targets[1]: …`."""
        return [
            f"{self.source}:{p.mark.line}:{p.mark.column}: {p.path + ': ' if p.path else ''}{p.message}"
            for p in self.items
        ]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def in_order(source: str, problems: Iterable[Problem]) -> Problems:
    """Sorted by place; what an alias repeats is told once."""
    seen: dict[tuple[Mark, str], Problem] = {}
    for problem in problems:
        seen.setdefault((problem.mark, problem.message), problem)
    told = sorted(seen.values(), key=lambda p: p.mark)
    if len(told) > MOST:
        more = Problem(told[MOST].mark, "", f"and {len(told) - MOST} more problems")
        told = [*told[:MOST], more]
    return Problems(source, tuple(told))


def shown(text: str) -> str:
    """The text in quotes for a message; only its length where it may be, or hold, a key or password."""
    if len(text) > 48 or _KEY_LIKE.match(text) or ("://" in text and ("@" in text or "?" in text)):
        return f"a text of {len(text)} characters"
    return '"' + "".join(c if c.isprintable() else "?" for c in text) + '"'


def one_of(words: Iterable[str]) -> str:
    """`a, b or c`, cut to a readable length."""
    names = list(words)
    if not names:
        return "nothing (there is none)"
    if len(names) > 12:
        return ", ".join(names[:12]) + f" … ({len(names)} in all)"
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def nearest(word: str, words: Iterable[str]) -> str:
    """`; did you mean "…"?` for the valid word that looks most like it; empty when none does."""
    if len(word) > 64:
        return ""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    if not close:
        folded = {w.lower(): w for w in words}
        close = [folded[w] for w in difflib.get_close_matches(word.lower(), list(folded), n=1, cutoff=0.6)]
    return f'; did you mean "{close[0]}"?' if close else ""
