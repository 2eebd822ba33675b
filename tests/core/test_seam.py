"""Where an answer was cut: whatever the continuation sends, the client has each character once."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import Event, Kind
from proxy.core.seam import Diverged, Prefilled, Replayed, Seam, Sent, ToolSent, payload, sent_of

SENTENCE = "The river carries what the mountain forgets, and the sea keeps it."


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    whole = {"id": "b", "created": 2, "model": "second", "choices": [choice], **more}
    return b"data: " + orjson.dumps(whole) + b"\n\n"


def content(text: str) -> Event:
    return Event(Kind.CONTENT, chunk({"content": text}), text)


FINISH = Event(Kind.EMPTY, chunk({}, "stop"))


def sent(text: str, **more: Any) -> Sent:
    return Sent("first", 1, text, **more)


def through(seam: Seam, events: list[Event]) -> tuple[str, list[dict[str, Any]]]:
    """The text that goes to the client, and its chunks."""
    out = b"".join(seam.feed(event) for event in events) + seam.close()
    chunks = [json.loads(part.removeprefix(b"data: ")) for part in out.split(b"\n\n") if part]
    return "".join(c["choices"][0]["delta"].get("content", "") for c in chunks), chunks


def pieces(text: str, size: int) -> list[Event]:
    return [content(text[i : i + size]) for i in range(0, len(text), size)]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)


@settings(deadline=None)
@given(TEXT, TEXT, st.integers(1, 9))
def test_an_answer_made_again_from_the_start_gives_just_what_was_missing(before: str, after: str, size: int) -> None:
    text, chunks = through(Replayed(sent(before)), [*pieces(before + after, size), FINISH])
    assert text == after
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


@settings(deadline=None)
@given(TEXT, TEXT, st.integers(1, 9))
def test_an_answer_made_again_that_differs_anywhere_is_no_continuation(before: str, other: str, size: int) -> None:
    if other.startswith(before):
        return
    with pytest.raises(Diverged):
        through(Replayed(sent(before)), [*pieces(other, size), FINISH])


@settings(deadline=None)
@given(st.integers(1, len(SENTENCE)), st.integers(1, 9))
def test_a_repeated_end_of_what_was_sent_is_left_out(size: int, cut: int) -> None:
    before = f"Once there was a hill. {SENTENCE}"
    text, _ = through(Prefilled(sent(before)), pieces(f"{SENTENCE} Then it rained.", cut))
    assert text == " Then it rained."


@pytest.mark.parametrize(
    ("before", "after"),
    [("        }\n", "        }\n    }\n"), ("0, 0, 0, ", "0, 0, 0, 1"), ("ha ha ", "ha ha!"), ("ab", "")],
)
def test_what_may_rightly_come_twice_is_kept(before: str, after: str) -> None:
    for size in (1, 3, 50):
        assert through(Prefilled(sent(before)), [*pieces(after, size), FINISH])[0] == after


def test_a_long_repetition_of_few_letters_is_one_unless_it_is_made_of_a_shorter_one() -> None:
    """As storms of killed upstreams found it: eleven different characters, and one word."""
    again = '14.1.\U0001f469 14.2."q" 14.3.\U0001f469 14.4."q" '
    text, _ = through(Prefilled(sent("14.0.q " + again)), [content(again), content("14.5.q "), FINISH])
    assert text == "14.5.q "
    row = "0, 1, " * 12
    text, _ = through(Prefilled(sent(row)), [content(row), FINISH])
    assert text == row


@settings(deadline=None)
@given(TEXT, st.integers(1, 9))
def test_a_continuation_that_repeats_nothing_comes_whole(after: str, size: int) -> None:
    text, _ = through(Prefilled(sent("§" * 40)), [*pieces(after.replace("§", ""), size), FINISH])
    assert text == after.replace("§", "")


def test_white_space_that_could_not_be_given_to_the_target_is_not_doubled() -> None:
    assert through(Prefilled(sent("one two "), " "), pieces(" three", 2))[0] == "three"
    assert through(Prefilled(sent("one two "), " "), pieces("three", 2))[0] == "three"


def test_the_client_sees_one_id_one_role_and_no_usage_in_between() -> None:
    role = Event(Kind.EMPTY, chunk({"role": "assistant", "content": ""}))
    usage = Event(Kind.USAGE, chunk({}, usage={"prompt_tokens": 1}))
    text, chunks = through(Prefilled(sent("Now ")), [role, content("then"), FINISH, usage])
    assert text == "then"
    assert {c["id"] for c in chunks} == {"first"}
    assert {c["created"] for c in chunks} == {1}
    assert all("role" not in c["choices"][0]["delta"] and "usage" not in c for c in chunks)
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None, "stop"]


def call(arguments: str, name: str | None = None) -> Event:
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return Event(Kind.TOOL, chunk({"tool_calls": [{"index": 0, "id": "other", "function": function}]}))


def test_a_tool_call_made_again_goes_on_inside_its_arguments() -> None:
    seam = Replayed(sent("", tools=(ToolSent("find", '{"q": "ri'),)))
    _, chunks = through(seam, [call("", "find"), call('{"q": '), call('"river"}'), FINISH])
    arguments = [t for c in chunks for t in c["choices"][0]["delta"].get("tool_calls", ())]
    assert arguments == [{"index": 0, "function": {"arguments": 'ver"}'}}]


@pytest.mark.parametrize("events", [[call("", "seek")], [call('{"x"', "find")], [call('{"q', "find"), FINISH]])
def test_another_tool_call_is_no_continuation(events: list[Event]) -> None:
    with pytest.raises(Diverged):
        through(Replayed(sent("", tools=(ToolSent("find", '{"q": "ri'),))), events)


def test_what_was_sent_is_read_from_the_events() -> None:
    first = b"data: " + orjson.dumps({"id": "x", "created": 7, "choices": []}) + b"\n\n"
    parts = [call('{"a"', "find").raw, call(": 1").raw, chunk({"reasoning": "Hm"})]
    assert sent_of(first, "Hello", parts) == Sent("x", 7, "Hello", "Hm", (ToolSent("find", '{"a": 1'),))
    assert payload(first)["id"] == "x"
