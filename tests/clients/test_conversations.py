"""A conversation that goes on at another provider at each turn, with tools and thinking in its history.

Every upstream takes only what its provider describes, and only calls that have their results (tests/clients/replay.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Protocol

import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.clients.conftest import KEY, Stage
from tests.clients.recordings import PROVIDERS, TEXT, TOOLS, said
from tests.clients.scripts import told_tools

pytestmark = pytest.mark.slow
ORDERS = [(*PROVIDERS[n:], *PROVIDERS[: n + 1]) for n in range(len(PROVIDERS))]
"""Each provider is the first once, and is come back to at the end."""


SIGNED = re.compile(r'"(?:thoughtSignature|signature)": ?"([^"]{40,})"')
SIGNATURES = {
    streamed: [
        (provider, signature)
        for provider, scene in TOOLS.items()
        for signature in SIGNED.findall((scene.stream if streamed else scene.whole).body.decode())
    ]
    for streamed in (False, True)
}
"""Of thoughts, with the one provider that understands them: whole answers have Gemini's, streams Anthropic's too."""


class Way(Protocol):
    """A client that keeps the history. Calls are (id, name, arguments)."""

    def ask(self, text: str) -> None:
        """The user says something."""

    def answer(self, model: str, streamed: bool) -> tuple[str, list[tuple[str, str, Any]]]:
        """The model's answer, which goes into the history as it came."""

    def results(self, found: list[tuple[str, str]]) -> None:
        """(id, result) of each call."""


class Chat:
    """The openai SDK's messages."""

    def __init__(self, url: str) -> None:
        self.client = OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=30)
        self.messages: list[Any] = []

    def ask(self, text: str) -> None:
        self.messages.append({"role": "user", "content": text})

    def answer(self, model: str, streamed: bool) -> tuple[str, list[tuple[str, str, Any]]]:
        given: Any = {"model": model, "messages": self.messages, "tools": told_tools.CHAT}
        if streamed:
            with self.client.chat.completions.stream(**given) as events:
                message: Any = events.get_final_completion().choices[0].message
        else:
            message = self.client.chat.completions.create(**given).choices[0].message
        self.messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
        calls = [(c.id, c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or []]
        return message.content or "", calls

    def results(self, found: list[tuple[str, str]]) -> None:
        self.messages += [{"role": "tool", "tool_call_id": id_, "content": result} for id_, result in found]


class Messages:
    """The anthropic SDK's messages."""

    def __init__(self, url: str) -> None:
        self.client = Anthropic(base_url=url, api_key=KEY, max_retries=0, timeout=30)
        self.messages: list[Any] = []

    def ask(self, text: str) -> None:
        self.messages.append({"role": "user", "content": text})

    def answer(self, model: str, streamed: bool) -> tuple[str, list[tuple[str, str, Any]]]:
        given: Any = {"model": model, "max_tokens": 3000, "messages": self.messages, "tools": told_tools.MESSAGES}
        if streamed:
            with self.client.messages.stream(**given) as events:
                message: Any = events.get_final_message()
        else:
            message = self.client.messages.create(**given)
        self.messages.append(
            {"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in message.content]}
        )
        calls = [(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"]
        return "".join(block.text for block in message.content if block.type == "text"), calls

    def results(self, found: list[tuple[str, str]]) -> None:
        blocks = [{"type": "tool_result", "tool_use_id": id_, "content": result} for id_, result in found]
        self.messages.append({"role": "user", "content": blocks})


class Responses:
    """The openai SDK's items of responses."""

    def __init__(self, url: str) -> None:
        self.client = OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=30)
        self.items: list[Any] = []

    def ask(self, text: str) -> None:
        self.items.append({"role": "user", "content": text})

    def answer(self, model: str, streamed: bool) -> tuple[str, list[tuple[str, str, Any]]]:
        given: Any = {"model": model, "input": self.items, "tools": told_tools.RESPONSES, "store": False}
        given["include"] = ["reasoning.encrypted_content"]
        if streamed:
            with self.client.responses.stream(**given) as events:
                answer: Any = events.get_final_response()
        else:
            answer = self.client.responses.create(**given)
        leave = {"parsed_arguments", "parsed"}
        self.items += [item.model_dump(exclude_none=True, exclude=leave) for item in answer.output]
        calls = [(i.call_id, i.name, json.loads(i.arguments)) for i in answer.output if i.type == "function_call"]
        return answer.output_text, calls

    def results(self, found: list[tuple[str, str]]) -> None:
        self.items += [{"type": "function_call_output", "call_id": id_, "output": result} for id_, result in found]


WAYS = {"chat": Chat, "messages": Messages, "responses": Responses}


@pytest.fixture(params=WAYS)
def way(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Way]:
    """A client with an empty history."""
    made: Any = WAYS[request.param](stage.server.url)
    with made.client:
        yield made


def route(provider: str) -> str:
    """Where OpenAI's turn is served by a provider that answers members of messages it does not know with an error."""
    return "groq-tools" if provider == "openai" else f"{provider}-tools"


def turn(way: Way, provider: str, streamed: bool, then: str) -> None:
    """A question, the calls of `provider`, their results, and the last words of `then`."""
    way.ask(f"Weather, {provider}?")
    expected = TOOLS[provider].stream if streamed else TOOLS[provider].whole
    _, calls = way.answer(route(provider), streamed)
    assert [(name, given) for _, name, given in calls] == said(expected).calls
    way.results([(id_, told_tools.FUNCTIONS[name](**given)) for id_, name, given in calls])
    text, calls = way.answer(route(then), streamed)
    assert (text, calls) == (said(TEXT[then].stream if streamed else TEXT[then].whole).text, [])


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("order", ORDERS, ids=["-".join(order[:4]) for order in ORDERS])
def test_each_turn_is_at_another_provider(stage: Stage, way: Way, order: tuple[str, ...], streamed: bool) -> None:
    before = len(stage.there.up.requests)
    for provider in order:
        turn(way, provider, streamed, provider)
    bodies = [request.body.decode() for request in stage.there.up.requests[before:]]
    assert len(bodies) == 2 * len(order)
    assert [bodies[-1].count(f"Weather, {provider}?") for provider in order[1:]] == [1, 1, 1, 2]
    for n, body in enumerate(bodies):
        for provider, signature in SIGNATURES[streamed]:
            assert provider == order[n // 2] or signature not in body
    mine = [signature for provider, signature in SIGNATURES[streamed] if provider == order[0]]
    assert all(signature in bodies[-1] for signature in mine)
    assert bodies[-1].count("sun in ") == sum(len(calls(provider, streamed)) for provider in order)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("order", ORDERS, ids=["-".join(order[:4]) for order in ORDERS])
def test_the_results_go_to_another_provider_than_the_calls_came_from(
    way: Way, order: tuple[str, ...], streamed: bool
) -> None:
    for provider, other in pairwise(order):
        turn(way, provider, streamed, other)


def calls(provider: str, streamed: bool) -> list[Any]:
    """Of its recorded answer."""
    return said(TOOLS[provider].stream if streamed else TOOLS[provider].whole).calls
