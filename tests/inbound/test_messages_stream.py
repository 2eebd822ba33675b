"""Answers in the words of Anthropic's API: streams and whole messages say the same, and what its schema allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import ChatRequest
from proxy.inbound.messages import Messages
from proxy.inbound.responses_thoughts import unsealed
from proxy.inbound.way import Fault, Renderer
from tests.examples import many

Valid = Callable[[str, Any], None]
Told = list[tuple[str, dict[str, Any]]]
API = Messages()
CLAUDE = "anthropic-claude-v1"


def renderer(**asked: Any) -> Renderer:
    body = {"model": "best", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}], **asked}
    request = API.read(body, orjson.dumps(body), {})
    assert isinstance(request, ChatRequest)
    return API.renderer(request, "req_1", 1_700_000_000)


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return b"data: " + orjson.dumps({"id": "c", "model": "m-1", "choices": choices, **more}) + b"\n\n"


def told(data: bytes) -> Told:
    """The events, with their names."""
    found = []
    for event in data.split(b"\n\n"):
        if event and not event.startswith(b":"):
            name, payload = event.split(b"\n")
            found.append((name.removeprefix(b"event: ").decode(), orjson.loads(payload.removeprefix(b"data: "))))
    return found


def streamed(pieces: Iterable[bytes], last: bytes = b"", **asked: Any) -> Told:
    rendering = renderer(**asked)
    return told(b"".join([*map(rendering.push, pieces)]) + rendering.close(last))


def accumulated(events: Told) -> dict[str, Any]:
    """The message that a client puts together; one block is open at a time, and in order."""
    assert events[0][0] == "message_start" and events[-1] == ("message_stop", {"type": "message_stop"})
    message: dict[str, Any] = events[0][1]["message"]
    open_ = -1
    for name, event in events[1:-1]:
        assert event["type"] == name
        if name == "content_block_start":
            assert open_ == -1 and event["index"] == len(message["content"])
            message["content"].append({**event["content_block"], "json": ""})
            open_ = event["index"]
        elif name == "content_block_delta":
            assert event["index"] == open_
            _add(message["content"][open_], event["delta"])
        elif name == "content_block_stop":
            assert event["index"] == open_
            open_ = -1
        else:
            assert name == "message_delta" and open_ == -1
            message.update(event["delta"])
            message["usage"].update(event["usage"])
    for block in message["content"]:
        text = block.pop("json")
        if block["type"] == "tool_use":
            block["input"] = orjson.loads(text or "{}")
    return message


def _add(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            block["json"] += delta["partial_json"]


def whole(message: Mapping[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    body = {"id": "c", "model": "m-1", "choices": [choice], **more}
    found: dict[str, Any] = orjson.loads(renderer().whole(orjson.dumps(body)))
    return found


USAGE = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}}


def test_a_text(anthropic_schema: Valid) -> None:
    events = streamed(
        [chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"})]
    )
    assert [name for name, _ in events] == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 2,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    for _, event in events:
        anthropic_schema("MessageStreamEvent", event)
    message = accumulated(events)
    assert message["content"] == [{"type": "text", "text": "Hello", "citations": None}]
    assert (message["id"], message["model"], message["stop_reason"]) == ("msg_1", "m-1", "end_turn")


def test_usage_is_told_at_the_end_without_what_came_from_a_cache_in_the_input() -> None:
    pieces = [chunk({"content": "Hi"}), chunk({}, "stop"), chunk(usage=USAGE)]
    for events in (streamed(pieces), streamed(pieces[:2], pieces[2])):
        usage = accumulated(events)["usage"]
        assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (40, 60, 7)
    written = {"prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 20}}
    thought = {"completion_tokens_details": {"reasoning_tokens": 5}}
    usage = whole({"content": "x"}, usage={**USAGE, **written, **thought})["usage"]
    assert (usage["input_tokens"], usage["cache_creation_input_tokens"]) == (70, 20)
    assert usage["output_tokens_details"] == {"thinking_tokens": 5}


def test_usage_that_nobody_reported_is_estimated() -> None:
    usage = accumulated(streamed([chunk({"content": "12345678"}), chunk({}, "stop")]))["usage"]
    assert usage["output_tokens"] == 2 and usage["input_tokens"] > 0
    assert whole({"content": "12345678"})["usage"]["output_tokens"] == 2


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("eos", "end_turn"),
    ],
)
def test_finish_reasons(finish: str, reason: str) -> None:
    assert accumulated(streamed([chunk({"content": "x"}), chunk({}, finish)]))["stop_reason"] == reason
    assert whole({"content": "x"}, finish)["stop_reason"] == reason


def test_a_stop_sequence_is_named_where_the_backend_says_which_it_was() -> None:
    end = b"data: " + orjson.dumps(
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "END"}]}
    )
    message = accumulated(streamed([chunk({"content": "x"}), end + b"\n\n"], stop_sequences=["END"]))
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


def test_tool_calls_in_parallel_and_a_word_before_them() -> None:
    pieces = [
        chunk({"content": "I look."}),
        chunk({"tool_calls": [_call(0, "call_1", "f", "")]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]}),
        chunk({"tool_calls": [_call(1, "functions.g:1", "g", "{}")]}),
        chunk({}, "stop"),
    ]
    message = accumulated(streamed(pieces))
    text, first, second = message["content"]
    assert text["text"] == "I look."
    assert (first["id"], first["name"], first["input"]) == ("call_1", "f", {"a": 1})
    assert (second["id"], second["name"], second["input"]) == ("functions_g_1", "g", {})
    assert message["stop_reason"] == "tool_use", "some backends end with `stop` all the same"


def _call(index: int, key: str | None, name: str, arguments: str, **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": key, "type": "function", "function": function, **more}


def test_a_call_without_an_id_gets_one() -> None:
    (use,) = accumulated(streamed([chunk({"tool_calls": [_call(0, None, "f", "{}")]})]))["content"]
    assert use["id"] == "toolu_1_0"


SIGNED = {"type": "reasoning.text", "text": "", "signature": "c2ln", "format": CLAUDE, "index": 0}


def test_thinking_with_its_signature_comes_as_anthropic_gives_it() -> None:
    pieces = [
        chunk({"reasoning_content": "Hm"}),
        chunk({"reasoning_content": "."}),
        chunk({"reasoning_details": [SIGNED]}),
        chunk({"reasoning_details": [{"type": "reasoning.encrypted", "data": "Ymx1", "format": CLAUDE, "index": 1}]}),
        chunk({"content": "Yes."}),
    ]
    thinking, redacted, text = accumulated(streamed(pieces))["content"]
    assert thinking == {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    assert redacted == {"type": "redacted_thinking", "data": "Ymx1"}
    assert text["text"] == "Yes."


def test_two_thoughts_in_a_row_keep_their_signatures_apart() -> None:
    other = {**SIGNED, "signature": "b3RoZXI=", "index": 1}
    pieces = [
        chunk({"reasoning_content": "One"}),
        chunk({"reasoning_details": [SIGNED]}),
        chunk({"reasoning_content": "Two", "reasoning_details": [{**other, "signature": None, "text": "Two"}]}),
        chunk({"reasoning_details": [other]}),
    ]
    first, second = accumulated(streamed(pieces))["content"]
    assert (first["thinking"], first["signature"]) == ("One", "c2ln")
    assert (second["thinking"], second["signature"]) == ("Two", "b3RoZXI=")


def test_what_another_provider_wants_back_is_sealed_into_the_signature() -> None:
    detail = {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1", "index": 0}
    pieces = [chunk({"reasoning": "Hm"}), chunk({"reasoning_details": [detail]}), chunk({"content": "Yes."})]
    for blocks in (
        accumulated(streamed(pieces))["content"],
        whole({"content": "Yes.", "reasoning": "Hm", "reasoning_details": [detail]})["content"],
    ):
        assert blocks[0]["thinking"] == "Hm"
        assert unsealed(blocks[0]["signature"]).details == (detail,)


def test_what_a_provider_put_into_a_tool_call_goes_to_the_client_and_comes_back() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    call = _call(0, "call_1", "f", "{}", **extra)
    for blocks in (
        accumulated(streamed([chunk({"tool_calls": [call]})]))["content"],
        whole({"content": None, "tool_calls": [call]}, "tool_calls")["content"],
    ):
        assert [block["type"] for block in blocks] == ["redacted_thinking", "tool_use"]
        assert unsealed(blocks[0]["data"]).calls == {"call_1": extra}


def test_comments_pass_and_other_choices_do_not() -> None:
    rendering = renderer()
    assert rendering.push(b": x-wayline-continued: replay\n\n") == b": x-wayline-continued: replay\n\n"
    other = b'data: {"choices":[{"index":1,"delta":{"content":"no"}}]}\n\n'
    assert rendering.push(other) == b""


def test_a_stream_that_breaks_says_so(anthropic_schema: Valid) -> None:
    rendering = renderer()
    rendering.push(chunk({"content": "x"}))
    fault = Fault(502, "It broke.", "upstream_error", request_id="req_1", received_chars=1)
    ((name, event),) = told(rendering.broken(fault))
    assert name == "error" and event["received_chars"] == 1
    anthropic_schema("ErrorResponse", event)


def test_an_upstreams_own_bytes_end_with_its_own_marker_or_with_ours() -> None:
    stop = b'event: message_stop\ndata: {"type": "message_stop"}\n\n'
    assert API.ending(b"event: x\n\n" + stop) == b""
    assert told(API.ending(b"event: message_delta\n\n")) == [("message_stop", {"type": "message_stop"})]


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
calls = st.lists(st.tuples(words, st.dictionaries(words, st.integers(-9, 9), max_size=2)), max_size=3)


def pieces_of(text: str, cut: int) -> list[str]:
    return [piece for piece in (text[:cut], text[cut:]) if piece]


@given(words | st.none(), words | st.none(), calls, st.integers(0, 12), st.randoms(use_true_random=False))
@settings(max_examples=many(150), deadline=None)
def test_a_stream_and_a_whole_answer_are_the_same_message_however_they_are_cut(
    anthropic_schema: Valid, text: str | None, thought: str | None, asked: Any, cut: int, random: Any
) -> None:
    deltas: list[dict[str, Any]] = [{"reasoning_content": piece} for piece in pieces_of(thought or "", cut)]
    deltas += [{"content": piece} for piece in pieces_of(text or "", cut)]
    tools = [_call(i, f"call_{i}", name, orjson.dumps(given).decode()) for i, (name, given) in enumerate(asked)]
    for tool in tools:
        first, *rest = pieces_of(tool["function"]["arguments"], cut)
        deltas.append({"tool_calls": [{**tool, "function": {**tool["function"], "arguments": first}}]})
        deltas += [{"tool_calls": [{"index": tool["index"], "function": {"arguments": more}}]} for more in rest]
    finish = "tool_calls" if tools else "stop"
    chunks = [*map(chunk, deltas), chunk({}, finish), chunk(usage=USAGE)]
    joined: list[bytes] = []
    for one in chunks:
        if joined and random.random() < 0.5:
            joined[-1] += one
        else:
            joined.append(one)
    events = streamed(joined)
    for _, event in events:
        anthropic_schema("MessageStreamEvent", event)
    message: dict[str, Any] = {"content": text, "reasoning_content": thought, "tool_calls": tools}
    full = whole(message, finish, usage=USAGE)
    anthropic_schema("Message", full)
    assert accumulated(events) == full


json = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "text", "stop", "reasoning.text", CLAUDE]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["text", "type", "index", "id", "function", "name", "arguments", "format", "signature"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
NAMES = ["content", "refusal", "reasoning", "reasoning_content", "reasoning_details", "tool_calls"]
said = st.dictionaries(st.sampled_from(NAMES), json, max_size=4) | json
choices = st.lists(
    st.fixed_dictionaries(
        {}, optional={"delta": said, "message": said, "finish_reason": json, "stop_reason": json, "index": json}
    )
    | json,
    max_size=2,
)
answers = st.fixed_dictionaries({"choices": choices | json}, optional={"model": json, "usage": json})


@given(st.lists(answers, max_size=4))
@settings(max_examples=many(300), deadline=None)
def test_whatever_an_upstream_sends_what_goes_out_is_valid(anthropic_schema: Valid, chunks: list[Any]) -> None:
    events = streamed(b"data: " + orjson.dumps(one) + b"\n\n" for one in chunks)
    for _, event in events:
        anthropic_schema("MessageStreamEvent", event)
    for one in chunks:
        anthropic_schema("Message", orjson.loads(renderer().whole(orjson.dumps(one))))
    rendering = renderer()
    assert rendering.push(b"data: {broken\n\ndata: 5\n\ndata: []\n\n") == b""


def test_what_it_cost_stands_where_its_tokens_do_if_it_is_told() -> None:
    counts = {"prompt_tokens": 7, "completion_tokens": 2}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    for cost, told_ in ((0.0025, {"cost": 0.0025}), (0, {"cost": 0}), (None, {}), (True, {}), ("1", {})):
        usage = {**counts, "cost": cost}
        body = renderer().whole(orjson.dumps({"model": "m-1", "choices": [choice], "usage": usage}))
        whole = orjson.loads(body)["usage"]
        end = streamed([chunk({"content": "Hi"}), chunk({}, "stop"), chunk(usage=usage)], stream=True)[-2][1]["usage"]
        for said in (whole, end):
            assert {name: value for name, value in said.items() if name == "cost"} == told_
