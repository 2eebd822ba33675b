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
_NAMES_KEPT = 20_000
"""Of routes, targets and keys."""
_KEY_FIELD = re.compile(r"api[-_]?key|authorization|password|secret", re.IGNORECASE)


class Scrubber:
    """Takes known secrets, and what looks like one, out of texts."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first, in case one is contained in another.
        known = sorted({one for one in secrets if len(one) >= _MIN_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None
        self.quoted = Quoted(self)

    def text(self, text: str) -> str:
        """The text with `***` for each key in it."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _KEY.sub(HIDDEN, text)

    def quoted_id(self, request_id: str) -> str:
        """The same for a request's id, which is free of keys where it is one of ours."""
        return f'"{request_id}"' if _OWN_ID(request_id) else self.json(request_id)

    def json(self, text: str) -> str:
        """A text as JSON."""
        return json.dumps(self.text(text))

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


class Quoted(dict[str, str]):
    """Texts as JSON that come again and again, by themselves: the names of routes, targets, keys. A dict that fills
    itself, since each line of the log has three of them and a call takes twice as long as a look."""

    def __init__(self, scrub: Scrubber) -> None:
        self._scrub = scrub

    def __missing__(self, name: str) -> str:
        if len(self) >= _NAMES_KEPT:
            self.clear()
        found = self[name] = self._scrub.json(name)
        return found
