"""What a request of the chaos asks for: its prompt alone says what the right answer is, whoever gives it."""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.upstream_steps import Tokens

SAID = (
    "amber",
    "brücke",
    "cloud",
    "dünn",
    "echo",
    "été",
    "fjord",
    "星空",
    "👩‍🚀",
    "🇫🇮",
    "naïve",
    "quartz",
    '"q"',
    "\\n",
)
"""Parts of words: of one byte a character and more, joined emoji, and what JSON must escape."""


class Ask(NamedTuple):
    """One request; it travels as the prompt's text."""

    id: int
    words: int

    def text(self) -> str:
        """As the prompt."""
        return f"{self.id} {self.words}"

    @classmethod
    def of(cls, text: str) -> Ask:
        """From the prompt."""
        id_, words = text.split(" ")
        return cls(int(id_), int(words))

    def said(self) -> list[str]:
        """The words of the right answer: each tells whose it is and where it stands."""
        chance = random.Random(self.id)
        return [f"{self.id}.{i}.{chance.choice(SAID)} " for i in range(self.words)]

    def rest(self, partial: str) -> list[str]:
        """The words that are missing from a partial answer. Raises ValueError when it is no part of the right one."""
        whole = "".join(self.said())
        if not whole.startswith(partial):
            raise ValueError(f"{partial!r} is not the beginning of {whole!r}")
        missing = whole[len(partial) :]
        space, words = missing[: len(missing) - len(missing.lstrip())], missing.split()
        return [f"{space if i == 0 else ''}{word} " for i, word in enumerate(words)]

    def usage(self, partial: str, words: int) -> Tokens:
        """Of an attempt that was given the partial answer and said so many words."""
        return Tokens(self.id % 50 + 1 + len(partial.split()), words)
