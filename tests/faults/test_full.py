"""Our own limits: what is full sends on to the next target, who leaves refuses cleanly, and nobody is blamed."""

from __future__ import annotations

import asyncio

from proxy.core.health import WELL
from tests.faults.conftest import Run
from tests.faults.rig import Rig
from tests.faults.talk import get
from tests.upstream_answers import DONE, chat_ok, error, last, raw_stream, role, word
from tests.upstream_steps import Behaviour, Hang, Wait


def test_a_full_target_costs_the_next_request_nothing_and_has_its_place_back_after(run: Run) -> None:
    async def story(rig: Rig) -> None:
        go_on = asyncio.Event()
        up = await rig.upstream("a", [chat_ok("a").after(Wait(go_on)), chat_ok("a")])
        await rig.upstream("b", chat_ok("b"))
        rig.route("chat", {"target": "a/m", "concurrency": 1}, "b", max_attempts=1)
        await rig.serve()
        first = asyncio.create_task(rig.chat("chat"))
        await up.until(lambda: up.asked == 1)
        second = await rig.chat("chat", id_="second")
        assert (second.said(), second.headers["x-wayline-attempts"]) == ("b", "1")
        assert [row.target for row in await rig.rows("second")] == ["b/m"], "what was not sent is not on record"
        go_on.set()
        assert (await first).said() == "a"
        assert (await rig.chat("chat")).said() == "a"
        assert rig.health("a").in_a_row == 0

    run(story)


def test_a_limit_of_a_backend_holds_for_all_its_targets_and_routes(run: Run) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", Behaviour((Hang(),)), concurrency=2)
        rig.route("one", "a/m")
        rig.route("two", "a/n")
        await rig.serve()
        held = [await rig.begun("one", "h1"), await rig.begun("two", "h2")]
        await up.until(lambda: up.asked == 2)
        for model in ("one", "two"):
            answer = await rig.chat(model)
            assert (answer.status, answer.error["code"]) == (503, "queue_full")
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["x-wayline-attempts"] == "0"
        await held[0].leave()
        await rig.rows("h1")
        third = await rig.begun("two", "h3")
        await up.until(lambda: up.asked == 3)
        assert rig.health("a") == WELL
        for talk in (held[1], third):
            await talk.leave()

    run(story)


def test_places_come_back_however_an_attempt_ends(run: Run) -> None:
    async def story(rig: Rig) -> None:
        cut = raw_stream(role(), word("x"), end=False)
        scripts = [error(500), chat_ok(), cut, error(400), chat_ok()]
        await rig.upstream("a", scripts, concurrency=1, timeouts={"connect": 5, "first": 5, "idle": 0.2, "total": 9})
        rig.route("chat", "a")
        await rig.serve()
        statuses = [(await rig.chat("chat", stream=n == 2)).status for n in range(5)]
        assert statuses == [502, 200, 200, 400, 200]

    run(story)


def test_a_draining_process_ends_what_it_has_and_refuses_what_is_new(run: Run) -> None:
    async def story(rig: Rig) -> None:
        go_on = asyncio.Event()
        up = await rig.upstream("a", raw_stream(role(), word("Hel"), Wait(go_on), word("lo"), last(), DONE))
        rig.route("chat", "a")
        await rig.serve()
        talk = await rig.begun("chat", "old")
        await talk.head()
        await talk.until(b"Hel")
        rig.server.drain()
        ready = await get(rig.port, "/readyz")
        assert (ready.status, ready.json["status"]) == (503, "draining")
        for stream in (True, False):
            refused = await rig.chat("chat", stream=stream)
            assert (refused.status, refused.headers["connection"]) == (503, "close")
            assert refused.headers["retry-after"] and refused.error["code"] == "draining"
        go_on.set()
        answer = await talk.rest()
        assert answer.whole and answer.done and answer.said() == "Hello"
        assert up.asked == 1
        assert (await rig.rows("old"))[0].ended == "served"

    run(story)
