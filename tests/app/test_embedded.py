"""`from proxy import Wayline`: the same engine in another program, without a socket."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy import Wayline, WaylineError
from proxy.app.sources import config_of
from proxy.ledger.spend import report
from tests.app.embedding import HELLO, PRICE, mapping
from tests.upstream import Upstream
from tests.upstream_answers import chat_ok, cut_after, error, ok, stream_ok
from tests.upstream_steps import Behaviour, Hang


def test_a_chat_is_answered_and_says_by_whom_and_for_how_much(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok("Hello !")) as up, Wayline(mapping(tmp_path, up.base_url)) as wayline:
            answer = await wayline.chat(model="chat", messages=HELLO, temperature=0.5)
            assert answer.text == "Hello !"
            assert (answer.target, answer.won.route, answer.won.attempts) == ("up/first", "chat", 1)
            assert answer.cost == Decimal("0.000011")  # (7 * 1 + 2 * 2) / 1e6
            assert answer.usage == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
            assert (answer.finish_reason, answer.tool_calls) == ("stop", [])
            assert up.requests[0].json["temperature"] == 0.5
            assert ChatCompletion.model_validate(answer.raw).choices[0].message.content == "Hello !"

    asyncio.run(run())


def test_a_stream_comes_in_pieces_with_usage_and_cost_at_its_end(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(stream_ok(["Hel", "lo"])) as up, Wayline(mapping(tmp_path, up.base_url)) as wayline:
            stream = wayline.stream(model="chat", messages=HELLO)
            pieces = [chunk async for chunk in stream]
            assert [piece.text for piece in pieces if piece.text] == ["Hel", "lo"]
            assert stream.text == "Hello"
            assert (stream.target, stream.finish_reason) == ("up/first", "stop")
            assert stream.usage == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
            assert stream.cost == Decimal("0.000011")
            assert stream.won is not None and stream.won.cost == stream.cost
            assert all(ChatCompletionChunk.model_validate(piece.raw) for piece in pieces)

    asyncio.run(run())


def test_the_next_target_answers_where_the_first_one_fails(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream([error(503), chat_ok("second")]) as up, Wayline(mapping(tmp_path, up.base_url)) as wayline:
            answer = await wayline.chat(model="chat", messages=HELLO)
            assert (answer.text, answer.target, answer.won.attempts) == ("second", "up/second", 2)

    asyncio.run(run())


def test_vectors(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, Wayline(mapping(tmp_path, up.base_url)) as wayline:
            answer = await wayline.embed(model="embed", input="text")
            assert answer.vectors == [[0.25, -0.5]]
            assert answer.usage == {"prompt_tokens": 3, "total_tokens": 3}
            assert CreateEmbeddingResponse.model_validate(answer.raw).data[0].embedding == [0.25, -0.5]

    asyncio.run(run())


def test_an_error_has_status_code_and_when_to_come_again(tmp_path: Path) -> None:
    async def run() -> None:
        busy = error(429, headers={"retry-after": "7"})
        async with Upstream(busy) as up, Wayline(mapping(tmp_path, up.base_url)) as wayline:
            with pytest.raises(WaylineError) as limited:
                await wayline.chat(model="chat", messages=HELLO)
            told = limited.value
            assert (told.status, told.code, told.type) == (429, "rate_limit_exceeded", "rate_limit_error")
            assert told.retry_after is not None and 6 <= told.retry_after <= 7
            assert (told.target, told.attempts) == ("up/second", 2)
            with pytest.raises(WaylineError, match="does not exist") as unknown:
                await wayline.chat(model="nobody", messages=HELLO)
            assert (unknown.value.status, unknown.value.code, unknown.value.param) == (404, "model_not_found", "model")
            with pytest.raises(WaylineError) as empty:
                async for _ in wayline.stream(model="chat", messages=[]):
                    raise AssertionError("there is nothing to be answered")
            assert (empty.value.status, empty.value.param) == (400, "messages")

    asyncio.run(run())


def test_a_stream_that_breaks_off_raises_after_what_came(tmp_path: Path) -> None:
    async def run() -> None:
        config = mapping(tmp_path, "")
        config["routes"]["chat"] |= {"on_cut": "error"}
        async with Upstream(cut_after(2)) as up:
            config["backends"]["up"]["base_url"] = up.base_url
            async with Wayline(config) as wayline:
                stream = wayline.stream(model="chat", messages=HELLO)
                with pytest.raises(WaylineError) as broken:
                    async for _ in stream:
                        pass
                assert stream.text == "Hello"
                assert (broken.value.status, broken.value.code) == (200, "upstream_truncated")
                assert broken.value.error["received_chars"] == 5

    asyncio.run(run())


def test_what_is_asked_of_targets_is_obeyed_and_not_sent_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, Wayline(mapping(tmp_path, up.base_url)) as wayline:
            answer = await wayline.chat(model="chat", messages=HELLO, wayline={"exclude": ["up/first"]})
            assert answer.target == "up/second"
            assert "wayline" not in up.requests[0].json

    asyncio.run(run())


def test_a_cancelled_chat_is_a_client_that_left(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(Behaviour((Hang(),))) as up, Wayline(mapping(tmp_path, up.base_url)) as wayline:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await wayline.chat(model="chat", messages=HELLO)
            await up.closed(0)

    asyncio.run(run())
    assert ended(tmp_path) == {"cancelled": 1}


def test_leaving_the_loop_over_a_stream_is_leaving(tmp_path: Path) -> None:
    async def run() -> None:
        endless = stream_ok(["word "] * 500, every=0.02)
        async with Upstream(endless) as up, Wayline(mapping(tmp_path, up.base_url)) as wayline:
            async for chunk in wayline.stream(model="chat", messages=HELLO):
                if chunk.text:
                    break
            await up.closed(0)
            async with wayline.stream(model="chat", messages=HELLO) as stream:
                async for chunk in stream:
                    if chunk.text:
                        break
            await up.closed(1)

    asyncio.run(run())
    assert ended(tmp_path) == {"cancelled": 2}


def test_everything_is_on_record_under_the_name_of_the_key(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, Wayline(mapping(tmp_path, up.base_url), key="batch") as wayline:
            await wayline.chat(model="chat", messages=HELLO)
            async for _ in wayline.stream(model="chat", messages=HELLO):
                pass

    asyncio.run(run())
    assert ended(tmp_path) == {"served": 2}
    assert [(line.name, line.requests) for line in report(tmp_path / "ledger.db", None, None, "key").lines] == [
        ("batch", 2)
    ]


def test_what_one_thinks_of_an_answer_is_kept_with_its_target(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, Wayline(mapping(tmp_path, up.base_url, feedback={}), key="app") as wayline:
            answer = await wayline.chat(model="chat", messages=HELLO)
            async with asyncio.timeout(10):
                while True:
                    try:
                        assert await wayline.feedback(answer.won.request_id, 0.9, "good") == "up/first"
                        break
                    except WaylineError as error:  # it may not be in the database yet
                        assert error.status == 404
                        await asyncio.sleep(0.05)
            for id_, score, status in (("req_nobody", 0.5, 404), (answer.won.request_id, 7, 400)):
                with pytest.raises(WaylineError) as told:
                    await wayline.feedback(id_, score)
                assert told.value.status == status

    asyncio.run(run())


def test_the_limits_of_the_named_key_hold(tmp_path: Path) -> None:
    async def run() -> None:
        keys = [{"name": "batch", "key": "sk-of-the-batch", "limits": {"rpm": 1}, "routes": ["chat"]}]
        async with Upstream(ok()) as up, Wayline(mapping(tmp_path, up.base_url, keys=keys), key="batch") as wayline:
            await wayline.chat(model="chat", messages=HELLO)
            with pytest.raises(WaylineError, match="Limit reached") as told:
                await wayline.chat(model="chat", messages=HELLO)
            assert (told.value.status, told.value.attempts) == (429, 0)
            assert told.value.retry_after is not None and 0 < told.value.retry_after <= 60

    asyncio.run(run())


def ended(directory: Path) -> dict[str, int]:
    """The attempts on record, by how they ended."""
    total = report(directory / "ledger.db", None, None, "route").total
    counts = {name: getattr(total, name) for name in ("served", "failed", "cut", "cancelled")}
    return {name: count for name, count in counts.items() if count}


def test_closing_ends_what_is_under_way_and_says_so_to_who_waits(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(Behaviour((Hang(),))) as up:
            async with Wayline(mapping(tmp_path, up.base_url)) as wayline:
                waiting = asyncio.create_task(wayline.chat(model="chat", messages=HELLO))
                await up.until(lambda: len(up.requests) == 1)
            with pytest.raises(WaylineError, match="was closed") as told:
                await waiting
            assert (told.value.status, told.value.code) == (503, "closed")
            await up.closed(0)
            with pytest.raises(RuntimeError, match="is not open"):
                await wayline.chat(model="chat", messages=HELLO)

    asyncio.run(run())


def test_two_at_once_and_one_twice(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok("one")) as one, Upstream(ok("two")) as two:
            first = Wayline(mapping(tmp_path, one.base_url))
            async with first, Wayline(mapping(tmp_path, two.base_url)) as second:
                answers = await asyncio.gather(*(w.chat(model="chat", messages=HELLO) for w in (first, second)))
                assert [answer.text for answer in answers] == ["one", "two"]
                with pytest.raises(RuntimeError, match="open already"):
                    await first.open()
            async with first:
                assert (await first.chat(model="chat", messages=HELLO)).text == "one"

    asyncio.run(run())
    assert ended(tmp_path) == {"served": 3}


def test_a_slow_reader_slows_the_upstream_down_and_gets_all_of_it(tmp_path: Path) -> None:
    words = [f"{i:05d}" + "x" * 20_000 for i in range(100)]

    async def run() -> None:
        async with Upstream(stream_ok(words)) as up, Wayline(mapping(tmp_path, up.base_url)) as wayline:
            stream = wayline.stream(model="chat", messages=HELLO)
            async for _ in stream:
                await asyncio.sleep(0)
            assert stream.text == "".join(words)

    asyncio.run(run())


def test_a_file_is_watched_as_by_serve(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"

    async def run() -> None:
        async with Upstream(ok()) as up:
            path.write_text(as_file(mapping(tmp_path, up.base_url)))
            async with Wayline(path) as wayline:
                assert [model["id"] for model in wayline.models()] == ["chat", "embed"]
                config = mapping(tmp_path, up.base_url)
                config["routes"]["more"] = {"targets": [{"target": "up/more", "price": PRICE}]}
                path.write_text(as_file(config))
                async with asyncio.timeout(10):
                    while len(wayline.models()) < 3:  # noqa: ASYNC110  # it is for a file that it looks
                        await asyncio.sleep(0.05)
                assert (await wayline.chat(model="more", messages=HELLO)).target == "up/more"

    asyncio.run(run())


def as_file(config: dict[str, Any]) -> str:
    return json.dumps(config, default=str)


def test_a_configuration_with_problems_opens_nothing_and_names_them_all(tmp_path: Path) -> None:
    async def run() -> None:
        config = mapping(tmp_path, "http://127.0.0.1:9")
        config["routes"]["chat"]["targets"] = ["down/x"]
        config["listn"] = {}
        with pytest.raises(ValueError, match="unknown backend") as told:
            async with Wayline(config):
                raise AssertionError("it opened")
        assert "listn" in str(told.value)
        with pytest.raises(ValueError, match="cannot be read"):
            await Wayline(tmp_path / "nowhere.yaml").open()
        with pytest.raises(ValueError, match="no file could have"):
            await Wayline({"routes": object()}).open()

    asyncio.run(run())
    assert not (tmp_path / "ledger.db").exists()


def test_variables_stand_in_a_mapping_as_in_a_file(tmp_path: Path) -> None:
    config = mapping(tmp_path, "http://127.0.0.1:9", keys=({"name": "me", "key": "${MINE}"},))
    assert config_of(config, {"MINE": "of-the-environment"}).keys[0].name == "me"
    config["backends"]["up"]["api_key"] = "yes"  # a text that YAML itself would read otherwise
    backend = config_of(config, {"MINE": "x"}).backends["up"]
    assert backend.api_key is not None and backend.api_key.reveal() == "yes"


def test_it_writes_to_the_programs_own_log_and_never_a_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def run() -> None:
        async with Upstream([error(401), ok("well")]) as up, Wayline(mapping(tmp_path, up.base_url)) as wayline:
            await wayline.chat(model="chat", messages=HELLO)

    with caplog.at_level(logging.INFO, "wayline"):
        asyncio.run(run())
    lines = [json.loads(record.message) for record in caplog.records if record.name == "wayline.requests"]
    assert [(line["route"], line["target"], line["attempts"]) for line in lines] == [("chat", "up/second", 2)]
    assert "sk-of-the-gateway" not in caplog.text
    assert capfd.readouterr().out == ""


def test_importing_it_costs_nothing_before_it_is_used() -> None:
    light = "import sys, proxy; print(len([n for n in sys.modules if n.startswith('proxy.')]))"
    used = (
        "import sys; from proxy import Wayline; print(*sorted({'uvicorn', 'pydantic', 'xllamacpp'} & set(sys.modules)))"
    )
    for code, said in ((light, "0\n"), (used, "\n")):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == said
