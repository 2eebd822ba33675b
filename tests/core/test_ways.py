"""How a cut answer is gone on with: honestly, in the order the route names, and never where it cannot be right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy.core.chat import ChatRequest, Event, Kind
from proxy.core.dialect import Prefill
from proxy.core.failure import FailureKind
from proxy.core.outcome import How
from proxy.core.resume import GO_ON, resume
from proxy.core.route import OnCut, Route, Target
from proxy.core.seam import Prefilled, Replayed, Sent
from proxy.core.ways import Partial, Way, ways

A, B, TWIN = Target("x/a", "x", "a"), Target("y/b", "y", "b"), Target("z/a", "z", "a")
ROUTE = Route("r", (A, B, TWIN))
PLAIN = Partial(100, plain=True, too_long=False, choices=1)
GREEDY = {"temperature": 0}


def found(
    route: Route = ROUTE,
    body: dict[str, Any] | None = None,
    partial: Partial = PLAIN,
    failure: FailureKind = FailureKind.RESET,
    prefills: set[str] | None = None,
    exacts: set[str] | None = None,
) -> list[Way]:
    return list(ways(route, route.targets, A, failure, body or {}, partial, prefills or set(), exacts or set()))


def test_the_routes_order_of_ways_is_kept_and_asking_is_off_by_default() -> None:
    got = found(body=GREEDY, prefills={"y/b"}, exacts={"x/a"})
    assert got == [
        Way(How.EXACT, A),
        Way(How.PREFILL, B),
        Way(How.REPLAY, TWIN),
        Way(How.REPLAY, A),
        Way(How.REPLAY, B),
    ]


def test_where_making_it_again_takes_too_long_the_same_model_goes_on_before_any_other() -> None:
    found_ = found(body=GREEDY, exacts={"x/a"}, prefills={"x/a", "y/b"})
    assert found_[:3] == [Way(How.EXACT, A), Way(How.PREFILL, A), Way(How.PREFILL, B)]


def test_targets_that_are_not_well_come_after_all_others() -> None:
    chosen = ways(
        ROUTE, ROUTE.targets, A, FailureKind.RESET, GREEDY, PLAIN, {"y/b", "z/a"}, set(), frozenset({"y/b", "x/a"})
    )
    assert [(way.how, way.target) for way in chosen] == [
        (How.PREFILL, TWIN),
        (How.REPLAY, TWIN),
        (How.PREFILL, B),
        (How.REPLAY, A),
        (How.REPLAY, B),
    ]


def test_without_a_seed_only_other_targets_are_asked_from_the_start() -> None:
    assert found() == [Way(How.REPLAY, B), Way(How.REPLAY, TWIN)]


def test_asking_in_words_comes_where_the_route_names_it() -> None:
    asking = replace(ROUTE, continue_by=(How.ASK,))
    assert found(asking) == [Way(How.ASK, B), Way(How.ASK, TWIN), Way(How.ASK, A)]


@pytest.mark.parametrize("body", [{"n": 2}, {"logprobs": True}, {"audio": {"voice": "x"}}])
def test_some_answers_are_never_gone_on_with(body: dict[str, Any]) -> None:
    assert found(body={**GREEDY, **body}, prefills={"y/b"}) == []


@pytest.mark.parametrize(
    "failure",
    [FailureKind.FILTERED, FailureKind.CLIENT_GONE, FailureKind.TOTAL_TIMEOUT, FailureKind.CONTEXT_LENGTH],
)
def test_a_cut_by_a_filter_the_client_or_the_deadline_stays_one(failure: FailureKind) -> None:
    assert found(body=GREEDY, prefills={"y/b"}, failure=failure) == []


def test_nothing_is_gone_on_with_where_the_route_says_so() -> None:
    assert found(replace(ROUTE, on_cut=OnCut.ERROR), body=GREEDY, prefills={"y/b"}) == []


@pytest.mark.parametrize(
    ("body", "partial"),
    [
        ({}, PLAIN._replace(plain=False)),
        ({"response_format": {"type": "json_schema"}}, PLAIN),
        ({"response_format": {"type": "json_object"}}, PLAIN),
    ],
)
def test_tool_calls_and_structured_output_are_made_again_but_never_entered_in_the_middle(
    body: dict[str, Any], partial: Partial
) -> None:
    got = found(replace(ROUTE, continue_by=tuple(How)), {**GREEDY, **body}, partial, prefills={"y/b"}, exacts={"x/a"})
    assert got
    assert {way.how for way in got} <= {How.EXACT, How.REPLAY}


def test_an_answer_longer_than_what_is_kept_is_not_gone_on_with() -> None:
    assert found(body=GREEDY, partial=PLAIN._replace(too_long=True)) == []


MESSAGES = [{"role": "user", "content": "Hi"}]
REQUEST = ChatRequest(b"", {"model": "r", "messages": MESSAGES, "max_tokens": 50}, "r", True, False)
SENT = Sent("id", 1, "Hello there, ")


def test_the_partial_answer_goes_last_and_counts_against_the_callers_limit() -> None:
    request, seam = resume(REQUEST, How.PREFILL, SENT, Prefill({"prefix": True}, {"continue_final_message": True}))
    assert request.body["messages"] == [
        *MESSAGES, {"role": "assistant", "content": "Hello there, ", "prefix": True}
    ]  # fmt: skip
    assert request.body["continue_final_message"] is True
    assert request.body["max_tokens"] < 50
    assert isinstance(seam, Prefilled)
    assert REQUEST.body["messages"] == MESSAGES


def test_where_the_tokens_are_known_they_go_in_and_nothing_is_taken_for_a_repetition() -> None:
    request, seam = resume(REQUEST, How.PREFILL, SENT, Prefill(), (5, 6, 7))
    assert request.body == {**REQUEST.body, "max_tokens": 47, "continue_tokens": [5, 6, 7]}
    chunk = {"choices": [{"index": 0, "delta": {"content": SENT.text}, "finish_reason": None}]}
    again = Event(Kind.CONTENT, b"data: " + orjson.dumps(chunk) + b"\n\n", SENT.text)
    assert SENT.text.encode() in seam.feed(again)


def test_white_space_at_the_end_is_not_given_to_those_who_refuse_it() -> None:
    request, _ = resume(REQUEST, How.PREFILL, SENT, Prefill(strips=True))
    assert request.body["messages"][-1]["content"] == "Hello there,"


def test_asked_in_words_the_request_holds_all_that_was_said() -> None:
    request, seam = resume(REQUEST, How.ASK, SENT, None)
    assert request.body["messages"][1:] == [
        {"role": "assistant", "content": "Hello there, "}, {"role": "user", "content": GO_ON}
    ]  # fmt: skip
    assert isinstance(seam, Prefilled)


def test_made_again_it_is_the_same_request() -> None:
    request, seam = resume(REQUEST, How.REPLAY, SENT, None)
    assert request is REQUEST
    assert isinstance(seam, Replayed)
