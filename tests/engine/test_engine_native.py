"""A request in another API's words goes as it is to a target that speaks it, and translated to all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxy.core.chat import Native
from proxy.core.failure import FailureKind as K
from tests.engine.dialects import install
from tests.engine.stage import DONE, Asked, Stage, answer, finish, refusal, word

OnLoop = Callable[[Callable[[], None]], None]
SPEAKS = {"a": {"type": "vllm"}}
CONTINUING: dict[str, dict[str, Any]] = {"a": {"type": "vllm", "prefill": True}, "b": {"prefill": True}}
BODY = {"model": "chat", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]}
PLAIN = Native("messages", BODY)


@pytest.fixture(autouse=True)
def dialects(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def ask(stage: Stage, native: Native = PLAIN, *, stream: bool = True) -> Asked:
    return stage.ask(native=native, stream=stream)


def won(one: Asked) -> Any:
    assert one.client.won is not None
    return one.client.won


def test_a_stream_is_handed_on_in_the_apis_own_bytes(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=SPEAKS)
        one = ask(stage)
        assert stage.flights[0].asked == BODY
        events = [word("Hel"), word("lo"), finish()]
        stage.flights[0].stream(*events, DONE)
        assert one.client.ends == ["closed"]
        assert one.client.body == b"".join(events)
        assert (won(one).native, won(one).target) == ("messages", "a/m")

    on_loop(story)


def test_a_whole_answer_too(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=SPEAKS, reply_model="route")
        one = ask(stage, stream=False)
        spaced = answer().replace(b":", b": ")
        stage.flights[0].whole(spaced)
        assert one.client.body == spaced and won(one).native == "messages"

    on_loop(story)


def test_before_the_commit_another_target_takes_over_in_its_own_words(on_loop: OnLoop) -> None:
    def story() -> None:
        for stream in (True, False):
            stage = Stage("ab", backends=SPEAKS)
            one = ask(stage, stream=stream)
            stage.flights[0].fail(K.RESET)
            assert stage.flights[1].at == "b"
            assert stage.flights[1].asked["messages"][0]["content"] == "Say hello.", "the translated request"
            if stream:
                stage.flights[1].stream(word("Hello"), finish(), DONE)
            else:
                stage.flights[1].whole()
            assert one.client.ends == ["closed" if stream else "whole"]
            assert (won(one).native, won(one).target) == ("", "b/m")

    on_loop(story)


def test_a_target_that_speaks_it_takes_over_from_one_that_does_not(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ba", backends=SPEAKS)
        one = ask(stage)
        stage.flights[0].whole(refusal(503), 503)
        assert stage.flights[1].asked == BODY
        stage.flights[1].stream(word("Hello"), finish(), DONE)
        assert won(one).native == "messages"

    on_loop(story)


def test_after_the_commit_nobody_goes_on_in_its_words(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=CONTINUING, on_cut="continue")
        one = ask(stage)
        stage.flights[0].stream(word("Hel"))
        assert one.exchange.story is None, "and nothing is kept for it"
        stage.flights[0].fail(K.RESET)
        assert one.client.ends == ["broken"] and len(stage.flights) == 1
        assert one.client.failure is not None and one.client.failure.kind is K.RESET
        assert one.client.body == word("Hel")
        assert stage.books.finishes[0].ended.value == "cut"

    on_loop(story)


def test_an_answer_in_chat_completions_words_is_gone_on_with_as_ever(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ba", backends=CONTINUING, on_cut="continue")
        one = ask(stage)
        stage.flights[0].stream(word("Hello"))
        stage.flights[0].fail(K.RESET)
        assert stage.flights[1].at == "a"
        assert stage.flights[1].asked["messages"][-1] == {"role": "assistant", "content": "Hello"}
        stage.flights[1].stream(word(" you"), finish(), DONE)
        assert one.client.ends == ["closed"] and won(one).native == ""

    on_loop(story)


LOSSY = Native("messages", BODY, lost=("container",), minor=("cache_control",))


def test_what_chat_completions_cannot_express_goes_first_to_those_that_speak_the_api(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ba", backends=SPEAKS)
        one = ask(stage, LOSSY)
        assert stage.flights[0].at == "a" and stage.flights[0].asked == BODY
        stage.flights[0].fail(K.RESET)
        assert stage.flights[1].at == "b"
        stage.flights[1].stream(word("Hello"), finish(), DONE)
        assert won(one).dropped == ("container", "cache_control")

    on_loop(story)


def test_what_only_tunes_the_apis_own_server_is_no_reason_to_prefer_it(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ba", backends=SPEAKS, unsupported="refuse")
        one = ask(stage, LOSSY._replace(lost=()))
        assert stage.flights[0].at == "b"
        stage.flights[0].stream(word("Hello"), finish(), DONE)
        assert won(one).dropped == ("cache_control",)

    on_loop(story)


def test_refuse_names_what_only_the_apis_own_server_could_express(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("b", backends=SPEAKS, unsupported="refuse")
        one = ask(stage, LOSSY)
        assert not stage.flights
        assert one.client.failure is not None and one.client.failure.param == "container"

    on_loop(story)


def test_what_only_the_apis_own_server_can_be_asked_goes_nowhere_else(on_loop: OnLoop) -> None:
    def story() -> None:
        only = PLAIN._replace(only="Only its own server has that.")
        for policy in ("next", "drop", "refuse"):
            stage = Stage("ba", backends=SPEAKS, unsupported=policy)
            one = ask(stage, only)
            assert stage.flights[0].at == "a"
            stage.flights[0].fail(K.RESET)
            assert one.client.failure is not None and one.client.failure.kind is K.RESET
            alone = ask(Stage("b", unsupported=policy), only)
            assert alone.client.failure is not None
            assert alone.client.failure.message == "Only its own server has that."

    on_loop(story)


def test_an_answer_that_is_held_is_sent_when_it_is_whole(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", backends=SPEAKS, on_cut="hold")
        one = ask(stage)
        stage.flights[0].stream(word("Hel"))
        stage.flights[0].fail(K.RESET)
        assert not one.client.body
        stage.flights[1].stream(word("Hello"), finish(), DONE)
        assert one.client.ends == ["closed"] and won(one).native == ""

    on_loop(story)
