"""What of an answer a moderation has still to be asked about, where it comes in pieces or is long."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.core.screen.texts import Key

MOST = 100_000
"""Characters that a moderation is asked about at once."""
BEFORE = 1000
"""Characters before them that it sees again, so that a sentence is judged as a whole."""


def parts(text: str) -> Iterator[str]:
    """A text in parts of at most `MOST` characters, of which each begins with the end of the one before."""
    yield text[:MOST]
    for end in range(MOST, len(text), MOST - BEFORE):
        yield text[end - BEFORE : end - BEFORE + MOST]


class Window:
    """Slides over the texts of one answer. Counts characters over all of them."""

    __slots__ = ("_ends", "_fresh", "asked", "heard", "judged")

    def __init__(self) -> None:
        self._fresh: dict[Key, list[str]] = {}
        self._ends: dict[Key, str] = {}
        self.heard = 0
        """All that has come."""
        self.asked = 0
        """Of it, what was taken to be asked about."""
        self.judged = 0
        """Of it, what may go out. Set by whoever asks."""

    def feed(self, key: Key, piece: str) -> None:
        """A piece of a text has come."""
        self._fresh.setdefault(key, []).append(piece)
        self.heard += len(piece)

    def take(self) -> list[str]:
        """All that is to be asked about now, with what stands before it. It holds as far as `asked` then says."""
        texts = [self._ends.get(key, "") + "".join(pieces) for key, pieces in self._fresh.items()]
        self._ends.update(zip(self._fresh, (text[-BEFORE:] for text in texts), strict=True))
        self._fresh.clear()
        self.asked = self.heard
        return list(parts("\n\n".join(texts)))
