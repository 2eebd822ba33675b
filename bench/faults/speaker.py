"""A backend that knows the answers and how to go on with one: whole, or in the ways that real ones get wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from bench.faults.story import (
    Count,
    arguments,
    asked,
    counted,
    everything_said,
    german,
    pieces,
    prompt_tokens,
    story,
    words_of,
)
from bench.faults.voice import Voice
from tests.upstream import Request
from tests.upstream_answers import Cut, error
from tests.upstream_steps import Behaviour

SHORTEST = 6
"""Characters of an answer that somewhere in a request are taken for its beginning."""
_LAST_SENTENCE = re.compile(r"[^.。]*[.。]?\s*\Z")
PREAMBLE = "Of course! Here is the story, exactly as you wanted it.\n\n"


class Turn(NamedTuple):
    """What a request wants of a story."""

    kind: str
    """`fresh`, `prefill` (the partial answer is the last message) or `ask` (told in words to go on)."""
    number: int
    given: str
    """How much of the answer the request brings along."""


Manner = Callable[[Turn], str]
"""What is said to a turn."""
Saying = Callable[[Voice, str, Count], Behaviour]
"""How it is said, as a stream."""


def exact(turn: Turn) -> str:
    """The rest, from the very next character."""
    return story(turn.number)[len(turn.given) :]


def repeats(turn: Turn) -> str:
    """The last sentence over again, and then the rest."""
    last = _LAST_SENTENCE.search(turn.given)
    return (last[0] if last else "") + exact(turn)


def preamble(turn: Turn) -> str:
    """Some words about the answer, and then the rest."""
    return PREAMBLE + exact(turn)


def foreign(turn: Turn) -> str:
    """Another language."""
    return german(turn.number)


def turn_of(body: dict[str, Any]) -> Turn:
    """What a request wants. Raises ValueError when it is about no story."""
    number = asked(body)
    text = story(number)
    last = body["messages"][-1]
    if last["role"] == "assistant":
        return Turn("prefill", number, words_of(last))
    said = everything_said(body)
    given = _longest_beginning(text, said)
    return Turn("ask" if given else "fresh", number, given)


def _longest_beginning(text: str, said: str) -> str:
    """The longest beginning of `text` that occurs in `said`."""
    low, high = 0, len(text)
    while low < high:  # whatever contains a longer beginning contains the shorter ones too
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text[:middle] in said else (low, middle - 1)
    return text[:low] if low >= SHORTEST else ""


@dataclass
class Speaker:
    """Answers in any of the three ways. `prefill=None` refuses a request that ends in an assistant's message.

    `say`: how a stream is said, where not simply well. `cuts`: for the requests in order, how many characters of what
    is to be said come before the stream dies, `None` for a whole answer; the last one holds for all that follow.
    """

    voice: Voice
    fresh: Manner = exact
    prefill: Manner | None = exact
    ask: Manner = exact
    cuts: tuple[int | None, ...] = (None,)
    how: Cut = "close"
    say: Saying | None = None
    call_id: str = "call_1"
    turns: list[Turn] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    def __call__(self, request: Request, n: int) -> Behaviour:
        body = request.json
        turn = turn_of(body)
        self.turns.append(turn)
        if turn.kind == "prefill" and not story(turn.number).startswith(turn.given):
            self.surprises.append(f"a partial answer that nobody gave: {turn.given[-60:]!r}")
        if turn.kind == "prefill" and self.prefill is None:
            return error(400, "The last message must not be from the assistant.", type_="invalid_request_error")
        cut = self.cuts[min(len(self.turns) - 1, len(self.cuts) - 1)]
        voice = replace(self.voice, id_=f"{self.voice.id_}-{turn.number}")
        if body.get("tools"):
            return self._tool(voice, turn, body, cut)
        manner = {"fresh": self.fresh, "prefill": self.prefill or exact, "ask": self.ask}[turn.kind]
        text = manner(turn)
        count = Count(prompt_tokens(body), counted([text]))
        if cut is not None:
            rest = pieces(text[cut:])
            said = [voice.role(), *voice.words(text[:cut])]
            return voice.cut(said, voice.word(rest[0]) if rest else voice.last(), self.how)
        return self.say(voice, text, count) if self.say else voice.answer(request, text, count)

    def _tool(self, voice: Voice, turn: Turn, body: dict[str, Any], cut: int | None) -> Behaviour:
        wanted = arguments(turn.number)
        if cut is None:
            return voice.tool_stream(wanted, self.call_id, Count(prompt_tokens(body), counted([wanted])))
        return voice.cut(voice.tool_words(wanted[:cut], self.call_id), b"", self.how)
