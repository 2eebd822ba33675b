"""A new configuration comes into force in one step; a bad one changes nothing and says so."""

from __future__ import annotations

import asyncio

from tests.faults.conftest import Run
from tests.faults.rig import Rig
from tests.faults.talk import get
from tests.upstream_answers import DONE, chat_ok, error, last, raw_stream, role, word
from tests.upstream_steps import Wait


def test_what_is_under_way_finishes_on_what_it_began_with(run: Run) -> None:
    async def story(rig: Rig) -> None:
        go_on = asyncio.Event()
        await rig.upstream("old", raw_stream(role(), word("Hel"), Wait(go_on), word("lo"), last(), DONE))
        await rig.upstream("new", chat_ok("new"))
        rig.route("chat", "old", reply_model="route")
        await rig.serve()
        talk = await rig.begun("chat", "old")
        await talk.head()
        await talk.until(b"Hel")
        del rig.backends["old"]
        rig.route("chat", "new")
        rig.write()
        await rig.process.runtime.reload()
        assert (await rig.chat("chat")).said() == "new"
        go_on.set()
        answer = await talk.rest()
        assert answer.done and answer.said() == "Hello"
        assert {chunk["model"] for chunk in answer.chunks} == {"chat"}
        (row,) = await rig.rows("old")
        assert (row.target, row.ended) == ("old/m", "served")
        assert row.cost is None or row.cost.startswith("0.0000")

    run(story)


def test_a_request_between_two_targets_goes_on_over_the_old_ones(run: Run) -> None:
    async def story(rig: Rig) -> None:
        go_on = asyncio.Event()
        first = await rig.upstream("a", error(500).after(Wait(go_on)))
        await rig.upstream("b", chat_ok("old second"))
        await rig.upstream("c", chat_ok("new"))
        rig.route("chat", "a", "b")
        await rig.serve()
        asked = asyncio.create_task(rig.chat("chat"))
        await first.until(lambda: first.asked == 1)
        rig.route("chat", "c")
        rig.write()
        await rig.process.runtime.reload()
        go_on.set()
        assert (await asked).said() == "old second"

    run(story)


def test_a_bad_file_changes_nothing_and_says_so_until_a_good_one_comes(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", chat_ok("still here"))
        rig.route("chat", "a")
        await rig.serve()
        path = rig.write()
        good = path.read_text()
        for bad in ("routes: {chat: {targets: [nobody/m]}}\nbackends: {}", "{", good.replace("a/m", "b/m")):
            path.write_text(bad)
            await rig.process.runtime.reload()
            assert (await rig.chat("chat")).said() == "still here"
            ready = await get(rig.port, "/readyz")
            assert ready.status == 200
            assert "routes.yaml" in ready.json["config"]["error"]
            assert "wayline_config_valid 0" in (await get(rig.port, "/metrics")).body.decode()
        path.write_text(good)
        await rig.process.runtime.reload()
        assert "error" not in (await get(rig.port, "/readyz")).json["config"]
        metrics = (await get(rig.port, "/metrics")).body.decode()
        assert "wayline_config_valid 1" in metrics
        assert 'wayline_config_reloads_total{result="rejected"} 3' in metrics
        assert "config.rejected" in await logged(rig)

    run(story)


def test_a_changed_file_is_taken_over_by_itself(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", chat_ok("before"))
        await rig.upstream("b", chat_ok("after"))
        rig.route("chat", "a")
        await rig.serve()
        assert (await rig.chat("chat")).said() == "before"
        await asyncio.sleep(0.1)
        rig.route("chat", "b")
        rig.write()
        async with asyncio.timeout(10):
            while rig.process.runtime.reloads[True] == 0:  # noqa: ASYNC110  # a file tells nobody
                await asyncio.sleep(0.05)
        assert (await rig.chat("chat")).said() == "after"

    run(story)


def test_a_backend_that_was_mended_is_tried_again_at_once_and_one_that_was_not_keeps_its_rest(run: Run) -> None:
    async def story(rig: Rig) -> None:
        refusing = {name: await rig.upstream(name, [error(401), chat_ok(f"{name} mended")]) for name in "ab"}
        await rig.upstream("good", chat_ok("good"))
        for name in "ab":
            rig.route(name, name, "good")
        await rig.serve()
        for name in "ab":
            assert (await rig.chat(name)).said() == "good"
        rig.backends["a"]["api_key"] = "the-right-key"
        rig.write()
        await rig.process.runtime.reload()
        assert (await rig.chat("a")).said() == "a mended"
        assert (await rig.chat("b")).said() == "good"
        assert refusing["b"].asked == 1
        assert refusing["a"].requests[1].headers["authorization"] == "Bearer the-right-key"

    run(story)


async def logged(rig: Rig) -> str:
    """The log, once what happened so far is in it."""
    await asyncio.sleep(0.3)
    return (rig.directory / "log.txt").read_text()


def test_what_is_under_way_still_counts_against_a_limit_after_a_reload(run: Run) -> None:
    async def story(rig: Rig) -> None:
        go_on = asyncio.Event()
        up = await rig.upstream("a", [chat_ok("first").after(Wait(go_on)), chat_ok("later")], concurrency=1)
        await rig.upstream("b", chat_ok("elsewhere"))
        rig.route("chat", "a", "b")
        await rig.serve()
        first = asyncio.create_task(rig.chat("chat"))
        await up.until(lambda: up.asked == 1)
        rig.route("new", "a")
        rig.write()
        await rig.process.runtime.reload()
        assert (await rig.chat("chat")).said() == "elsewhere"
        go_on.set()
        assert (await first).said() == "first"
        assert (await rig.chat("chat")).said() == "later"

    run(story)
