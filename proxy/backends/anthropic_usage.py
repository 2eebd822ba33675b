"""Token counts as Anthropic reports them.

`input_tokens` leaves out what was read from the cache and what was written to it; in ours both are contained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.core.tokens import of_chars
from proxy.core.usage import Source, Special, Usage, special

_MAX = 1 << 40
"""A count beyond this is nonsense, not a count."""
_NAMES = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


class Counts:
    """What a stream has reported by now: the input in its first event, the rest, cumulative, in its last ones."""

    __slots__ = ("_counts", "_seen", "_special", "_thinking", "final")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._thinking = 0
        self._special: Special | None = None
        self._seen = False
        self.final = False
        """The output is told."""

    def note(self, usage: object, *, final: bool) -> None:
        """Takes a `usage` object over; what it leaves out stays as it was. `final`: its output is the whole."""
        if not isinstance(usage, dict):
            return
        found = {name: count for name in _NAMES if (count := _count(usage.get(name))) is not None}
        if not found:
            return
        self._seen = True
        self.final = self.final or (final and "output_tokens" in found)
        self._counts.update(found)
        kept = usage.get("cache_creation")
        if isinstance(kept, dict):
            self._special = special(0, 0, 0, 0, _count(kept.get("ephemeral_1h_input_tokens")) or 0)
        thinking = _thinking_in(usage)
        self._thinking = self._thinking if thinking is None else thinking

    def usage(self, chars: int) -> Usage | None:
        """By now. Until the output is told, what there is of it is estimated by its characters."""
        if not self._seen:
            return None
        get = self._counts.get
        cached, written, made = get(_NAMES[1], 0), get(_NAMES[2], 0), get(_NAMES[3], 0)
        given = get(_NAMES[0], 0) + cached + written
        if self.final:
            return Usage(given, made, cached, written, min(self._thinking, made), special=self._special)
        made = max(made, of_chars(chars))
        return Usage(given, made, cached, written, source=Source.ESTIMATED, special=self._special)


def usage_in(message: Mapping[str, Any]) -> Usage | None:
    """The usage in a whole answer; `None` where none is reported."""
    counts = Counts()
    counts.note(message.get("usage"), final=True)
    return counts.usage(0)


def _thinking_in(usage: Mapping[str, Any]) -> int | None:
    details = usage.get("output_tokens_details")
    return _count(details.get("thinking_tokens")) if isinstance(details, dict) else None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < _MAX else None
