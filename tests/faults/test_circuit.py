"""A dead target soon costs nothing, is probed by one request when its time has come, and is back when it is well."""

from __future__ import annotations

import asyncio

import pytest

from proxy.core.health import OPEN_AFTER, Standing, standing
from tests.faults.conftest import Run
from tests.faults.rig import Rig
from tests.faults.talk import Answer, get
from tests.upstream import Script
from tests.upstream_answers import chat_ok, cut_after, error, error_after, ok
from tests.upstream_faults import refused
from tests.upstream_steps import Behaviour, Close, Wait

DEAD: dict[str, Script] = {
    "closes every connection": Behaviour((Close(),), at="connect"),
    "answers 500": error(500),
    "an error in the stream": error_after(0),
    "cuts its streams": cut_after(1),
}


@pytest.mark.parametrize("how", DEAD)
def test_a_dead_target_is_tried_five_times_and_then_costs_nothing(run: Run, how: str) -> None:
    async def story(rig: Rig) -> None:
        dead = await rig.upstream("dead", DEAD[how])
        await rig.upstream("good", ok())
        rig.route("chat", "dead", "good")
        await rig.serve()
        answers = [await rig.chat("chat", stream=True) for _ in range(20)]
        assert len(dead.connections) <= OPEN_AFTER
        assert dead.asked in (0, OPEN_AFTER)
        assert all(a.headers["x-wayline-attempts"] == "1" for a in answers[OPEN_AFTER:])
        assert all(a.headers["x-wayline-target"] == "good/m" for a in answers[OPEN_AFTER:])
        assert rig.health("dead").opened == 1
        ready = (await get(rig.port, "/readyz")).json["routes"]["chat"]
        assert ready["ready"] and ready["targets"][0]["health"] == "circuit open"

    run(story)


def test_the_second_request_to_a_refusing_backend_may_still_try_and_the_sixth_does_not(run: Run) -> None:
    async def story(rig: Rig) -> None:
        with refused() as port:
            rig.backend("dead", base_url=f"http://127.0.0.1:{port}/v1")
            await rig.upstream("good", ok())
            rig.route("chat", "dead", "good")
            await rig.serve()
            attempts = [(await rig.chat("chat")).headers["x-wayline-attempts"] for _ in range(8)]
            assert attempts == ["2"] * OPEN_AFTER + ["1"] * 3

    run(story)


async def opened(rig: Rig, script: Behaviour) -> None:
    """A route whose first target's circuit is open, and whose time has come."""
    await rig.upstream("shaky", [*[error(500)] * OPEN_AFTER, script])
    await rig.upstream("good", chat_ok("good"))
    rig.route("chat", "shaky", "good")
    await rig.serve()
    for _ in range(OPEN_AFTER):
        await rig.chat("chat")
    assert rig.health("shaky").opened == 1
    rig.age("shaky", 40)


def test_one_request_probes_while_the_others_go_elsewhere_and_then_it_is_back(run: Run) -> None:
    async def story(rig: Rig) -> None:
        go_on = asyncio.Event()
        await opened(rig, chat_ok("back").after(Wait(go_on)))
        shaky = rig.ups["shaky"]
        probe = asyncio.create_task(rig.chat("chat"))
        await shaky.until(lambda: shaky.asked == OPEN_AFTER + 1)
        others = await asyncio.gather(*(rig.chat("chat") for _ in range(10)))
        assert {other.said() for other in others} == {"good"}
        assert shaky.asked == OPEN_AFTER + 1
        go_on.set()
        assert (await probe).said() == "back"
        assert (await rig.chat("chat")).said() == "back"
        health = rig.health("shaky")
        assert not health.opened and not health.in_a_row

    run(story)


def test_a_probe_that_fails_costs_one_request_an_attempt_and_the_circuit_is_open_for_longer(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await opened(rig, error(500))
        first = rig.health("shaky")
        answers: list[Answer] = [await rig.chat("chat") for _ in range(5)]
        assert [a.headers["x-wayline-attempts"] for a in answers] == ["2", "1", "1", "1", "1"]
        again = rig.health("shaky")
        assert again.opened == 2
        assert again.open_until - again.opened_at > 1.1 * (first.open_until - first.opened_at)

    run(story)


def test_a_client_that_leaves_during_the_probe_leaves_it_to_the_next(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await opened(rig, chat_ok("back").after(Wait(asyncio.Event())))
        shaky = rig.ups["shaky"]
        talk = await rig.begun("chat", "gone")
        await shaky.until(lambda: shaky.asked == OPEN_AFTER + 1)
        await talk.leave()
        await rig.rows("gone")
        health = rig.health("shaky")
        assert standing(health, health.open_until + 1) is Standing.PROBE

    run(story)


def test_when_every_circuit_is_open_requests_are_tried_all_the_same(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", [*[error(500)] * OPEN_AFTER, chat_ok("recovered")])
        rig.route("chat", "a")
        await rig.serve()
        statuses = [(await rig.chat("chat")).status for _ in range(OPEN_AFTER)]
        assert statuses == [502] * OPEN_AFTER
        assert rig.health("a").opened == 1
        assert (await get(rig.port, "/readyz")).status == 503
        assert (await rig.chat("chat")).said() == "recovered"
        assert not rig.health("a").opened
        assert (await get(rig.port, "/readyz")).status == 200

    run(story)


def test_a_caller_who_is_to_blame_opens_no_circuit(run: Run) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", error(400, "no", type_="invalid_request_error"))
        rig.route("chat", "a")
        await rig.serve()
        for _ in range(3 * OPEN_AFTER):
            assert (await rig.chat("chat")).status == 400
        assert up.asked == 3 * OPEN_AFTER
        assert not rig.health("a").opened

    run(story)


@pytest.mark.parametrize(("fault", "seconds"), [(error(401), 300), (error(404), 300), (error(402), 900)])
def test_what_only_the_operator_can_mend_is_left_alone_for_minutes(run: Run, fault: Behaviour, seconds: int) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", fault)
        await rig.upstream("good", ok())
        rig.route("chat", "a", "good")
        await rig.serve()
        for _ in range(3):
            assert (await rig.chat("chat")).status == 200
        assert up.asked == 1
        health = rig.health("a")
        assert health.cool_until - health.cooled_at == pytest.approx(seconds)
        assert not health.in_a_row

    run(story)
