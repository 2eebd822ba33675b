"""An Ollama behind a whole Wayline: streams, usage, failing over, and a model that is pulled while clients wait."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tests.app.ollama import Ollama
from tests.faults.conftest import Run
from tests.faults.rig import Rig
from tests.upstream_answers import ok


async def behind(rig: Rig, ollama: Ollama, *more: str, pull: bool = False, num_ctx: int = 4096, **route: Any) -> None:
    """The route `chat` over `o/qwen3`, and other backends behind it."""
    rig.backend("o", type="ollama", base_url=ollama.url + "/v1", pull=pull, num_ctx=num_ctx)
    rig.route("chat", "o/qwen3", *more, **route)
    await rig.serve()


def test_a_stream_arrives_as_openais_and_its_usage_is_on_record(run: Run) -> None:
    async def story(rig: Rig) -> None:
        async with Ollama("qwen3") as ollama:
            await behind(rig, ollama)
            streamed = await rig.chat("chat", id_="s", stream=True, temperature=0)
            whole = await rig.chat("chat", id_="w")
            assert streamed.said() == whole.said() == "hello"
            assert streamed.done
            assert whole.json["usage"] == {"prompt_tokens": 50, "completion_tokens": 2, "total_tokens": 52}
            assert whole.json["id"] == "chatcmpl-w"
            for id_ in ("s", "w"):
                (row,) = await rig.rows(id_)
                assert (row.ended, row.input, row.output, row.usage_source) == ("served", 50, 2, "reported")
            assert ollama.bodies[0]["options"] == {"num_ctx": 4096, "temperature": 0}

    run(story)


def test_what_ollama_cannot_express_is_named_in_a_header(run: Run) -> None:
    async def story(rig: Rig) -> None:
        async with Ollama("qwen3") as ollama:
            await behind(rig, ollama)
            answer = await rig.chat("chat", n=2, verbosity="low", user="me")
            assert answer.headers["x-wayline-dropped"] == "n, user, verbosity"

    run(story)


def test_a_model_that_is_missing_and_not_to_be_pulled_is_found_elsewhere(run: Run) -> None:
    async def story(rig: Rig) -> None:
        async with Ollama() as ollama:
            await rig.upstream("other", ok())
            await behind(rig, ollama, "other")
            answer = await rig.chat("chat", id_="a", stream=True)
            assert answer.status == 200
            rows = await rig.rows("a", 2)
            assert [(row.ended, row.failure) for row in rows] == [("failed", "model_not_found"), ("served", None)]
            assert ollama.asked == ["/api/chat"]

    run(story)


def test_half_a_prompt_is_no_answer(run: Run) -> None:
    """The other target is asked while nothing was sent; who has the words already is told, and they are not gone on
    with."""

    async def story(rig: Rig) -> None:
        async with Ollama("qwen3") as ollama:
            await rig.upstream("other", ok())
            ollama.counted = 512
            await behind(rig, ollama, "other", on_cut="continue", num_ctx=512)
            answer = await rig.chat("chat", id_="w")
            assert answer.status == 200
            rows = await rig.rows("w", 2)
            assert [(row.ended, row.failure) for row in rows] == [("failed", "context_length"), ("served", None)]
            streamed = await rig.chat("chat", id_="s", stream=True)
            assert streamed.chunks[-1]["error"]["code"] == "context_length_exceeded"
            assert not streamed.done
            (row,) = await rig.rows("s")
            assert (row.ended, row.failure) == ("cut", "context_length")

    run(story)


def test_an_error_line_before_content_fails_over_and_after_it_is_told(run: Run) -> None:
    async def story(rig: Rig) -> None:
        async with Ollama("qwen3") as ollama:
            await rig.upstream("other", ok())
            ollama.ends = {"error": "an error was encountered while running the model"}
            await behind(rig, ollama, "other")
            told = await rig.chat("chat", id_="a", stream=True)
            assert "error" in told.chunks[-1]
            ollama.says = []
            answer = await rig.chat("chat", id_="b", stream=True)
            assert answer.done
            assert [row.ended for row in await rig.rows("b", 2)] == ["failed", "served"]

    run(story)


def test_who_waits_for_a_pull_hears_how_far_it_is(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wayline.pull")

    async def story(rig: Rig) -> None:
        async with Ollama() as ollama:
            await behind(rig, ollama, pull=True, keep_alive=0.02)
            plain = asyncio.ensure_future(rig.chat("chat", id_="p"))
            early = await rig.begun("chat", "e")
            ollama.release(3)
            await early.head()
            await early.until(b": wayline o/qwen3: pulling, 43 % of 4.7 GB\n\n")
            late = await rig.begun("chat", "l")
            await late.head()
            await late.until(b": wayline o/qwen3: pulling, 43 % of 4.7 GB\n\n")
            assert not plain.done()
            ollama.release()
            for talk in (early, late):
                answer = await talk.rest()
                assert answer.body.endswith(b"data: [DONE]\n\n")
                assert b'"content":"hel"' in answer.body
            assert (await plain).said() == "hello"
            assert ollama.asked.count("/api/pull") == 1
            (row,) = await rig.rows("e")
            assert (row.attempt, row.ended) == (1, "served")

    run(story)
    assert "o/qwen3: pulling, 43 % of 4.7 GB" in caplog.text


def test_a_model_that_only_a_request_names_is_not_pulled(run: Run) -> None:
    async def story(rig: Rig) -> None:
        async with Ollama("qwen3") as ollama:
            rig.settings["direct"] = True
            await behind(rig, ollama, pull=True)
            answer = await rig.chat("o/llama4:400b")
            assert answer.status == 502
            assert answer.error["code"] == "upstream_model_not_found"
            assert "/api/pull" not in ollama.asked

    run(story)
