"""From tokens' bytes to text that may be shown: whole characters only, and nothing of a stop sequence. Pure."""

from __future__ import annotations

import codecs


class ShownText:
    """Bytes in, text out. A token may end inside a character, and a stop sequence may span tokens: both are held."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False
        """A stop sequence has come; nothing more is shown."""

    @property
    def holds(self) -> bool:
        """Some of what came is not shown yet."""
        return bool(self._held) or self._decoder.getstate()[0] != b""

    def feed(self, data: bytes) -> str:
        """What these bytes allow to be shown."""
        return self._show(self._decoder.decode(data))

    def close(self) -> str:
        """What was held back and is no stop sequence after all."""
        shown = self._show(self._decoder.decode(b"", True))
        if self.stopped:
            return shown
        shown, self._held = shown + self._held, ""
        return shown

    def _show(self, text: str) -> str:
        if self.stopped:
            return ""
        held = self._held + text
        found = [at for stop in self._stops if (at := held.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return held[: min(found)]
        keep = max((_overlap(held, stop) for stop in self._stops), default=0)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` could be the beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
