"""Over real connections: who waits for a place, leaves it, or is told that there is none."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.faults.conftest import Run
from tests.faults.rig import Rig, until
from tests.faults.talk import ask, get
from tests.upstream_answers import DONE, chat_ok, last, raw_stream, role, word
from tests.upstream_steps import Hang, Pause, Wait

QUEUE = {"size": 100, "wait": 30}


def _waiting(rig: Rig) -> int:
    limiter = rig.process.engine.admission.limiter if rig.process.engine.admission else None
    return 0 if limiter is None else len(limiter.waiting)


def test_there_are_never_more_under_way_than_places_and_nobody_is_lost(run: Run) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", chat_ok("a").after(Pause(0.01)), concurrency=3)
        rig.route("chat", "a")
        await rig.serve()
        answers = await asyncio.gather(*(rig.chat("chat", id_=f"r{n}") for n in range(40)))
        assert [answer.said() for answer in answers] == ["a"] * 40
        assert up.asked == 40 and len(up.connections) <= 3
        waited = [answer for answer in answers if "x-wayline-queued-ms" in answer.headers]
        assert len(waited) >= 30 and all(int(one.headers["x-wayline-queued-ms"]) > 0 for one in waited)
        text = (await get(rig.port, "/metrics")).body.decode()
        assert f'wayline_queue_requests_total{{ended="served",priority="normal"}} {len(waited)}.0' in text
        assert 'wayline_queue_depth{priority="normal"} 0.0' in text

    run(story, queue=QUEUE)


def test_who_hangs_up_while_waiting_frees_its_place_at_once_and_nothing_is_sent_for_it(run: Run) -> None:
    async def story(rig: Rig) -> None:
        go_on = asyncio.Event()
        up = await rig.upstream("a", [chat_ok("a").after(Wait(go_on)), chat_ok("a")], concurrency=1)
        rig.route("chat", "a", queue={"size": 1, "wait": 30})
        await rig.serve()
        first = asyncio.create_task(rig.chat("chat"))
        await up.until(lambda: up.asked == 1)
        leaver = await rig.begun("chat", "leaver")
        await until(lambda: _waiting(rig) == 1)
        refused = await rig.chat("chat")
        assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (503, "queue_full", "1")
        await leaver.leave()
        await until(lambda: _waiting(rig) == 0)
        second = asyncio.create_task(rig.chat("chat"))
        await until(lambda: _waiting(rig) == 1)
        go_on.set()
        assert (await first).said() == (await second).said() == "a"
        assert up.asked == 2

    run(story)


def test_a_waiting_stream_gets_comments_and_its_answer_afterwards(run: Run) -> None:
    async def story(rig: Rig) -> None:
        go_on = asyncio.Event()
        busy = raw_stream(role(), word("x"), Wait(go_on), last(), DONE)
        up = await rig.upstream("a", [busy, raw_stream(role(), word("Hello"), last(), DONE)], concurrency=1)
        rig.route("chat", "a", keep_alive=0.1)
        await rig.serve()
        held = await rig.begun("chat", "held")
        await up.until(lambda: up.asked == 1)
        waits = await rig.begun("chat", "waits")
        await waits.head()
        await waits.until(b": wayline waiting for a place\n\n")
        go_on.set()
        answer = await waits.rest()
        assert b"Hello" in answer.body and answer.body.endswith(DONE)
        await held.head()
        assert (await held.rest()).body.endswith(DONE)

    run(story, queue=QUEUE)


def test_at_shutdown_those_who_wait_are_told_so_at_once(run: Run) -> None:
    async def story(rig: Rig) -> None:
        go_on = asyncio.Event()
        up = await rig.upstream("a", chat_ok("a").after(Wait(go_on)), concurrency=1)
        rig.route("chat", "a")
        await rig.serve()
        first = asyncio.create_task(rig.chat("chat"))
        await up.until(lambda: up.asked == 1)
        waits = asyncio.create_task(rig.chat("chat"))
        await until(lambda: _waiting(rig) == 1)
        rig.server.drain()
        refused = await waits
        assert (refused.status, refused.error["code"]) == (503, "draining")
        assert "shutting down" in refused.error["message"]
        go_on.set()
        assert (await first).said() == "a"

    run(story, queue=QUEUE)


def test_one_who_waited_in_vain_is_told_for_how_long_and_when_to_come_back(run: Run) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", raw_stream(role(), word("x"), Hang()), concurrency=1)
        rig.route("chat", "a", queue={"size": 5, "wait": "100ms"})
        await rig.serve()
        held = await rig.begun("chat", "held")
        await up.until(lambda: up.asked == 1)
        late = await rig.chat("chat")
        assert (late.status, late.error["code"]) == (503, "queue_full")
        assert "No place for route 'chat' within 0.1" in late.error["message"]
        assert int(late.headers["retry-after"]) >= 1
        await held.leave()

    run(story)


def test_a_reload_with_other_limits_calls_those_who_wait(run: Run) -> None:
    async def story(rig: Rig) -> None:
        go_on = asyncio.Event()
        up = await rig.upstream("a", [chat_ok("a").after(Wait(go_on)), chat_ok("a")], concurrency=1)
        rig.route("chat", "a")
        await rig.serve()
        first = asyncio.create_task(rig.chat("chat"))
        await up.until(lambda: up.asked == 1)
        second = asyncio.create_task(rig.chat("chat"))
        await until(lambda: _waiting(rig) == 1)
        rig.backends["a"]["concurrency"] = 2
        rig.write()
        await rig.process.runtime.reload()
        assert (await second).said() == "a"
        go_on.set()
        assert (await first).said() == "a"

    run(story, queue=QUEUE)


def test_responses_and_embeddings_and_messages_wait_too(run: Run) -> None:
    async def story(rig: Rig) -> None:
        go_on = asyncio.Event()
        busy = chat_ok("a").after(Wait(go_on))
        up = await rig.upstream("a", [busy, chat_ok("a")], concurrency=1)
        rig.route("chat", "a")
        await rig.serve()
        first = asyncio.create_task(rig.chat("chat"))
        await up.until(lambda: up.asked == 1)
        body: dict[str, Any] = {"model": "chat", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
        other = asyncio.create_task(ask(rig.port, "/v1/messages", body, {}))
        await until(lambda: _waiting(rig) == 1)
        go_on.set()
        answer = await other
        assert answer.status == 200 and "x-wayline-queued-ms" in answer.headers
        await first

    run(story, queue=QUEUE)
