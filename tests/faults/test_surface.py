"""What clients see besides the answer: headers, names, usage; and that answers are never mixed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.faults.conftest import Run
from tests.faults.rig import Rig
from tests.upstream import Request
from tests.upstream_answers import (
    DONE,
    MODEL,
    chat_ok,
    completion,
    delta,
    dumps,
    error,
    ok,
    plain,
    raw_stream,
    role,
    sse,
    stream_ok,
    usage_event,
)
from tests.upstream_faults import harmless
from tests.upstream_steps import Behaviour, Tokens


@pytest.mark.parametrize("name", harmless())
def test_odd_streams_that_are_whole_arrive_as_such_and_at_once(run: Run, name: str) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", harmless()[name])
        await rig.upstream("b", stream_ok(["never"]))
        rig.route("chat", "a", "b")
        await rig.serve()
        answer = await rig.chat("chat", id_="h", stream=True)
        assert (answer.status, answer.said(), answer.done) == (200, "Hello!", True)
        assert answer.headers["x-wayline-target"] == "a/m"
        (row,) = await rig.rows("h")
        assert row.ended == "served" and row.last < 3
        reports = name in ("missing [DONE]", "slow but steady")
        assert row.usage_source == ("reported" if reports else "estimated")
        assert rig.health("a").in_a_row == 0

    run(story)


@pytest.mark.parametrize("asks", [True, False])
def test_usage_is_asked_of_the_upstream_and_shown_to_the_client_that_asked(run: Run, asks: bool) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", stream_ok(usage=(11, 5)))
        rig.route("chat", "a")
        await rig.serve()
        more: dict[str, Any] = {"stream_options": {"include_usage": True}} if asks else {}
        answer = await rig.chat("chat", id_="u", stream=True, **more)
        assert up.requests[0].json["stream_options"] == {"include_usage": True}
        assert [c["usage"]["total_tokens"] for c in answer.chunks if c.get("usage")] == ([16] if asks else [])
        assert all(chunk["choices"] for chunk in answer.chunks) != asks
        (row,) = await rig.rows("u")
        assert (row.input, row.output, row.usage_source, row.cost) == (11, 5, "reported", "0.000021")

    run(story)


def test_usage_beside_choices_is_counted_and_taken_out_for_a_client_that_did_not_ask(run: Run) -> None:
    """OpenRouter's way."""

    async def story(rig: Rig) -> None:
        last = {**delta({"content": "!"}, "stop"), "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
        await rig.upstream("a", raw_stream(role(), sse(delta({"content": "Hi"})), sse(last), DONE))
        rig.route("chat", "a")
        await rig.serve()
        answer = await rig.chat("chat", id_="u", stream=True)
        assert answer.said() == "Hi!" and b"prompt_tokens" not in answer.body
        (row,) = await rig.rows("u")
        assert (row.input, row.output) == (3, 4)

    run(story)


def test_headers_tell_which_target_answered_and_what_it_cost(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", error(500))
        await rig.upstream("b", ok("one two"), drop=["seed"])
        rig.route("team/chat", "a", "b")
        await rig.serve()
        whole = await rig.chat("team/chat", id_="mine-1", seed=7)
        streamed = await rig.chat("team/chat", id_="mine-2", stream=True, seed=7)
        for answer, id_ in ((whole, "mine-1"), (streamed, "mine-2")):
            told = {k.removeprefix("x-wayline-"): v for k, v in answer.headers.items() if k.startswith("x-wayline-")}
            cost = told.pop("cost", None)
            assert told == {
                "request-id": id_,
                "route": "team/chat",
                "target": "b/m",
                "attempts": "2",
                "dropped": "seed",
            }
            assert cost == ("0.000011" if answer is whole else None)
        assert "seed" not in rig.ups["b"].requests[0].json

    run(story)


@pytest.mark.parametrize("theirs", ["", "two words", "x" * 200, "ümlaut"])
def test_a_request_id_that_is_not_sane_is_replaced(run: Run, theirs: str) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", chat_ok())
        rig.route("chat", "a")
        await rig.serve()
        answer = await rig.chat("chat", id_=theirs or "-" * 129)
        assert answer.headers["x-wayline-request-id"].startswith("req_")

    run(story)


@pytest.mark.parametrize("mode", ["upstream", "route"])
def test_the_reply_names_the_model_that_served_or_the_route_in_body_and_every_chunk(run: Run, mode: str) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", ok())
        rig.route("chat", "a", reply_model=mode)
        await rig.serve()
        name = "chat" if mode == "route" else MODEL
        whole = await rig.chat("chat", id_="n")
        assert whole.json["model"] == name
        assert (whole.json["id"], whole.json["created"]) == ("chatcmpl-1", 1_700_000_000)
        streamed = await rig.chat("chat", stream=True, stream_options={"include_usage": True})
        assert {chunk["model"] for chunk in streamed.chunks} == {name}
        assert {chunk["id"] for chunk in streamed.chunks} == {"chatcmpl-1"}
        assert (await rig.embed("chat")).json["model"] == name
        assert (await rig.rows("n"))[0].model == MODEL, "on record is who served"

    run(story)


def test_a_target_named_directly_is_asked_where_that_is_allowed(run: Run) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", chat_ok("direct"))
        rig.route("chat", "a")
        await rig.serve()
        answer = await rig.chat("a/some/model-7b", id_="d")
        assert answer.said() == "direct"
        assert up.requests[0].json["model"] == "some/model-7b"
        assert answer.headers["x-wayline-target"] == "a/some/model-7b"
        assert (await rig.rows("d"))[0].target == "a/some/model-7b"
        assert (await rig.chat("nobody/model")).status == 404

    run(story, direct=True)


def test_a_target_named_directly_is_unknown_where_that_is_not_allowed(run: Run) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", chat_ok())
        rig.route("chat", "a")
        await rig.serve()
        answer = await rig.chat("a/m")
        assert (answer.status, answer.error["code"]) == (404, "model_not_found")
        assert "chat" in answer.error["message"] and not up.asked

    run(story)


def test_choices_that_come_interleaved_stay_apart_and_whole(run: Run) -> None:
    async def story(rig: Rig) -> None:
        parts = [(0, "a1 "), (1, "b1 "), (1, "b2 "), (0, "a2 "), (0, "a3"), (1, "b3")]
        events = [sse(delta({"content": text}, index=index)) for index, text in parts]
        ends = [sse(delta({}, "stop", index=1)), sse(delta({}, "length", index=0))]
        await rig.upstream("a", raw_stream(*events, *ends, usage_event(Tokens(4, 6)), DONE))
        rig.route("chat", "a")
        await rig.serve()
        answer = await rig.chat("chat", stream=True, n=2)
        assert (answer.said(0), answer.said(1)) == ("a1 a2 a3", "b1 b2 b3")
        assert answer.done

    run(story)


def echo(request: Request, _: int) -> Behaviour:
    """Says back, word by word, who asked."""
    name = request.json["messages"][0]["content"]
    if request.json.get("stream"):
        return stream_ok([f"{name}:{n} " for n in range(20)], every=0.001)
    return chat_ok(name)


def test_many_requests_at_once_are_never_mixed(run: Run) -> None:
    """Each stream holds its own words alone, though connections are used again and some first targets fail."""

    async def story(rig: Rig) -> None:
        def shaky(request: Request, number: int) -> Behaviour:
            return error(500) if number % 3 == 0 else echo(request, number)

        await rig.upstream("a", shaky)
        await rig.upstream("b", echo)
        rig.route("chat", "a", "b")
        await rig.serve()

        async def one(n: int) -> None:
            name = f"who{n}"
            messages = [{"role": "user", "content": name}]
            answer = await rig.chat("chat", stream=n % 4 != 0, messages=messages)
            assert answer.said() == (name if n % 4 == 0 else "".join(f"{name}:{i} " for i in range(20)))

        await asyncio.gather(*(one(n) for n in range(80)))
        await asyncio.gather(*(one(n) for n in range(80)))

    run(story)


def test_an_unknown_field_and_the_bytes_of_the_answer_pass_untouched(run: Run) -> None:
    async def story(rig: Rig) -> None:
        body = dumps({**completion("Hi", Tokens(1, 1)), "new_field": {"a": [1, 2.50, None]}, "system_fingerprint": "f"})
        up = await rig.upstream("a", plain(body))
        rig.route("chat", "a")
        await rig.serve()
        answer = await rig.chat("chat", future={"x": 1}, tools=[{"type": "function", "function": {"name": "f"}}])
        assert answer.body == body
        sent = up.requests[0].json
        assert sent["future"] == {"x": 1} and sent["tools"][0]["function"]["name"] == "f"
        assert sent["model"] == "m"
        assert up.requests[0].headers["authorization"] == "Bearer key-of-a"

    run(story)


def test_a_redirect_is_never_followed_and_the_other_origin_sees_nothing(run: Run) -> None:
    async def story(rig: Rig) -> None:
        other = await rig.upstream("other", ok())
        for name, status in (("a", 302), ("b", 307), ("c", 308)):
            await rig.upstream(name, plain(b"", status, headers={"location": other.base_url + "/chat/completions"}))
            rig.route(name, name)
        await rig.serve()
        for name in "abc":
            answer = await rig.chat(name)
            assert (answer.status, answer.error["code"]) == (502, "upstream_redirect")
            assert "location" not in answer.headers and str(other.port) not in answer.body.decode()
        assert not other.connections

    run(story)


def test_no_error_tells_of_keys_or_addresses(run: Run) -> None:
    async def story(rig: Rig) -> None:
        def telling(request: Request, _: int) -> Behaviour:
            at, key = request.headers["host"], request.headers["authorization"]
            status = {"a": 400, "b": 401, "c": 422, "d": 500}[key[-1]]
            return error(status, f"{key} is not good at http://{at}/v1 ({at})", type_="invalid_request_error")

        for name in "abcd":
            await rig.upstream(name, telling)
            rig.route(name, name)
        await rig.serve()
        for name in "abcd":
            answer = await rig.chat(name)
            text = answer.body.decode()
            assert "key-of" not in text and "127.0.0.1" not in text and str(rig.ups[name].port) not in text
        log = (rig.directory / "log.txt").read_text()
        assert "key-of" not in log

    run(story)
