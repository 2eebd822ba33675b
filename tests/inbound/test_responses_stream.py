"""A stream of the Responses API, made from chunks of chat completions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.inbound.responses import Responses
from proxy.inbound.way import Fault
from tests.examples import many
from tests.inbound.sequence import EVENT, RID, check, chunk, events, of, request, sse, streamed, usage, whole

BUSY = Fault(503, "The upstream is overloaded.", "overloaded_error", "upstream_overloaded", None, RID, 5)


def kinds(found: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in found]


def test_an_answer_is_told_event_by_event_as_openai_does() -> None:
    found = streamed(
        request(stream=True),
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": "Hel"}),
            chunk({"content": "lo"}),
            chunk({}, "stop"),
            usage(),
        ],
    )
    assert kinds(found) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    end = check(found)
    assert end["model"] == "m-served"
    assert end["output"][0]["content"][0]["text"] == "Hello"
    assert end["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 9,
    }


def test_reasoning_is_an_item_of_its_own_that_ends_when_the_words_begin() -> None:
    found = streamed(
        request(stream=True),
        [
            chunk({"reasoning_content": "Let me "}),
            chunk({"reasoning_content": "see."}),
            chunk({"content": "Yes"}),
            chunk({}, "stop"),
        ],
    )
    end = check(found)
    assert [item["type"] for item in end["output"]] == ["reasoning", "message"]
    assert end["output"][0]["summary"] == [{"type": "summary_text", "text": "Let me see."}]
    done = kinds(found).index("output_item.done")
    assert done < kinds(found).index("output_text.delta")


def test_a_tool_call_ends_the_words_and_goes_out_piece_by_piece() -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    found = streamed(
        request(stream=True),
        [
            chunk({"content": "I look."}),
            chunk({"tool_calls": [call]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Rome"}'}}]}),
            chunk({}, "tool_calls"),
        ],
    )
    end = check(found)
    message, tool = end["output"]
    assert message["content"][0]["text"] == "I look."
    assert (tool["call_id"], tool["name"], tool["arguments"]) == ("call_1", "weather", '{"city":"Rome"}')
    assert len(of(found, "response.function_call_arguments.delta")) == 2


def test_calls_whose_pieces_come_in_turns_stay_apart() -> None:
    def piece(index: int, text: str, **more: Any) -> dict[str, Any]:
        return {"index": index, "function": {"arguments": text, **more.pop("function", {})}, **more}

    found = streamed(
        request(stream=True),
        [
            chunk({"tool_calls": [piece(0, "{", id="a", function={"name": "f"})]}),
            chunk({"tool_calls": [piece(1, "[", id="b", function={"name": "g"})]}),
            chunk({"tool_calls": [piece(0, "}"), piece(1, "]")]}),
            chunk({}, "tool_calls"),
        ],
    )
    assert [(item["call_id"], item["arguments"]) for item in check(found)["output"]] == [("a", "{}"), ("b", "[]")]


def test_calls_that_all_have_the_same_index_are_told_apart_by_their_ids() -> None:
    calls = [{"index": 0, "id": key, "function": {"name": key, "arguments": "{}"}} for key in ("a", "b")]
    found = streamed(request(stream=True), [chunk({"tool_calls": [call]}) for call in calls] + [chunk({}, "stop")])
    assert [item["name"] for item in check(found)["output"]] == ["a", "b"]


def test_a_call_without_an_id_gets_one() -> None:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    [item] = check(streamed(request(stream=True), [chunk({"tool_calls": [call]}), chunk({}, "stop")]))["output"]
    assert item["call_id"].startswith("call_")
    assert item["arguments"] == '{"a":1}'


def test_a_refusal_is_a_part_of_its_own() -> None:
    found = streamed(request(stream=True), [chunk({"refusal": "I "}), chunk({"refusal": "won't."}), chunk({}, "stop")])
    assert check(found)["output"][0]["content"] == [{"type": "refusal", "refusal": "I won't."}]


@pytest.mark.parametrize(("finish", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_short_is_incomplete_and_says_why(finish: str, why: str) -> None:
    end = check(streamed(request(stream=True), [chunk({"content": "Hel"}), chunk({}, finish)]))
    assert (end["status"], end["incomplete_details"]) == ("incomplete", {"reason": why})
    assert end["output"][-1]["status"] == "incomplete"


def test_probabilities_of_tokens_travel_along() -> None:
    one = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [{"token": "Hi", "logprob": -0.5}]}
    asked = request(stream=True, top_logprobs=1)
    assert (asked.body["logprobs"], asked.body["top_logprobs"]) == (True, 1)
    found = streamed(asked, [chunk({"content": "Hi"}, logprobs={"content": [one]}), chunk({}, "stop")])
    [part] = check(found)["output"][0]["content"]
    assert part["logprobs"][0]["logprob"] == -0.5
    [delta] = of(found, "response.output_text.delta")
    assert delta["logprobs"][0]["top_logprobs"][0]["token"] == "Hi"


def test_sources_are_annotations() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://x.example", "title": "X", "start_index": 0}}
    found = streamed(request(stream=True), [chunk({"content": "Hi", "annotations": [cited]}), chunk({}, "stop")])
    [part] = check(found)["output"][0]["content"]
    assert [one["url"] for one in part["annotations"]] == ["https://x.example"]


def test_usage_tells_what_was_cached_and_what_was_reasoning() -> None:
    details: dict[str, Any] = {
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    end = check(streamed(request(stream=True), [chunk({"content": "Hi"}), chunk({}, "stop"), usage(**details)]))
    assert end["usage"]["input_tokens_details"]["cached_tokens"] == 5
    assert end["usage"]["output_tokens_details"]["reasoning_tokens"] == 1


def test_what_it_cost_stands_where_its_tokens_do_if_it_is_told() -> None:
    end = check(streamed(request(stream=True), [chunk({"content": "Hi"}), chunk({}, "stop"), usage(cost=0.0025)]))
    assert end["usage"]["cost"] == 0.0025
    end = check(streamed(request(stream=True), [chunk({"content": "Hi"}), chunk({}, "stop"), usage(cost=None)]))
    assert "cost" not in end["usage"]


def test_unknown_usage_is_null_and_not_zero() -> None:
    assert check(streamed(request(stream=True), [chunk({"content": "Hi"}), chunk({}, "stop")]))["usage"] is None


def test_comments_stay_comments_and_what_comes_last_counts() -> None:
    renderer = Responses().renderer(request(stream=True), RID, 1)
    assert renderer.push(b": wayline\n\n") == b": wayline\n\n"
    out = renderer.push(chunk({"content": "Hi"}))
    out += renderer.close(chunk({}, "stop") + usage() + b": x-wayline-continued: exact up/m\n\n")
    assert b": x-wayline-continued" in out
    assert check(events(out))["usage"]["total_tokens"] == 9


def test_a_stream_that_breaks_off_says_so_and_ends_no_item() -> None:
    renderer = Responses().renderer(request(stream=True), RID, 1)
    call = {"index": 0, "id": "a", "function": {"name": "rm", "arguments": '{"path":"/'}}
    out = renderer.push(chunk({"content": "Hello"}) + chunk({"tool_calls": [call]})) + renderer.broken(BUSY)
    found = events(out)
    assert kinds(found)[-2:] == ["error", "failed"]
    assert [event["item"]["type"] for event in of(found, "response.output_item.done")] == ["message"]
    error, failed = found[-2:]
    EVENT.validate_json(orjson.dumps(failed))
    assert (error["code"], error["error"]["received_chars"]) == ("upstream_overloaded", 5)
    assert (failed["response"]["status"], failed["response"]["error"]["code"]) == ("failed", "server_error")
    assert [event["sequence_number"] for event in found] == list(range(len(found)))


def test_a_stream_that_breaks_off_before_it_began_has_the_error_only() -> None:
    [error] = events(Responses().renderer(request(stream=True), RID, 1).broken(BUSY))
    assert error["type"] == "error"
    assert error["error"]["message"] == BUSY.message


def test_the_same_request_id_gives_the_same_ids() -> None:
    chunks = [chunk({"content": "Hi"}), chunk({}, "stop")]
    assert streamed(request(stream=True), chunks) == streamed(request(stream=True), chunks)


TEXTS = st.text(max_size=12)
PIECES = st.lists(st.text(min_size=1, max_size=6), max_size=4)
NAMES = st.text("abcdefghij_", min_size=1, max_size=8)
CALLS = st.lists(st.tuples(NAMES, st.lists(TEXTS, min_size=1, max_size=3)), max_size=3)
FINISH = st.sampled_from(["stop", "length", "tool_calls", "content_filter"])


@settings(max_examples=many(150), deadline=None)
@given(PIECES, PIECES, PIECES, CALLS, FINISH, st.booleans(), st.data())
def test_streamed_and_whole_answers_are_the_same_response(
    thoughts: list[str],
    words: list[str],
    refusal: list[str],
    calls: list[tuple[str, list[str]]],
    finish: str,
    counted: bool,
    data: st.DataObject,
) -> None:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in thoughts] + [{"content": piece} for piece in words]
    deltas += [{"refusal": piece} for piece in refusal]
    for index, (name, pieces) in enumerate(calls):
        function = {"name": name, "arguments": pieces[0]}
        deltas.append({"tool_calls": [{"index": index, "id": f"call_{index}", "function": function}]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces[1:]]
    chunks = [chunk(delta) for delta in deltas] + [chunk({}, finish)]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(words) or None, "refusal": "".join(refusal)}
    message["reasoning_content"] = "".join(thoughts)
    message["tool_calls"] = [
        {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": "".join(pieces)}}
        for index, (name, pieces) in enumerate(calls)
    ]
    body: dict[str, Any] = {"model": "m-served", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    if counted:
        chunks.append(usage())
        body["usage"] = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    cuts = sorted(data.draw(st.sets(st.integers(1, len(chunks)), max_size=4)))
    joined = [b"".join(chunks[a:b]) for a, b in zip([0, *cuts], [*cuts, len(chunks)], strict=True)]
    asked = request(stream=True)
    assert check(streamed(asked, joined)) == whole(asked, body)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "index",
                    "delta",
                    "content",
                    "refusal",
                    "text",
                    "type",
                    "thinking",
                    "tool_calls",
                    "function_call",
                    "function",
                    "name",
                    "arguments",
                    "id",
                    "reasoning_content",
                    "reasoning_details",
                    "annotations",
                    "url_citation",
                    "url",
                    "extra_content",
                    "finish_reason",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=many(200), deadline=None)
@given(st.lists(st.fixed_dictionaries({"delta": JUNK, "finish_reason": JUNK}, optional={"index": JUNK}), max_size=5))
def test_whatever_the_chunks_hold_the_stream_is_valid_and_complete(choices: list[dict[str, Any]]) -> None:
    check(streamed(request(stream=True), [sse({"model": "m", "choices": [choice]}) for choice in choices]))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["choices", "usage", "model", "service_tier"]), JUNK), st.binary(max_size=8))
def test_nothing_that_an_upstream_sends_makes_it_raise(body: dict[str, Any], junk: bytes) -> None:
    renderer = Responses().renderer(request(stream=True), RID, 1)
    renderer.push(sse(body) + b"data: " + junk + b"\n\n")
    renderer.close(b"")
    for given_ in (body, [body], []):
        Responses().renderer(request(), RID, 1).whole(orjson.dumps(given_))
