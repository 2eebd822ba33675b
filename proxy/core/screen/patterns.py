"""Regular expressions by an engine whose time is linear in the text (RE2), so that no text can make one hang."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from proxy.core.screen.fold import plain

MISSING = "patterns need google-re2: pip install 'wayline[screen]'"


class Match(Protocol):
    """Where it was found."""

    def start(self) -> int: ...

    def end(self) -> int: ...


class Compiled(Protocol):
    """A pattern made ready."""

    def search(self, text: str, pos: int = ..., /) -> Match | None: ...


class Pattern(NamedTuple):
    """One, of a rule."""

    compiled: Compiled
    rule: int


def compiled(pattern: str) -> Compiled:
    """Case makes no difference, unless the pattern says `(?-i)`. Raises `ValueError`, with the reason."""
    try:
        re2 = importlib.import_module("re2")
    except ImportError as error:
        raise ValueError(MISSING) from error
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        made: Compiled = re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(f"no such pattern: {_said(error)}") from error
    return made


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def found(patterns: Iterable[Pattern], text: str) -> set[int]:
    """The rules whose patterns match somewhere in a whole text."""
    seen = plain(text)
    return {pattern.rule for pattern in patterns if pattern.compiled.search(seen) is not None}


class PatternsAlong:
    """Follows one text that comes in pieces. What is longer than `hold` characters may be found late, or not at all."""

    __slots__ = ("_buffer", "_hold", "_patterns", "_pos", "length")

    def __init__(self, patterns: tuple[Pattern, ...], hold: int) -> None:
        self._patterns = patterns
        self._hold = hold
        self._buffer = ""
        self._pos = 0
        """1 where the buffer's first character is only there to be looked back at."""
        self.length = 0

    @property
    def open(self) -> int:
        """How many characters at the end may belong to a match that is not all there yet."""
        return min(self._hold, self.length)

    def feed(self, piece: str) -> set[int]:
        """The rules whose patterns match now, whatever may follow."""
        seen = plain(piece)
        rules: set[int] = set()
        if not seen:
            return rules
        buffer = self._buffer + seen
        self.length += len(seen)
        for pattern in self._patterns:
            match = pattern.compiled.search(buffer, self._pos)
            # At the end it is not certain yet (`\b`, `$`), but its beginning is about to be let go of.
            if match is not None and (match.end() < len(buffer) or match.start() < len(buffer) - self._hold):
                rules.add(pattern.rule)
        if len(buffer) > self._hold + 1:
            buffer = buffer[-self._hold - 1 :]
            self._pos = 1
        self._buffer = buffer
        return rules

    def close(self) -> set[int]:
        """No more comes."""
        if not self._buffer:
            return set()
        search = ((p.rule, p.compiled.search(self._buffer, self._pos)) for p in self._patterns)
        return {rule for rule, match in search if match is not None}
