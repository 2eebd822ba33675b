"""What a model can do, as far as it is known."""

from __future__ import annotations

from typing import NamedTuple

CAPABILITIES = (
    *("vision", "audio", "files", "tools", "json_schema", "reasoning", "embeddings"),
    *("n", "logprobs", "audio_output"),
)
"""Pictures, sound and documents that go in; functions that it may call; answers that keep to a schema; reasoning
before the answer; vectors instead of answers; several answers to one request; how probable each token was; answers in
sound."""


class Ability(NamedTuple):
    """What is not said is unknown, which is neither yes nor no."""

    context: int | None = None
    """Tokens of input and output together."""
    output: int | None = None
    """Tokens of one answer, at most."""
    has: frozenset[str] = frozenset()
    """Capabilities that it has."""
    lacks: frozenset[str] = frozenset()
    """Capabilities that it is known not to have."""
    dated: str = ""
    """ISO date from which this is known; empty: as declared by the operator, or nothing is known."""

    def can(self, capability: str) -> bool | None:
        """`None`: nobody knows."""
        return True if capability in self.has else False if capability in self.lacks else None

    def over(self, other: Ability) -> Ability:
        """This, and where it says nothing the other."""
        return Ability(
            other.context if self.context is None else self.context,
            other.output if self.output is None else self.output,
            self.has | (other.has - self.lacks),
            self.lacks | (other.lacks - self.has),
            self.dated or other.dated,
        )


UNKNOWN = Ability()
