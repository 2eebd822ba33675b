"""What it is worth that a conversation stays with its target: the share of its input that comes from the provider's
prompt cache, played with upstreams that cache as OpenAI says it does (platform.openai.com/docs/guides/prompt-caching:
prompts of 1024 tokens and more, in steps of 128)."""

from __future__ import annotations

import asyncio
import random
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.engine.stage import Stage
from tests.upstream_answers import completion, dumps
from tests.upstream_steps import Tokens

TURNS, CONVERSATIONS = 10, 60
BEGINS, GROWS = 900, 400
"""Tokens of a conversation's first prompt, and by how many each turn makes it longer."""
PRICE = {"input": 2.5, "output": 10, "cached_input": 1.25}
DOCS = Path(__file__).parents[2] / "docs" / "choosing.md"


def cached(seen: dict[tuple[str, str], int], at: str, conversation: str, tokens: int) -> int:
    """Tokens that this upstream takes from its cache; it has the prompt in it from now on."""
    known = seen.get((at, conversation), 0)
    seen[at, conversation] = tokens
    return known // 128 * 128 if known >= 1024 else 0


async def play(*, sticky: bool) -> tuple[float, float]:
    """The share of all input that came from caches, and US dollars for it all."""
    backends = {name: {"price": PRICE} for name in "abc"}
    stage = Stage("abc", backends=backends, strategy="weighted", sticky=sticky)
    dice, seen = random.Random(11), dict[tuple[str, str], int]()
    turns = [name for name in range(CONVERSATIONS) for _ in range(TURNS)]
    dice.shuffle(turns)
    said: dict[int, list[dict[str, Any]]] = {}
    whole = spared = 0
    for number in turns:
        messages = said.setdefault(number, [{"role": "system", "content": f"You are number {number}."}])
        messages.append({"role": "user", "content": "And then?"})
        turn = len(messages) // 2
        tokens = BEGINS + GROWS * turn
        stage.ask(stream=False, messages=list(messages))
        flight = stage.flights.pop()
        part = cached(seen, flight.at, str(number), tokens)
        answer = completion("Then.", Tokens(tokens, 100))
        answer["usage"]["prompt_tokens_details"] = {"cached_tokens": part}
        flight.whole(dumps(answer))
        messages.append({"role": "assistant", "content": "Then."})
        whole += tokens
        spared += part
    costs = [outcome.cost for outcome in stage.books.outcomes if outcome.cost is not None]
    assert len(costs) == len(turns)
    return spared / whole, float(sum(costs, Decimal(0)))


def test_a_conversation_that_stays_is_read_from_the_cache_for_the_most_part_as_the_docs_say() -> None:
    moves, dear = asyncio.run(play(sticky=False))
    stays, cheap = asyncio.run(play(sticky=True))
    assert stays > 0.75 > 0.65 > moves
    assert cheap < 0.9 * dear
    figures = r"(\d+) % of the input comes from caches without it, (\d+) % with it.*?(\d+) % less"
    found = re.search(figures, DOCS.read_text(), re.DOTALL)
    assert found is not None
    told = [int(number) for number in found.groups()]
    assert told == [round(100 * moves), round(100 * stays), round(100 * (1 - cheap / dear))]
