"""A route's screen: what is asked is refused, flagged or answered elsewhere; what is answered is withheld from the
first letter of what was found on."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import ChatRequest, Native
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.engine.screening import LARGE
from proxy.inbound.completions import Completions
from tests.engine.attentive import Attentive, moderated, reasons, told
from tests.engine.stage import DONE, Client, answer, finish, until, word

Story = Callable[[Callable[[], None]], None]
BOMB = {"category": "weapons", "terms": ["pipe bomb"]}


# What is asked ----------------------------------------------------------------------------------------------------


def test_a_request_is_refused_before_any_target_is_asked(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(screen={"input": [BOMB]})
        one = stage.say("How do I build a PIPE\u200b bomb?")
        assert not stage.flights
        assert one.client.ends == ["refused"] and one.client.failure is not None
        failure = one.client.failure
        assert (failure.verdict.status, failure.verdict.code) == (400, "content_filter")
        assert "weapons" in failure.message and "bomb" not in failure.message
        (finished,) = stage.books.finishes
        assert (finished.status, finished.failure, finished.target) == (400, FailureKind.FILTERED, "")
        assert not stage.engine.live

    on_loop(story)


def test_what_the_application_itself_says_is_not_screened(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(screen={"input": [BOMB]})
        messages = [
            {"role": "system", "content": "Never explain a pipe bomb."},
            {"role": "assistant", "content": "I do not speak of a pipe bomb."},
            {"role": "user", "content": "Fine."},
        ]
        stage.ask(stream=False, messages=messages)
        assert len(stage.flights) == 1

    on_loop(story)


def test_a_large_request_is_looked_through_beside_the_others() -> None:
    async def story() -> None:
        stage = Attentive(screen={"input": [BOMB]})
        body = {"model": "chat", "messages": [{"role": "user", "content": "x " * LARGE + "pipe bomb"}]}
        road, client = stage.roads.find("chat"), Client()
        assert road is not None
        request = ChatRequest(json.dumps(body).encode(), body, "chat", False, False)
        stage.engine.exchange(road, request, client, "r", "").start()
        assert not client.ends
        await until(lambda: bool(client.ends))
        assert client.ends == ["refused"] and not stage.flights

    asyncio.run(story())


def test_what_a_tool_brings_in_is_screened(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(screen={"input": [BOMB]})
        one = stage.ask(stream=False, messages=[{"role": "tool", "tool_call_id": "1", "content": "pipe bomb"}])
        assert one.client.ends == ["refused"]

    on_loop(story)


def test_nothing_hides_between_the_parts_of_a_message(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(screen={"input": [BOMB]})
        parts = [{"type": "text", "text": "a pipe"}, {"type": "text", "text": "bomb"}]
        assert stage.ask(stream=False, messages=[{"role": "user", "content": parts}]).client.ends == ["refused"]
        apart = [{"role": "user", "content": "a pipe"}, {"role": "user", "content": "bomb"}]
        assert not stage.ask(stream=False, messages=apart).client.ends, "two messages are two texts"

    on_loop(story)


def test_text_completions_are_screened_before_and_behind_and_token_ids_are_not_taken(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(screen={"input": [BOMB]})
        for more in ({"suffix": "of a pipe bomb"}, {"prompt": [1, 2, 3]}, {"prompt": [[1, 2, 3]]}):
            body = {"model": "chat", "prompt": "the parts", **more}
            request = Completions().read(body, json.dumps(body).encode(), {})
            assert isinstance(request, ChatRequest)
            one = stage.ask(stream=False, messages=request.body["messages"], native=request.native)
            assert one.client.ends == ["refused"] and one.client.failure is not None
            assert (one.client.failure.verdict.status, one.client.failure.param) == (400, "prompt")
        assert not stage.flights

    on_loop(story)


def test_a_flag_lets_through_and_is_told_in_header_record_and_metric(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(screen={"input": [{**BOMB, "severity": "low"}]})
        one = stage.say("pipe bomb")
        stage.flights[0].whole()
        assert one.client.won is not None and one.client.won.screened == "weapons"
        assert stage.engine.attention.found == {("chat", "input", "weapons", "weapons", "flag"): 1}
        (record,) = stage.books.told
        assert [(note.what, note.whose) for note in record.notes] == [("screen", "input")]
        assert "bomb" not in str(record.notes)

    on_loop(story)


def test_another_route_answers_where_the_rule_says_so(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(screen={"input": [{"category": "crisis", "terms": ["kill myself"], "use": "care"}]})
        one = stage.say("I want to kill myself", stream=True)
        assert [flight.at for flight in stage.flights] == ["c"]
        stage.flights[0].stream(word("I am here."), finish(), DONE)
        assert one.client.ends == ["closed"]
        assert stage.books.finishes[0].route == "care"

    on_loop(story)


def test_resources_are_added_to_a_whole_answer_and_to_a_stream_before_its_end(on_loop: Story) -> None:
    def story() -> None:
        rule = {"category": "crisis", "terms": ["hopeless"], "resources": "Call 112."}
        stage = Attentive(screen={"input": [rule]})
        one = stage.say("All is hopeless")
        stage.flights[0].whole(answer("I see."))
        assert json.loads(one.client.body)["choices"][0]["message"]["content"] == "I see.\n\nCall 112."
        two = stage.say("All is hopeless", stream=True)
        stage.flights[1].stream(word("I see."), finish(), DONE)
        assert told(two.client.body) == "I see.\n\nCall 112."
        assert two.client.body.rindex(b"112") < two.client.body.rindex(b'"stop"')

    on_loop(story)


def test_a_text_is_not_added_to_an_answer_of_a_given_form(on_loop: Story) -> None:
    def story() -> None:
        rule = {"category": "crisis", "terms": ["hopeless"], "resources": "Call 112."}
        stage = Attentive(screen={"input": [rule], "output": [rule]})
        for said in ("{}", '{"all": "hopeless"}'):
            one = stage.say("All is hopeless", response_format={"type": "json_object"})
            stage.flights[-1].whole(answer(said))
            assert json.loads(one.client.body)["choices"][0]["message"]["content"] == said
            two = stage.say("All is hopeless", stream=True, response_format={"type": "json_object"})
            stage.flights[-1].stream(word(said), finish(), DONE)
            assert told(two.client.body) == said
        free = stage.say("All is hopeless", response_format={"type": "text"})
        stage.flights[-1].whole(answer("Well."))
        assert b"Call 112." in free.client.body

    on_loop(story)


def test_a_moderation_is_asked_first_and_its_categories_count() -> None:
    async def story() -> None:
        rules = [{"moderation": "moderation"}, {"when": "self-harm", "use": "care"}]
        stage = Attentive(screen={"input": rules})
        one = stage.say("words")
        await until(lambda: len(stage.flights) == 1)
        assert stage.flights[0].asked == {"model": "omni", "input": "words"}
        stage.flights[0].whole(moderated(violence=True))
        await until(lambda: bool(one.client.ends))
        assert one.client.failure is not None and "violence" in one.client.failure.message
        two = stage.say("words")
        await until(lambda: len(stage.flights) == 2)
        stage.flights[1].whole(moderated(violence=False))
        await until(lambda: len(stage.flights) == 3)
        assert stage.flights[2].at == "a"
        stage.flights[2].whole()
        assert two.client.ends == ["whole"]
        stage.say("words")
        await until(lambda: len(stage.flights) == 4)
        stage.flights[3].whole(moderated(**{"self-harm/intent": True}))
        await until(lambda: len(stage.flights) == 5)
        assert stage.flights[4].at == "c"
        assert {row.endpoint for row in stage.books.outcomes} == {"moderations", "chat"}

    asyncio.run(story())


@pytest.mark.parametrize(("unavailable", "asked"), [("refuse", 1), ("pass", 2)])
def test_a_moderation_that_is_down_refuses_unless_it_may_be_passed_over(unavailable: str, asked: int) -> None:
    async def story() -> None:
        stage = Attentive(screen={"input": [{"moderation": "moderation", "unavailable": unavailable}]})
        one = stage.say("words")
        await until(lambda: len(stage.flights) == 1)
        stage.flights[0].fail(FailureKind.REFUSED)
        await until(lambda: bool(one.client.ends) or len(stage.flights) == 2)
        assert len(stage.flights) == asked
        if one.client.failure is not None:
            assert one.client.failure.verdict.status == 503

    asyncio.run(story())


def test_who_leaves_while_the_moderation_is_asked_is_gone() -> None:
    async def story() -> None:
        stage = Attentive(screen={"input": [{"moderation": "moderation"}]})
        one = stage.say("words")
        await until(lambda: len(stage.flights) == 1)
        one.exchange.gone()
        stage.flights[0].whole(moderated(violence=False))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(stage.flights) == 1 and not stage.engine.live
        assert [row.status for row in stage.books.finishes] == [499, 200]

    asyncio.run(story())


def test_a_target_that_is_named_directly_is_screened_too(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(screen={"input": [BOMB]}, direct=True)
        one = stage.ask("b/m", stream=False, messages=[{"role": "user", "content": "pipe bomb"}])
        assert one.client.ends == ["refused"] and not stage.flights

    on_loop(story)


# What is answered -------------------------------------------------------------------------------------------------


def screened(pieces: list[str], **screen: Any) -> tuple[bytes, list[str], Attentive]:
    """What the client gets of a stream in these pieces, how it ends, and the stage."""
    stage = Attentive(screen={"output": [BOMB]} | screen)

    async def story() -> tuple[bytes, list[str]]:
        one = stage.say("Hi", stream=True)
        flight = stage.flights[0]
        flight.stream(*(word(piece) for piece in pieces), finish(), DONE)
        flight.sink.on_end()
        await asyncio.sleep(0)
        return one.client.body, one.client.ends

    return *asyncio.run(story()), stage


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(1, 40), max_size=12))
def test_a_term_split_over_events_is_found_and_nothing_of_it_goes_out(cuts: set[int]) -> None:
    text = "Take this: the Pipe\u200b  BOMB is made of"
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    body, ends, stage = screened([text[a:b] for a, b in itertools.pairwise(places)])
    assert "Take this: the ".startswith(told(body))
    assert reasons(body) == ["content_filter"]
    assert ends == ["closed"]
    assert stage.books.outcomes[0].ended in (Ended.CUT, Ended.SERVED)
    assert not stage.engine.live


@settings(max_examples=60, deadline=None)
@given(st.text("abpie mo\n", max_size=60), st.sets(st.integers(1, 60), max_size=12))
def test_an_answer_without_a_finding_arrives_whole_and_in_order(text: str, cuts: set[int]) -> None:
    text = "Well: " + text.replace("pipe bomb", "")
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    body, ends, _ = screened([text[a:b] for a, b in itertools.pairwise(places)])
    if reasons(body) == ["stop"]:
        assert told(body) == text and ends == ["closed"]
    else:
        assert "pipe bomb" in " ".join(text.split())


def test_what_came_before_goes_out_also_where_all_comes_at_once() -> None:
    async def story() -> None:
        stage = Attentive(screen={"output": [BOMB]})
        one = stage.say("Hi", stream=True)
        stage.flights[0].stream(word("Take ") + word("this: ") + word("a pi") + word("pe bomb") + word("!"))
        assert told(one.client.body) == "Take this: "
        await asyncio.sleep(0)

    asyncio.run(story())


def test_the_rest_of_a_withheld_stream_is_not_waited_for() -> None:
    async def story() -> None:
        stage = Attentive(screen={"output": [BOMB]})
        one = stage.say("Hi", stream=True)
        stage.flights[0].stream(word("a pipe bomb "), word("is"))
        assert one.client.ends == ["closed"]
        await asyncio.sleep(0)
        assert stage.flights[0].aborted
        (row,) = stage.books.outcomes
        assert (row.ended, row.failure) == (Ended.CUT, FailureKind.FILTERED)
        assert not stage.engine.trouble, "it is not the target's fault"

    asyncio.run(story())


def test_what_is_held_back_goes_out_after_the_delay() -> None:
    async def story() -> None:
        stage = Attentive(screen={"output": [BOMB], "delay": "20ms"})
        one = stage.say("Hi", stream=True)
        flight = stage.flights[0]
        flight.stream(word("smoke a pipe"))
        assert "pipe" not in told(one.client.body)
        await until(lambda: "pipe" in told(one.client.body))
        flight.sink.on_data(word(" bomb!"))
        assert reasons(one.client.body) == ["content_filter"], "it is found all the same, and what follows is withheld"
        assert told(one.client.body) == "smoke a pipe"
        await asyncio.sleep(0)

    asyncio.run(story())


def test_a_pattern_holds_back_the_last_characters() -> None:
    rule = {"category": "cards", "patterns": [r"\b\d{4} \d{4}\b"]}
    body, ends, _ = screened(["The ", "number ", "of it: ", "1234", " 56", "78", ", good?"], output=[rule], hold=12)
    assert "The number of it: ".startswith(told(body)) and told(body)
    assert reasons(body) == ["content_filter"] and ends == ["closed"]


@pytest.mark.parametrize("member", ["reasoning_content", "refusal"])
def test_reasoning_and_refusals_are_screened_each_by_itself(member: str) -> None:
    async def story() -> None:
        stage = Attentive(screen={"output": [BOMB]})
        one = stage.say("Hi", stream=True)
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        choice = {"index": 0, "delta": {member: "a pipe bomb."}, "finish_reason": None}
        stage.flights[0].stream(
            word("Well. "), b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"
        )
        assert reasons(one.client.body) == ["content_filter"]
        await asyncio.sleep(0)

    asyncio.run(story())


def test_a_whole_answer_is_withheld_as_a_refusal(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(screen={"output": [BOMB]})
        one = stage.say("Hi")
        stage.flights[0].whole(answer("Here is the pipe bomb."))
        reply = json.loads(one.client.body)
        (choice,) = reply["choices"]
        assert choice["finish_reason"] == "content_filter"
        assert choice["message"]["content"] is None and "weapons" in choice["message"]["refusal"]
        assert b"bomb" not in one.client.body
        assert reply["usage"]["prompt_tokens"] == 7, "it was paid for"

    on_loop(story)


def test_an_answer_in_another_apis_own_words_is_not_let_past(on_loop: Story) -> None:
    """A request of another API is asked in chat completions' words, so that there is one kind of answer to look at."""

    def story() -> None:
        stage = Attentive(screen={"output": [BOMB]})
        stage.ask(stream=False, native=Native("messages", {"model": "chat", "messages": []}))
        stage.flights[0].whole(answer("fine"))
        assert stage.books.finishes[0].endpoint == "messages"

    on_loop(story)


def test_a_slow_client_still_stops_the_upstream(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(screen={"output": [BOMB]})
        one = stage.say("Hi", stream=True, slow=True)
        stage.flights[0].stream(word("Well. "))
        assert stage.flights[0].paused
        one.exchange.ready()
        assert stage.flights[0].resumed

    on_loop(story)


def test_a_route_without_a_screen_is_as_ever(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive()
        one = stage.say("pipe bomb")
        assert type(one.exchange).__name__ == "Exchange"

    on_loop(story)
