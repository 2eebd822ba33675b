"""A moderation looks at answers: nothing goes out that it has not judged, and nobody waits for it without end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.core.chat import Native
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.engine import moderating, sieve
from proxy.engine.exchange import Exchange
from tests.engine.attentive import Attentive, moderated, reasons, told
from tests.engine.stage import DONE, Asked, Flight, answer, finish, until, word
from tests.examples import many

ASKS = {"moderation": "moderation"}
GOOD, BAD = moderated(violence=False), moderated(violence=True)


def of(*rules: dict[str, Any], **screen: Any) -> Attentive:
    """A stage whose answers are looked at by these rules; by default a moderation alone."""
    return Attentive(screen={"output": list(rules) or [ASKS], **screen})


def questions(stage: Attentive) -> list[Flight]:
    """What moderations were asked so far."""
    return [flight for flight in stage.flights if "input" in flight.asked]


async def asked(stage: Attentive, number: int) -> Flight:
    """The question of that number, once it is asked."""
    await until(lambda: len(questions(stage)) >= number)
    return questions(stage)[number - 1]


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]  # every story is a coroutine


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Words are hardly gathered."""
    monkeypatch.setattr(moderating, "GATHER", 0.01)
    return monkeypatch


# Whole answers ----------------------------------------------------------------------------------------------------


def test_a_whole_answer_waits_for_the_verdict() -> None:
    async def story() -> None:
        stage = of()
        one = stage.say("Hi")
        stage.flights[0].whole(answer("Fine words."))
        question = await asked(stage, 1)
        assert question.asked == {"model": "omni", "input": "Fine words."}
        assert not one.client.ends
        (outcome,) = stage.books.outcomes
        assert outcome.target == "a/m", "the target has done its part, and its place is free"
        question.whole(GOOD)
        await until(lambda: bool(one.client.ends))
        assert json.loads(one.client.body)["choices"][0]["message"]["content"] == "Fine words."
        assert one.client.won is not None and not one.client.won.screened
        assert {row.endpoint for row in stage.books.outcomes} == {"chat", "moderations"}
        assert [row.request_id for row in stage.books.finishes] == ["r0-screen-output", "r0"]
        assert not stage.engine.live and not stage.busy()

    run(story)


def test_a_whole_answer_that_it_flags_is_withheld_and_the_record_says_by_what() -> None:
    async def story() -> None:
        stage = of()
        one = stage.say("Hi")
        stage.flights[0].whole(answer("Dreadful words."))
        (await asked(stage, 1)).whole(BAD)
        await until(lambda: bool(one.client.ends))
        (choice,) = json.loads(one.client.body)["choices"]
        assert choice["finish_reason"] == "content_filter" and choice["message"]["content"] is None
        assert choice["message"]["refusal"] == "The answer was withheld by the screen of this route (violence)."
        assert one.client.won is not None and one.client.won.screened == "violence"
        assert stage.engine.attention.found == {("chat", "output", "moderation", "violence", "refuse"): 1}
        record = next(row for row in stage.books.told if row.request_id == "r0")
        assert [(note.what, note.whose) for note in record.notes] == [("screen", "output")]
        assert "Dreadful" not in str(record)

    run(story)


def test_what_is_only_flagged_goes_out_with_its_category_in_the_header() -> None:
    async def story() -> None:
        stage = of({**ASKS, "severity": "low"})
        one = stage.say("Hi")
        stage.flights[0].whole(answer("Rough words."))
        (await asked(stage, 1)).whole(BAD)
        await until(lambda: bool(one.client.ends))
        assert b"Rough words." in one.client.body
        assert one.client.won is not None and one.client.won.screened == "violence"

    run(story)


def test_terms_are_looked_for_first_and_a_moderation_is_not_asked_about_what_they_refuse() -> None:
    async def story() -> None:
        stage = of(ASKS, {"category": "weapons", "terms": ["pipe bomb"]})
        one = stage.say("Hi")
        stage.flights[0].whole(answer("A pipe bomb."))
        assert one.client.ends == ["whole"] and b"weapons" in one.client.body
        await asyncio.sleep(0)
        assert not questions(stage)

    run(story)


def test_an_answer_longer_than_a_moderation_takes_is_judged_in_parts() -> None:
    async def story() -> None:
        stage = of()
        one = stage.say("Hi")
        stage.flights[0].whole(answer("x" * 150_000 + " the end"))
        (await asked(stage, 1)).whole(GOOD)
        second = await asked(stage, 2)
        assert second.asked["input"].endswith(" the end")
        assert not one.client.ends
        second.whole(BAD)
        await until(lambda: bool(one.client.ends))
        assert b"the end" not in one.client.body

    run(story)


@pytest.mark.parametrize(("unavailable", "content"), [("refuse", None), ("pass", "Hello")])
@pytest.mark.parametrize("how", ["down", "late", "babbles"])
def test_without_a_verdict_an_answer_is_withheld_unless_it_may_pass(
    how: str, unavailable: str, content: str | None
) -> None:
    async def story() -> None:
        stage = of({**ASKS, "unavailable": unavailable}, wait="50ms" if how == "late" else "20s")
        one = stage.say("Hi")
        stage.flights[0].whole()
        question = await asked(stage, 1)
        if how == "down":
            question.fail(FailureKind.REFUSED)
        elif how == "babbles":
            question.whole(b'{"results": "?"}')
        await until(lambda: bool(one.client.ends))
        (choice,) = json.loads(one.client.body)["choices"]
        assert choice["message"]["content"] == content
        assert choice["finish_reason"] == ("stop" if content else "content_filter")
        assert question.aborted == (how == "late")
        assert not stage.engine.live

    run(story)


def test_who_leaves_while_an_answer_is_judged_is_gone_and_so_is_the_question() -> None:
    async def story() -> None:
        stage = of()
        one = stage.say("Hi")
        stage.flights[0].whole()
        question = await asked(stage, 1)
        one.exchange.gone()
        await until(lambda: question.aborted)
        assert not one.client.ends and not stage.engine.live
        assert {row.request_id: row.status for row in stage.books.finishes} == {"r0": 499, "r0-screen-output": 499}
        one.exchange.gone()
        assert len(stage.books.finishes) == 2, "nobody leaves twice"

    run(story)


def test_an_error_within_is_no_verdict_and_the_answer_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        stage = of()
        one = stage.say("Hi")

        def broken(self: Exchange) -> None:
            raise RuntimeError("no")

        monkeypatch.setattr("proxy.engine.relaying.RelayExchange.start", broken)
        stage.flights[0].whole()
        await until(lambda: bool(one.client.ends))
        assert b"cannot be asked now" in one.client.body

    run(story)


# Streams ----------------------------------------------------------------------------------------------------------


def test_nothing_of_a_stream_goes_out_before_it_is_judged_and_then_all_does_in_order() -> None:
    async def story() -> None:
        stage = of()
        one = stage.say("Hi", stream=True)
        stage.flights[0].stream(word("One "), word("two "))
        first = await asked(stage, 1)
        assert first.asked["input"] == "One two "
        stage.flights[0].sink.on_data(word("three "))
        assert not told(one.client.body)
        first.whole(GOOD)
        await until(lambda: told(one.client.body) == "One two ")
        second = await asked(stage, 2)
        assert second.asked["input"] == "One two three ", "it is seen in its place"
        stage.flights[0].sink.on_data(word("four.") + finish() + DONE)
        stage.flights[0].sink.on_end()
        second.whole(GOOD)
        third = await asked(stage, 3)
        assert not one.client.ends and told(one.client.body) == "One two three "
        third.whole(GOOD)
        await until(lambda: bool(one.client.ends))
        assert one.client.ends == ["closed"] and reasons(one.client.body) == ["stop"]
        assert told(one.client.body) == "One two three four."
        assert not stage.engine.live and not stage.busy()
        assert [row.request_id for row in stage.books.finishes][-1] == "r0"

    run(story)


def test_at_the_end_of_a_stream_nobody_gathers_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderating, "GATHER", 60.0)

    async def story() -> None:
        stage = of()
        one = stage.say("Hi", stream=True)
        stage.flights[0].stream(word("Short."), finish(), DONE)
        (await asked(stage, 1)).whole(GOOD)
        await until(lambda: bool(one.client.ends))
        assert told(one.client.body) == "Short."
        assert len(questions(stage)) == 1

    run(story)


def test_a_stream_ends_before_the_words_that_were_flagged_and_the_upstream_is_stopped() -> None:
    async def story() -> None:
        stage = of()
        one = stage.say("Hi", stream=True)
        stage.flights[0].stream(word("Fine. "))
        (await asked(stage, 1)).whole(GOOD)
        await until(lambda: told(one.client.body) == "Fine. ")
        stage.flights[0].sink.on_data(word("Dreadful."))
        (await asked(stage, 2)).whole(BAD)
        await until(lambda: bool(one.client.ends))
        assert told(one.client.body) == "Fine. " and reasons(one.client.body) == ["content_filter"]
        await until(lambda: stage.flights[0].aborted)
        row = next(row for row in stage.books.outcomes if row.target == "a/m")
        assert (row.ended, row.failure) == (Ended.CUT, FailureKind.FILTERED)
        assert not stage.engine.trouble, "it is not the target's fault"
        assert not stage.engine.live

    run(story)


def test_the_last_words_of_a_stream_are_withheld_too() -> None:
    async def story() -> None:
        stage = of()
        one = stage.say("Hi", stream=True)
        stage.flights[0].stream(word("Dreadful."), finish(), DONE)
        stage.flights[0].sink.on_end()
        (await asked(stage, 1)).whole(BAD)
        await until(lambda: bool(one.client.ends))
        assert not told(one.client.body) and reasons(one.client.body) == ["content_filter"]
        assert one.client.ends == ["closed"] and not stage.engine.live

    run(story)


@pytest.mark.parametrize("unavailable", ["refuse", "pass"])
def test_a_moderation_that_is_late_ends_a_stream_or_lets_it_pass(unavailable: str) -> None:
    async def story() -> None:
        stage = of({**ASKS, "unavailable": unavailable}, wait="30ms")
        one = stage.say("Hi", stream=True)
        stage.flights[0].stream(word("Fine."), finish(), DONE)
        await until(lambda: bool(one.client.ends))
        assert told(one.client.body) == ("Fine." if unavailable == "pass" else "")
        assert reasons(one.client.body) == ["stop" if unavailable == "pass" else "content_filter"]

    run(story)


def test_who_leaves_in_the_midst_or_at_the_end_of_a_stream_leaves_no_question_behind() -> None:
    async def story() -> None:
        for last in ((), (finish(), DONE)):
            stage = of()
            one = stage.say("Hi", stream=True)
            stage.flights[0].stream(word("Fine."), *last)
            question = await asked(stage, 1)
            one.exchange.gone()
            await until(lambda question=question: question.aborted)  # type: ignore[misc]  # a default argument
            assert not stage.engine.live and not one.client.ends
            assert {row.status for row in stage.books.finishes} == {499}

    run(story)


def test_a_stream_that_breaks_gives_out_what_was_judged_and_tells_the_client() -> None:
    async def story() -> None:
        stage = of()
        one = stage.say("Hi", stream=True)
        stage.flights[0].stream(word("One "))
        (await asked(stage, 1)).whole(GOOD)
        await until(lambda: told(one.client.body) == "One ")
        stage.flights[0].sink.on_data(word("two"))
        stage.flights[0].fail(FailureKind.RESET)
        assert not one.client.ends
        (await asked(stage, 2)).whole(GOOD)
        await until(lambda: bool(one.client.ends))
        assert told(one.client.body) == "One two" and one.client.ends == ["broken"]

    run(story)


def test_when_the_time_is_over_what_is_not_judged_is_given_up() -> None:
    async def story() -> None:
        stage = of()
        one = stage.say("Hi", stream=True)
        stage.flights[0].stream(word("Words."))
        question = await asked(stage, 1)
        one.exchange.deadline = 0.0
        one.exchange.tick(one.exchange.began + 61)
        assert one.client.ends == ["broken"] and not told(one.client.body)
        await until(lambda: question.aborted)
        assert not stage.engine.live

    run(story)


def test_each_choice_and_the_reasoning_are_judged() -> None:
    async def story() -> None:
        stage = of()
        stage.say("Hi", stream=True, n=2)
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        for index, delta in enumerate(({"content": "first"}, {"reasoning_content": "second"})):
            choices = [{"index": index, "delta": delta, "finish_reason": None}]
            data = b"data: " + json.dumps({**chunk, "choices": choices}).encode() + b"\n\n"
            if index:
                stage.flights[0].sink.on_data(data)
            else:
                stage.flights[0].stream(word(""), data)
        question = await asked(stage, 1)
        assert question.asked["input"] == "first\n\nsecond"
        stage.flights[0].abort()

    run(story)


def test_resources_of_a_flagged_stream_stand_before_its_end() -> None:
    async def story() -> None:
        stage = of(ASKS, {"when": "self-harm", "action": "flag", "resources": "Call 112."})
        one = stage.say("Hi", stream=True)
        stage.flights[0].stream(word("Sad words."), finish(), DONE)
        (await asked(stage, 1)).whole(moderated(**{"self-harm/intent": True}))
        await until(lambda: bool(one.client.ends))
        assert told(one.client.body) == "Sad words.\n\nCall 112."
        assert one.client.body.rindex(b"112") < one.client.body.rindex(b'"stop"')
        assert len(questions(stage)) == 1, "our own words are not judged"

    run(story)


def test_the_same_finding_is_told_once_though_words_are_judged_twice() -> None:
    async def story() -> None:
        stage = of({**ASKS, "severity": "low"})
        one = stage.say("Hi", stream=True)
        stage.flights[0].stream(word("Rough "))
        (await asked(stage, 1)).whole(BAD)
        await until(lambda: told(one.client.body) == "Rough ")
        stage.flights[0].sink.on_data(word("words.") + finish() + DONE)
        (await asked(stage, 2)).whole(BAD)
        await until(lambda: bool(one.client.ends))
        assert told(one.client.body) == "Rough words."
        assert stage.engine.attention.found == {("chat", "output", "moderation", "violence", "flag"): 1}

    run(story)


def test_an_upstream_that_pours_is_not_read_on_until_a_verdict_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "CROWD", 2000)

    async def story() -> None:
        stage = of()
        one = stage.say("Hi", stream=True)
        flight = stage.flights[0]
        flight.stream(word("x" * 900))
        assert flight.resumed
        flight.sink.on_data(word("y" * 1200))
        assert flight.paused
        (await asked(stage, 1)).whole(GOOD)
        await until(lambda: flight.resumed)
        assert len(told(one.client.body)) == 2100
        flight.sink.on_data(finish() + DONE)
        await until(lambda: bool(one.client.ends))

    run(story)


def test_terms_and_a_moderation_both_have_their_say_on_a_stream() -> None:
    async def story() -> None:
        stage = of(ASKS, {"category": "weapons", "terms": ["pipe bomb"]}, delay="20ms")
        one = stage.say("Hi", stream=True)
        stage.flights[0].stream(word("a pipe"))
        (await asked(stage, 1)).whole(GOOD)
        await until(lambda: "pipe" in told(one.client.body))
        stage.flights[0].sink.on_data(word(" bomb!"))
        assert reasons(one.client.body) == ["content_filter"] and told(one.client.body) == "a pipe"
        await asyncio.sleep(0)
        assert not stage.engine.live

    run(story)


def test_an_answer_in_another_apis_words_is_judged_too() -> None:
    async def story() -> None:
        stage = of()
        one: Asked = stage.ask(stream=False, native=Native("messages", {"model": "chat", "messages": []}))
        stage.flights[0].whole(answer("Dreadful."))
        (await asked(stage, 1)).whole(BAD)
        await until(lambda: bool(one.client.ends))
        assert b"Dreadful" not in one.client.body

    run(story)


def test_a_target_can_be_the_moderation_though_no_caller_can_name_it() -> None:
    async def story() -> None:
        stage = of({"moderation": "c/guard"})
        assert stage.roads.find("c/guard") is None
        one = stage.say("Hi")
        stage.flights[0].whole()
        question = await asked(stage, 1)
        assert (question.at, question.asked["model"]) == ("c", "guard")
        question.whole(GOOD)
        await until(lambda: bool(one.client.ends))
        assert b"Hello" in one.client.body

    run(story)


@settings(max_examples=many(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("ab ", max_size=30), st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=20), st.booleans())
def test_whenever_verdicts_come_no_flagged_word_goes_out_and_no_other_is_lost(
    at_once: pytest.MonkeyPatch, text: str, steps: list[tuple[int, bool]], breaks: bool
) -> None:
    """`steps`: so many characters come, and whether a verdict does then. Flagged is `bab`, wherever it is split."""

    async def judge(stage: Attentive) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        for question in questions(stage):
            if not question.aborted and id(question) not in judged:
                judged.add(id(question))
                question.whole(moderated(violence="bab" in question.asked["input"]))
        await asyncio.sleep(0)

    judged = set[int]()
    at_once.setattr(moderating, "GATHER", 0.0)

    async def story() -> None:
        stage = of()
        one = stage.say("Hi", stream=True)
        flight, rest = stage.flights[0], "Well: " + text
        flight.stream(word(""))
        for size, verdict in steps:
            if rest[:size]:
                flight.sink.on_data(word(rest[:size]))
            rest = rest[size:]
            if verdict:
                await judge(stage)
        if not one.client.ends:
            flight.sink.on_data(word(rest + "."))
            flight.fail(FailureKind.RESET) if breaks else flight.sink.on_data(finish() + DONE)
        while not one.client.ends:
            await judge(stage)
        sent = told(one.client.body)
        assert ("Well: " + text + ".").startswith(sent) and "bab" not in sent
        if "bab" in text:
            assert reasons(one.client.body) == ["content_filter"]
        else:
            assert sent == "Well: " + text + "."
            assert one.client.ends == ["broken" if breaks else "closed"]
        await asyncio.sleep(0)
        assert not stage.engine.live

    run(story)
