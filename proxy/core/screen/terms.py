"""Words and phrases, all at once: in a whole text, or along one that comes in pieces (Aho and Corasick 1975)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from proxy.core.screen.fold import joins, loose, spaced

LONGEST = 200
"""Characters of a term."""


class Term(NamedTuple):
    """One term, folded. `left`, `right`: it begins, ends with a letter or digit, and no other may stand beside that."""

    text: str
    rule: int
    left: bool
    right: bool


def term_of(written: str, rule: int) -> Term | None:
    """A term as configured: whole words, but for a `*` at its beginning or end. `None`: nothing is left of it."""
    text = spaced(loose(written)).strip()
    left, right = not text.startswith("*"), not text.endswith("*")
    text = text.strip("*").strip()
    if not text or len(text) > LONGEST:
        return None
    return Term(text, rule, left and joins(text[0]), right and joins(text[-1]))


class Terms:
    """All terms, made ready once. States are numbers; 0 is the beginning."""

    __slots__ = ("_texts", "depth", "ends", "fail", "goto", "longest", "terms")

    def __init__(self, terms: Iterable[Term]) -> None:
        self.terms = tuple(terms)
        self._texts = tuple((term.text, term) for term in self.terms)
        self.longest = max((len(term.text) for term in self.terms), default=0)
        self.goto: list[dict[str, int]] = [{}]
        self.fail = [0]
        self.depth = [0]
        self.ends: list[tuple[Term, ...]] = [()]
        for term in self.terms:
            self._add(term)
        self._link()

    def _add(self, term: Term) -> None:
        state = 0
        for char in term.text:
            after = self.goto[state].get(char)
            if after is None:
                after = len(self.goto)
                self.goto[state][char] = after
                self.goto.append({})
                self.fail.append(0)
                self.depth.append(self.depth[state] + 1)
                self.ends.append(())
            state = after
        self.ends[state] = (*self.ends[state], term)

    def _link(self) -> None:
        waiting = deque(self.goto[0].values())
        while waiting:
            state = waiting.popleft()
            for char, after in self.goto[state].items():
                waiting.append(after)
                back = self.fail[state]
                while back and char not in self.goto[back]:
                    back = self.fail[back]
                self.fail[after] = self.goto[back].get(char, 0)
                self.ends[after] = (*self.ends[after], *self.ends[self.fail[after]])

    def found(self, text: str) -> set[int]:
        """The rules whose terms stand in a whole text."""
        folded = " ".join(loose(text).split())  # as `spaced`, but for the edges, where a space means nothing
        return {term.rule for text, term in self._texts if text in folded and _stands(term, folded)}


def _stands(term: Term, folded: str) -> bool:
    at = folded.find(term.text)
    while at >= 0:
        end = at + len(term.text)
        cut_left = not term.left or at == 0 or not joins(folded[at - 1])
        if cut_left and (not term.right or end == len(folded) or not joins(folded[end])):
            return True
        at = folded.find(term.text, at + 1)
    return False


class TermsAlong:
    """Follows one text that comes in pieces. Where it is cut makes no difference."""

    __slots__ = ("_pending", "_state", "_tail", "_terms", "length")

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._state = 0
        self._tail = ""
        """The last folded characters."""
        self._pending: tuple[Term, ...] = ()
        """Terms that stand here if no letter follows."""
        self.length = 0
        """Folded characters so far."""

    @property
    def open(self) -> int:
        """How many folded characters at the end may belong to a term that is not all there yet."""
        return self._terms.depth[self._state]

    def feed(self, piece: str) -> set[int]:
        """The rules whose terms are there now."""
        folded = spaced(loose(piece))
        if self._tail.endswith(" ") and folded.startswith(" "):
            folded = folded[1:]
        found: set[int] = set()
        if not folded:
            return found
        terms, state = self._terms, self._state
        goto, fail, ends = terms.goto, terms.fail, terms.ends
        text, pending = self._tail + folded, self._pending
        for at in range(len(self._tail), len(text)):
            char = text[at]
            if pending:
                if not joins(char):
                    found.update(term.rule for term in pending)
                pending = ()
            after = goto[state].get(char)
            while after is None and state:
                state = fail[state]
                after = goto[state].get(char)
            state = after or 0
            if ends[state]:
                pending = self._ended(ends[state], text, at + 1, found)
        self._state, self._pending = state, pending
        self.length += len(folded)
        self._tail = text[-terms.longest - 1 :]
        return found

    def _ended(self, ends: tuple[Term, ...], text: str, end: int, found: set[int]) -> tuple[Term, ...]:
        """Those of the terms that end here which another letter would make part of a longer word."""
        pending = []
        for term in ends:
            before = end - len(term.text) - 1
            if term.left and before >= 0 and joins(text[before]):
                continue
            if term.right:
                pending.append(term)
            else:
                found.add(term.rule)
        return tuple(pending)

    def close(self) -> set[int]:
        """No more comes: the rules whose terms stand at the end."""
        found = {term.rule for term in self._pending}
        self._pending, self._state = (), 0
        return found
