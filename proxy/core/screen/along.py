"""One text of an answer that comes in pieces: what is found in it, and how much of it may go out."""

from __future__ import annotations

from proxy.core.screen.patterns import PatternsAlong
from proxy.core.screen.policy import Side
from proxy.core.screen.terms import TermsAlong
from proxy.core.screen.texts import Key

Mark = tuple[int, int]
"""How far a text was when a piece of it had come: in folded characters of terms, and of patterns."""


class Along:
    """Follows one text (a choice's content, or its reasoning, or the arguments of a call)."""

    __slots__ = ("_patterns", "_terms")

    def __init__(self, side: Side, hold: int) -> None:
        self._terms = TermsAlong(side.terms)
        self._patterns = PatternsAlong(side.patterns, hold) if side.patterns else None

    def feed(self, piece: str) -> set[int]:
        """The places of the rules that find something now."""
        found = self._terms.feed(piece)
        return found if self._patterns is None else found | self._patterns.feed(piece)

    def close(self) -> set[int]:
        """No more comes."""
        found = self._terms.close()
        return found if self._patterns is None else found | self._patterns.close()

    def mark(self) -> Mark:
        """Behind all that has come so far."""
        return self._terms.length, 0 if self._patterns is None else self._patterns.length

    def cleared(self, mark: Mark) -> bool:
        """Nothing before this mark can belong to something that is not all there yet."""
        terms, patterns = self._terms, self._patterns
        if mark[0] > terms.length - terms.open:
            return False
        return patterns is None or mark[1] <= patterns.length - patterns.open


class Alongs:
    """Follows all texts of an answer, each by itself."""

    __slots__ = ("_hold", "_of", "_side")

    def __init__(self, side: Side, hold: int) -> None:
        self._side = side
        self._hold = hold
        self._of: dict[Key, Along] = {}

    def feed(self, key: Key, piece: str) -> tuple[Along, set[int]]:
        """The one that follows this text, and the places of the rules that find something now."""
        along = self._of.get(key)
        if along is None:
            along = self._of[key] = Along(self._side, self._hold)
        return along, along.feed(piece)

    def finish(self, index: int) -> set[int]:
        """A choice is complete: what stands at its texts' ends is certain now."""
        return set().union(*(along.close() for (of, _), along in self._of.items() if of == index))

    def close(self) -> set[int]:
        """All are."""
        return set().union(*(along.close() for along in self._of.values()))
