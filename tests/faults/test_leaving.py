"""A client may leave at any moment, or read slowly, or not at all: nothing goes on for it, and nothing piles up."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest

from proxy.core.health import WELL
from tests.faults.conftest import Run
from tests.faults.rig import Rig, Row, until
from tests.faults.talk import Talk
from tests.upstream import Script, Upstream
from tests.upstream_answers import chat_ok, delta, raw_stream, role, sse, stream_ok, word
from tests.upstream_faults import blackhole, rate_limited
from tests.upstream_steps import Behaviour, Hang, Step, Tokens

WITHIN = 0.25
"""Seconds in which the upstream's connection is to be closed."""
SLACK = 0.5
"""Seconds more on a machine that is busy with other things."""
SILENT = Behaviour((Hang(),))
ROLE_ONLY = raw_stream(role(), Hang(), end=False)
BEGUN = raw_stream(role(), word("Hello"), word(" there"), Hang(), end=False)


async def gone(talk: Talk, how: str) -> None:
    """Leaves, in one of the ways there are."""
    if how == "reset":
        talk.reset()
    elif how == "half-close":
        talk.half_close()
    else:
        await talk.leave()


async def upstream_closed(rig: Rig, talk: Talk, how: str) -> Row:
    """Leaves, and gives the row that this left; the upstream must have been let go of at once."""
    up = rig.ups["a"]
    left = asyncio.get_running_loop().time()
    await gone(talk, how)
    connection = await up.closed(0)
    assert connection.closed is not None and connection.closed - left < WITHIN + SLACK
    (row,) = await rig.rows("gone")
    assert (row.ended, row.failure) == ("cancelled", "client_gone")
    assert not row.maybe_billed
    assert rig.health("a") == WELL, "nobody is to blame"
    assert not rig.process.engine.live
    return row


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
@pytest.mark.parametrize("stream", [True, False])
def test_leaving_before_the_upstream_said_anything(run: Run, how: str, stream: bool) -> None:
    async def story(rig: Rig) -> None:
        up = await start(rig, SILENT)
        talk = await rig.begun("chat", "gone", stream=stream)
        await up.until(lambda: up.asked == 1)
        row = await upstream_closed(rig, talk, how)
        assert (row.usage_source, row.output, row.first_content) == ("estimated", 0, None)
        assert row.input and row.cost and Decimal(row.cost) > 0

    run(story)


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
def test_leaving_in_mid_stream(run: Run, how: str) -> None:
    async def story(rig: Rig) -> None:
        await start(rig, BEGUN)
        talk = await rig.begun("chat", "gone")
        await talk.head()
        await talk.until(b" there")
        row = await upstream_closed(rig, talk, how)
        assert (row.usage_source, row.status) == ("estimated", 200)
        assert row.output == 3, "eleven characters are about three tokens"
        assert row.cost and Decimal(row.cost) == (Decimal(row.input or 0) + 6) / 1_000_000

    run(story)


def test_leaving_while_only_the_role_has_come(run: Run) -> None:
    async def story(rig: Rig) -> None:
        up = await start(rig, ROLE_ONLY)
        talk = await rig.begun("chat", "gone")
        await up.until(lambda: up.asked == 1)
        await asyncio.sleep(0.05)
        row = await upstream_closed(rig, talk, "close")
        assert row.first_content is None

    run(story)


def test_leaving_while_the_connection_is_being_made_has_used_nothing(run: Run) -> None:
    async def story(rig: Rig) -> None:
        with blackhole() as port:
            rig.backend("a", base_url=f"http://127.0.0.1:{port}/v1")
            rig.route("chat", "a")
            await rig.serve()
            talk = await rig.begun("chat", "gone")
            await until(lambda: rig.process.net.stats().connecting == 1)
            await talk.leave()
            (row,) = await rig.rows("gone")
            assert (row.ended, row.usage_source, row.cost) == ("cancelled", "absent", None)
            await until(lambda: rig.process.net.stats().connecting == 0)

    run(story)


def test_leaving_between_two_tries_at_the_same_target_ends_it(run: Run) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", [rate_limited({"retry-after-ms": "5000"}), chat_ok()])
        rig.route("chat", "a", retry={"same_target": 1, "patience": 10})
        await rig.serve()
        talk = await rig.begun("chat", "gone")
        await rig.rows("gone")
        await talk.leave()
        await until(lambda: not rig.process.engine.live)
        assert up.asked == 1

    run(story)


def test_a_client_that_does_not_read_pauses_the_upstream_and_costs_no_memory(run: Run) -> None:
    """Until the write stall: then it counts as gone."""

    async def story(rig: Rig) -> None:
        big = sse(delta({"content": "x" * 60_000}))
        parts: list[bytes | Step] = [big, Tokens(0, 1)] * 3000
        up = await start(rig, raw_stream(role(), *parts, end=False))
        talk = await rig.begun("chat", "gone", small=True)
        await talk.head()
        began = time.monotonic()
        sent = await settled(up)
        assert 0 < sent * len(big) < 24 * 2**20, "more than the kernel's buffers hold"
        (row,) = await rig.rows("gone")
        assert time.monotonic() - began >= 0.8
        assert (row.ended, row.usage_source) == ("cancelled", "estimated")
        assert (await up.closed(0)).by == "peer"
        assert rig.health("a") == WELL

    run(story, listen={"port": 0, "write_timeout": 1.0})


def test_a_slow_client_gets_all_of_it_and_no_time_of_the_upstreams_runs_out_meanwhile(run: Run) -> None:
    async def story(rig: Rig) -> None:
        words = [f"{n} " + "x" * 50_000 for n in range(200)]
        await start(rig, stream_ok(words), timeouts={"connect": 5, "first": 5, "idle": 0.4, "total": 30})
        talk = await rig.begun("chat", "slow", small=True)
        await talk.head()
        await asyncio.sleep(1.2)
        answer = await talk.rest()
        assert answer.whole and answer.done
        assert answer.said() == "".join(words)
        (row,) = await rig.rows("slow")
        assert (row.ended, row.output) == ("served", 200)

    run(story)


async def start(rig: Rig, script: Script, **settings: Any) -> Upstream:
    """A route over one upstream, and one that must not be asked."""
    up = await rig.upstream("a", script, **settings)
    await rig.upstream("other", stream_ok(["never"]))
    rig.route("chat", "a", "other")
    await rig.serve()
    return up


async def settled(up: Upstream) -> int:
    """Waits until the upstream can send no more; gives the number of events that it got rid of."""
    before = -1
    while (now := up.tokens.output) != before:
        before = now
        await asyncio.sleep(0.2)
    return now
