"""What happens is told to all who listen, and nobody who listens slowly holds up anything."""

from __future__ import annotations

import asyncio

from proxy.core.failure import FailureKind
from proxy.engine.engine import Engine
from proxy.engine.events import KEPT, Event, Events, Subscription
from proxy.engine.vitals import Vitals
from tests.engine.stage import Stage


def waiting(told: Subscription) -> list[Event]:
    """All that waits for a listener."""

    async def read() -> list[Event]:
        told.close()
        return [event async for event in told]

    return asyncio.run(read())


def test_each_listener_gets_what_happens_while_it_listens_in_order() -> None:
    events = Events()
    events.tell("reload", ok=True)
    one, two = events.subscribe(), events.subscribe()
    events.tell("circuit", target="a/m", state="open")
    events.tell("circuit", target="a/m", state="closed")
    heard = waiting(one)
    assert [(e.number, e.kind, e.fields["state"]) for e in heard] == [(2, "circuit", "open"), (3, "circuit", "closed")]
    events.tell("reload", ok=False)
    assert [e.number for e in waiting(two)] == [2, 3, 4]


def test_one_who_waits_is_woken_by_an_event_and_by_the_end() -> None:
    async def story() -> list[str]:
        events = Events()
        heard: list[str] = []

        async def listen(told: Subscription) -> None:
            heard.extend([event.kind async for event in told])

        told = events.subscribe()
        listening = asyncio.create_task(listen(told))
        await asyncio.sleep(0)
        events.tell("alert")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        told.close()
        await listening
        return heard

    assert asyncio.run(story()) == ["alert"]


def test_a_slow_listener_loses_the_oldest_and_knows_how_many() -> None:
    events = Events()
    told = events.subscribe(most=3)
    for _ in range(10):
        events.tell("probe")
    assert told.dropped == 7
    assert [event.number for event in waiting(told)] == [8, 9, 10]


def test_one_who_comes_again_gets_what_it_missed_as_far_as_it_is_known() -> None:
    events = Events()
    for _ in range(KEPT + 5):
        events.tell("probe")
    assert [e.number for e in waiting(events.subscribe(KEPT + 3))] == [KEPT + 4, KEPT + 5]
    told = events.subscribe(0, most=KEPT)
    assert [e.number for e in waiting(told)] == list(range(6, KEPT + 6))


def test_a_failover_is_an_event_and_a_plain_request_is_none() -> None:
    async def story() -> list[Event]:
        stage, events = Stage(), Events()
        stage.engine = Engine(stage.net, stage.books, [stage.books, Vitals(events)])
        told = events.subscribe()
        stage.ask(stream=False)
        stage.flights[-1].whole()
        stage.ask(stream=False)
        stage.flights[-1].fail(FailureKind.REFUSED)
        stage.flights[-1].whole()
        told.close()
        return [event async for event in told]

    (failover,) = asyncio.run(story())
    assert failover.kind == "failover"
    assert failover.fields == {"request": "r1", "route": "chat", "target": "b/m", "attempts": 2, "ended": "served"}
