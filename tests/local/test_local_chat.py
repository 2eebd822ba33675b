"""What a local model answers, by either engine."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.local.unix import busy, chat, get, post, question, seconds_until, sent, stream

CANCEL_SECONDS = 0.25
TRIES = 5
"""On a machine with other work one may be kept waiting; what is not stopped takes seconds each time."""
LONG = "the quick brown fox jumps over the lazy dog " * 48


def text_of(answer: dict[str, Any]) -> str:
    text: str = answer["choices"][0]["message"]["content"]
    return text


def test_an_answer_names_the_model_and_not_its_path(smollm: str) -> None:
    answer = chat(smollm, question(max_tokens=4))
    assert answer["model"] == "smollm2"
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert ".gguf" not in json.dumps(answer)


def test_the_models_own_template_is_used(smollm: str) -> None:
    """SmolLM2's template puts a system prompt of its own before a question that comes without one: 31 tokens in all."""
    body = question(max_tokens=1, messages=[{"role": "user", "content": "x"}])
    assert chat(smollm, body)["usage"]["prompt_tokens"] == 31


def test_usage_is_counted_exactly(smollm: str) -> None:
    usage = chat(smollm, question(max_tokens=9))["usage"]
    assert usage["completion_tokens"] == 9
    assert usage["total_tokens"] == usage["prompt_tokens"] + 9
    # One more word in the question, one more token.
    assert [chat(smollm, question(text, max_tokens=1))["usage"]["prompt_tokens"] for text in ("x", "x x")] == [16, 17]


def test_max_completion_tokens_is_max_tokens_new_name(smollm: str) -> None:
    answer = chat(smollm, question(max_completion_tokens=5))
    assert answer["usage"]["completion_tokens"] == 5
    assert answer["choices"][0]["finish_reason"] == "length"


def test_a_stream_says_the_same_as_the_whole_answer(smollm: str) -> None:
    body = question(max_tokens=12)
    events = stream(smollm, body)
    deltas = [event["choices"][0]["delta"] for event in events]
    assert deltas[0].get("role") == "assistant"
    assert "".join(delta.get("content") or "" for delta in deltas) == text_of(chat(smollm, body))
    assert [e["choices"][0]["finish_reason"] for e in events][-1] == "length"
    assert {event["model"] for event in events} == {"smollm2"}
    assert len({event["id"] for event in events}) == 1


def test_usage_of_a_stream_comes_in_a_chunk_of_its_own_to_who_asks(smollm: str) -> None:
    body = question(max_tokens=6)
    assert not any("usage" in event for event in stream(smollm, body))
    events = stream(smollm, {**body, "stream_options": {"include_usage": True}})
    assert events[-1]["choices"] == []
    usage = chat(smollm, body)["usage"]
    assert events[-1]["usage"] == usage
    assert usage["completion_tokens"] == 6


def test_a_stop_sequence_ends_the_answer_and_is_not_shown(smollm: str) -> None:
    whole = text_of(chat(smollm, question(max_tokens=16)))
    stop = whole.split()[4]
    body = question(max_tokens=16, stop=[stop, "never said"])
    answer = chat(smollm, body)
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert text_of(answer) == whole[: whole.index(stop)]
    streamed = "".join(e["choices"][0]["delta"].get("content") or "" for e in stream(smollm, body))
    assert streamed == text_of(answer)


def test_an_answer_that_ends_by_itself_is_a_stop(smollm: str) -> None:
    short = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    format_ = {"type": "json_schema", "json_schema": {"name": "s", "schema": {**short, "additionalProperties": False}}}
    answer = chat(smollm, question("true or false?", max_tokens=100, response_format=format_))
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert set(json.loads(text_of(answer))) == {"a"}


def test_the_same_seed_gives_the_same_answer(smollm: str) -> None:
    def told(seed: int) -> str:
        return text_of(chat(smollm, question("x", max_tokens=8, temperature=1.0, seed=seed)))

    assert told(7) == told(7)
    assert len({told(seed) for seed in range(3)}) > 1


def test_a_greedy_answer_does_not_depend_on_what_was_asked_before(smollm: str) -> None:
    first = text_of(chat(smollm, question(max_tokens=12)))
    chat(smollm, question("Tell me a story about a hen.", max_tokens=8))
    assert text_of(chat(smollm, question(max_tokens=12))) == first
    assert text_of(chat(smollm, question(max_tokens=12))) == first


def test_a_json_schema_is_kept_to(smollm: str) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    format_ = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    answer = json.loads(text_of(chat(smollm, question("Invent a person.", max_tokens=120, response_format=format_))))
    assert set(answer) == {"name", "age"}
    assert type(answer["age"]) is int


def test_a_json_object_begins_as_one(smollm: str) -> None:
    text = text_of(chat(smollm, question("Invent a person.", max_tokens=8, response_format={"type": "json_object"})))
    assert text.lstrip().startswith("{")


def test_a_broken_schema_is_the_callers_fault(smollm: str) -> None:
    format_ = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}
    status, answer = post(smollm, "/v1/chat/completions", question(response_format=format_, max_tokens=4))
    assert status == 400, answer
    assert get(smollm, "/health")[0] == 200


def test_several_choices_are_refused_since_their_usage_would_be_wrong(smollm: str) -> None:
    status, answer = post(smollm, "/v1/chat/completions", question(max_tokens=2, n=2))
    assert status == 400
    assert answer["error"]["code"] == "unsupported_parameter"


def test_logprobs_are_those_of_the_tokens(smollm: str) -> None:
    answer = chat(smollm, question(max_tokens=3, logprobs=True, top_logprobs=2))
    entries = answer["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == text_of(answer)
    for entry in entries:
        assert entry["logprob"] <= 0
        assert entry["top_logprobs"][0]["logprob"] == entry["logprob"]  # greedy takes the likeliest
        assert len(entry["top_logprobs"]) == 2
    assert "logprobs" not in chat(smollm, question(max_tokens=1))["choices"][0]


def test_a_prompt_beyond_the_context_is_refused_before_it_is_evaluated(smollm: str) -> None:
    began = time.monotonic()
    status, answer = post(smollm, "/v1/chat/completions", question(LONG * 10))
    assert status == 400
    assert answer["error"]["type"] == "exceed_context_size_error"
    assert answer["error"]["n_ctx"] == 512
    assert answer["error"]["n_prompt_tokens"] > 4000
    assert time.monotonic() - began < 1.0  # evaluating so many tokens takes ten times as long
    seconds_until(lambda: not busy(smollm), within=1.0)


def test_what_is_not_json_or_not_a_request_is_a_clean_400(smollm: str) -> None:
    for body in (b"{bad", b"[]", b"", {"messages": "x"}, {"messages": [1]}, question(max_tokens="many")):
        status, answer = post(smollm, "/v1/chat/completions", body)
        assert status == 400, (body, answer)
        assert answer["error"]["message"]


def test_a_client_that_leaves_in_mid_stream_stops_the_generation(smollm: str) -> None:
    def stopping() -> float:
        with sent(smollm, "/v1/chat/completions", question(stream=True)) as connection:
            assert connection.getresponse().readline().startswith(b"data: ")
            assert busy(smollm)
        return seconds_until(lambda: not busy(smollm))

    assert any(stopping() < CANCEL_SECONDS for _ in range(TRIES))


def test_a_client_that_leaves_before_its_whole_answer_stops_the_generation(smollm: str) -> None:
    def stopping() -> float:
        with sent(smollm, "/v1/chat/completions", question()):
            seconds_until(lambda: busy(smollm))
            time.sleep(0.3)  # by now it generates
            assert busy(smollm)
        return seconds_until(lambda: not busy(smollm))

    assert any(stopping() < CANCEL_SECONDS for _ in range(TRIES))


def test_a_client_that_leaves_before_the_first_token_stops_the_evaluation(smollm: str) -> None:
    def stopping() -> float:
        with sent(smollm, "/v1/chat/completions", question(LONG)):
            seconds_until(lambda: busy(smollm))
        return seconds_until(lambda: not busy(smollm))

    before = text_of(chat(smollm, question(max_tokens=4)))
    assert any(stopping() < CANCEL_SECONDS for _ in range(TRIES))
    assert text_of(chat(smollm, question(max_tokens=4))) == before  # and it is none the worse


def test_tools_are_taken_where_the_engine_knows_them_and_refused_where_not(engine: str, smollm: str) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    body = question(max_tokens=4, tools=[tool])
    if engine == "xllamacpp":
        assert chat(smollm, body)["usage"]["completion_tokens"] == 4
    else:
        status, answer = post(smollm, "/v1/chat/completions", body)
        assert status == 400
        assert answer["error"]["code"] == "unsupported_parameter"


def test_embeddings_of_a_chat_model_are_refused(smollm: str) -> None:
    status, answer = post(smollm, "/v1/embeddings", {"input": "x"})
    assert status == 501
    assert answer["error"]["type"] == "not_supported_error"


def test_a_path_that_is_not_there(smollm: str) -> None:
    assert post(smollm, "/v1/nothing", {})[0] == 404


def test_a_stream_tells_its_tokens_and_an_answer_goes_on_behind_them(smollm: str) -> None:
    body = question("Tell me a story about a fox.", max_tokens=12, return_tokens=True)
    events = stream(smollm, body)
    assert all(next(iter(event)) == "tokens" for event in events if event["choices"][0]["delta"].get("content"))
    tokens = [token for event in events for token in event.get("tokens", ())]
    assert len(tokens) == 12
    asked = {**body, "max_tokens": 7, "continue_tokens": tokens[:5], "stream_options": {"include_usage": True}}
    rest = stream(smollm, asked)
    usage = next(event["usage"] for event in rest if event.get("usage"))
    prompt = chat(smollm, question("Tell me a story about a fox.", max_tokens=1))["usage"]["prompt_tokens"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (prompt + 5, 7)
    assert [token for event in rest for token in event.get("tokens", ())] == tokens[5:]
    assert "".join(said(event) for event in rest) == "".join(said(event) for event in events[-8:])
    assert {event["object"] for event in rest} == {"chat.completion.chunk"}


def said(event: dict[str, Any]) -> str:
    return next((choice["delta"].get("content") or "" for choice in event["choices"]), "")


def test_tokens_that_are_none_are_refused(smollm: str) -> None:
    for wrong in ("x", [-1], [1.5]):
        status, answer = post(smollm, "/v1/chat/completions", question(stream=True, continue_tokens=wrong))
        assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    whole = question(continue_tokens=[1, 2])
    assert post(smollm, "/v1/chat/completions", whole)[0] == 400
