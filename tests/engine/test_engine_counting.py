"""With tokenizers a request that is near a bound is counted, in live traffic and in what is explained of it alike."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import orjson

from proxy.app.tokenizers import ByModel
from proxy.core.chat import ChatRequest
from proxy.core.choice.wish import Wish, wish_of
from proxy.core.failure import FailureKind
from proxy.engine.exchange import Exchange
from tests.engine.stage import Client, Stage

Story = Callable[[Callable[[], None]], None]
SMALL = {"target": "a/m", "capabilities": {"context": 1000}}


class Words:
    """Of one process: the tokenizer takes each word for a token, and notes that it was asked."""

    def __init__(self, vocabulary: str = "words") -> None:
        self.texts: list[str] = []
        self.own = ByModel("m")
        self.own.encode = self._encode
        self.own.vocabulary = vocabulary

    def __call__(self, _model: str) -> ByModel:
        return self.own

    def _encode(self, text: str) -> list[int]:
        self.texts.append(text)
        return [0] * len(text.split())


def ask(stage: Stage, text: str, wish: Wish | None = None, **more: Any) -> Exchange:
    """Explained first, then started: both are the same."""
    body = {"model": "chat", "messages": [{"role": "user", "content": text}], **more}
    request = ChatRequest(orjson.dumps(body), body, "chat", False, False, wish=wish)
    road = stage.roads.find("chat")
    assert road is not None
    exchange = stage.engine.exchange(road, request, Client(), "r", "")
    choices, now = stage.engine.choices, exchange.began
    told = choices.explain(exchange.road, exchange.request, "", stage.engine.trouble, now, random.Random(0).random)
    exchange.start()
    assert exchange.choice is None or exchange.choice == told
    return exchange


def test_what_fits_by_its_tokenizer_is_sent_however_many_characters_it_has(on_loop: Story) -> None:
    def story() -> None:
        words = Words()
        stage = Stage([SMALL, "b"], counter=words)
        ask(stage, "extraordinarily " * 600)  # 2,400 by its characters
        assert [flight.at for flight in stage.flights] == ["a"]
        assert words.texts
        plain = Stage([SMALL, "b"])
        ask(plain, "extraordinarily " * 600)
        assert [flight.at for flight in plain.flights] == ["b"]

    on_loop(story)


def test_what_does_not_fit_by_its_tokenizer_is_refused_unsent(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage([SMALL], counter=Words())
        one = ask(stage, "a b " * 600)  # 600 by its characters
        assert not stage.flights and one.over
        assert stage.books.finishes[-1].failure is FailureKind.CONTEXT_LENGTH

    on_loop(story)


def test_plain_requests_pay_nothing(on_loop: Story) -> None:
    def story() -> None:
        words = Words()
        stage = Stage([SMALL, "b"], counter=words)
        ask(stage, "Hello")
        ask(stage, "Hello", max_tokens=100)
        ask(stage, "Hello", wish_of({"max_cost": 1}))
        assert len(stage.flights) == 3 and not words.texts

    on_loop(story)


def test_two_requests_that_look_alike_but_count_otherwise_get_each_its_own(on_loop: Story) -> None:
    """As many characters, so that they would share what was worked out for the first of them."""

    def story() -> None:
        stage = Stage([SMALL, "b"], counter=Words())
        for text in ("a b c d ", "abcdefg ", "a b c d ", "abcdefg "):
            ask(stage, text * 300)
        assert [flight.at for flight in stage.flights] == ["b", "a", "b", "a"]

    on_loop(story)


def test_a_rule_and_a_bound_on_money_are_counted_for_too(on_loop: Story) -> None:
    def story() -> None:
        ruled = Stage("ab", counter=Words(), rules=[{"when": {"tokens": ">1000"}, "use": "b/m"}])
        for text in ("a b c d ", "abcdefg "):
            ask(ruled, text * 300)
        assert [flight.at for flight in ruled.flights] == ["b", "a"]
        cheap = {"target": "b/m", "price": {"input": 0.1, "output": 0.1}}
        bound = Stage(["a", cheap], counter=Words())
        for text in ("a b c d ", "abcdefg "):
            ask(bound, text * 300, wish_of({"max_cost": 0.0008}), max_tokens=1)
        assert [flight.at for flight in bound.flights] == ["b", "a"]

    on_loop(story)


def test_until_the_vocabulary_is_loaded_tokens_are_estimated(on_loop: Story) -> None:
    def story() -> None:
        words = Words("")
        stage = Stage([SMALL, "b"], counter=words)
        ask(stage, "extraordinarily " * 600)
        assert [flight.at for flight in stage.flights] == ["b"] and not words.texts
        words.own.vocabulary = "words"
        ask(stage, "extraordinarily " * 600)
        assert [flight.at for flight in stage.flights] == ["b", "a"]

    on_loop(story)
