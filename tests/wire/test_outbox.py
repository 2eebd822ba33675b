"""A reply in memory: its pieces wait for a reader, in bounds, and either side may leave."""

from __future__ import annotations

import asyncio

import pytest

from proxy.wire.outbox import MOST, BrokenOff, Outbox, pairs


def test_a_whole_reply_has_its_length() -> None:
    async def run() -> None:
        box = Outbox()
        box.whole(200, b"content-type: application/json\r\n", b"{}")
        await box.begun()
        assert (box.status, box.length, await box.piece(), await box.piece()) == (200, 2, b"{}", b"")
        assert pairs(box.headers) == [(b"content-type", b"application/json")]

    asyncio.run(run())


def test_pieces_come_in_order_whenever_they_are_pushed() -> None:
    async def run() -> None:
        box = Outbox()
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, box.start, 200, b"")
        loop.call_later(0.02, box.push, b"one ")
        loop.call_later(0.03, box.push, b"two ")
        loop.call_later(0.04, box.end, b"three")
        await box.begun()
        read = bytearray()
        while piece := await box.piece():
            read += piece
        assert read == b"one two three"

    asyncio.run(run())


def test_a_slow_reader_is_told_of_and_when_it_has_caught_up() -> None:
    async def run() -> None:
        box, told = Outbox(), list[str]()
        box.watch(lambda: told.append("gone"), lambda: told.append("ready"))
        box.start(200, b"")
        assert box.push(b"x" * MOST)
        assert not box.push(b"x")
        assert told == []
        assert len(await box.piece()) == MOST + 1
        assert told == ["ready"]
        assert box.push(b"x")
        box.leave()
        box.leave()
        assert told == ["ready", "gone"]
        assert box.gone
        assert box.push(b"more")  # harmless

    asyncio.run(run())


def test_who_waits_hears_of_the_end_of_the_other_side() -> None:
    async def run() -> None:
        for end in (Outbox.abandon, Outbox.leave):
            box = Outbox()
            waiting = asyncio.create_task(box.begun())
            await asyncio.sleep(0)
            end(box)
            with pytest.raises(BrokenOff):
                await waiting

    asyncio.run(run())


def test_one_who_watches_after_it_was_left_is_told_at_once() -> None:
    box, told = Outbox(), list[str]()
    box.leave()
    box.watch(lambda: told.append("gone"), lambda: told.append("ready"))
    assert told == ["gone"]
