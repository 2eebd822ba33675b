"""Keys have no place in a log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

HIDDEN = "***"
_MIN_SECRET = 6
"""A shorter known secret would be found inside ordinary words."""
_KEY = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|pplx|hf|nvapi|ghp|glpat|wl)[-_][A-Za-z0-9_-]{8,}"
    r"|\bAIza[A-Za-z0-9_-]{16,}"
    r"|\beyJ[A-Za-z0-9_.-]{16,}"
    r"|(?<=\bbearer )[A-Za-z0-9+/=_.~-]{6,}"
    r"|(?<=\bbasic )[A-Za-z0-9+/=]{6,}",
    re.IGNORECASE,
)
_OWN_ID = re.compile(r"req_[0-9a-f]{1,40}").fullmatch
_NAMES_KEPT = 1000
_KEY_FIELD = re.compile(r"api[-_]?key|authorization|password|secret", re.IGNORECASE)


class Scrubber:
    """Takes known secrets, and what looks like one, out of texts."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first, in case one is contained in another.
        known = sorted({one for one in secrets if len(one) >= _MIN_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None
        self._names: dict[str, str] = {}

    def text(self, text: str) -> str:
        """The text with `***` for each key in it."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _KEY.sub(HIDDEN, text)

    def quoted(self, name: str) -> str:
        """The same as JSON, for what comes again and again: the name of a route, a target, a key."""
        found = self._names.get(name)
        if found is None:
            if len(self._names) >= _NAMES_KEPT:
                self._names.clear()
            found = self._names[name] = json.dumps(self.text(name))
        return found

    def quoted_id(self, request_id: str) -> str:
        """The same for a request's id, which is free of keys where it is one of ours."""
        return f'"{request_id}"' if _OWN_ID(request_id) else json.dumps(self.text(request_id))

    def value(self, name: str, value: object) -> object:
        """An event's field, made of plain values only."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if _KEY_FIELD.search(name):
            return HIDDEN
        if isinstance(value, dict):
            return {str(key): self.value(str(key), one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(name, one) for one in value]
        return self.text(str(value))
