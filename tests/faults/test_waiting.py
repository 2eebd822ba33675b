"""A target that asks for time gets it, in whichever form it asks, and no more than it asked for."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import pytest

from proxy.core.health import COOLDOWN_MAX
from tests.faults.conftest import Run
from tests.faults.rig import Rig
from tests.upstream import Request
from tests.upstream_answers import chat_ok, dumps, error, ok, plain
from tests.upstream_faults import rate_limited, retry_after_forms
from tests.upstream_steps import Behaviour

SECONDS = 2


def skewed() -> Behaviour:
    """The upstream's clock is ten years ahead: its own date tells what it means."""
    later = time.time() + 3.2e8
    dates = {"date": formatdate(later, usegmt=True), "retry-after": formatdate(later + SECONDS, usegmt=True)}
    return rate_limited(dates)


def forms() -> dict[str, Behaviour]:
    """Each way of asking for two seconds (a date names whole seconds, so it is one to two)."""
    now = time.time()
    date = {"date": formatdate(now, usegmt=True)}  # RFC 9110 section 6.6.1: a server with a clock sends it
    found = {name: rate_limited({**headers, **date}) for name, headers in retry_after_forms(SECONDS, now).items()}
    del found["none"]
    found["date, and a clock that is wrong"] = skewed()
    found["text"] = error(429, f"Rate limit reached. Please try again in {SECONDS}s.", code="rate_limit_exceeded")
    inner = {"code": 429, "message": "slow", "metadata": {"headers": {"Retry-After": str(SECONDS)}}}
    found["inside the error"] = plain(dumps({"error": inner}), 429)
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{SECONDS}s"}]
    found["Google's details"] = plain(
        dumps([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow", "details": details}}]), 429
    )
    return found


async def stays_away(rig: Rig, name: str) -> None:
    """Asks before and after the time, and compares with what the first target got to see."""
    up = rig.ups[name]
    first = await rig.chat(name)
    assert (first.status, first.headers["x-wayline-attempts"]) == (200, "2")
    health = rig.health(name)
    away = health.cool_until - health.cooled_at
    assert SECONDS - 1.1 < away < SECONDS + 1.1, "the upstream's clock tells whole seconds"
    assert not health.in_a_row and not health.opened, "a rate limit is nobody's fault"
    for _ in range(5):
        answer = await rig.chat(name)
        assert (answer.status, answer.headers["x-wayline-attempts"]) == (200, "1")
    assert up.asked == 1, "it was asked again before its time"
    await asyncio.sleep(max(health.cool_until - time.monotonic(), 0) + 0.02)
    answer = await rig.chat(name)
    assert answer.headers["x-wayline-target"] == f"{name}/m", "it was left alone for longer than it asked for"


def test_each_form_of_retry_after_is_kept_to(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("good", ok())
        names = {}
        for n, form in enumerate(forms()):
            names[form] = f"f{n}"

            def answer(request: Request, number: int, form: str = form) -> Behaviour:
                return forms()[form] if number == 0 else chat_ok()

            await rig.upstream(f"f{n}", answer)
            rig.route(f"f{n}", f"f{n}", "good")
        await rig.serve()
        done = await asyncio.gather(*(stays_away(rig, name) for name in names.values()), return_exceptions=True)
        wrong = {form: repr(what) for form, what in zip(names, done, strict=True) if what is not None}
        assert not wrong

    run(story)


@pytest.mark.parametrize(("asked", "kept"), [({}, 5.0), ({"retry-after": "999999"}, COOLDOWN_MAX)])
def test_without_a_time_it_is_five_seconds_and_never_more_than_an_hour(
    run: Run, asked: dict[str, str], kept: float
) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", rate_limited(asked))
        rig.route("chat", "a")
        await rig.serve()
        await rig.chat("chat")
        health = rig.health("a")
        assert health.cool_until - health.cooled_at == pytest.approx(kept)

    run(story)


def test_when_all_ask_for_time_the_client_hears_the_shortest_and_nobody_is_asked_again(run: Run) -> None:
    async def story(rig: Rig) -> None:
        for name, seconds in (("a", "40"), ("b", "20"), ("c", "30")):
            await rig.upstream(name, rate_limited({"retry-after": seconds}))
        rig.route("chat", "a", "b", "c")
        await rig.serve()
        for n in range(3):
            answer = await rig.chat("chat", id_=f"r{n}", stream=n == 1)
            assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
            assert answer.headers["retry-after"] == "20"
            assert "x-should-retry" not in answer.headers
        assert [up.asked for up in rig.ups.values()] == [1, 1, 1]
        assert [row.target for row in await rig.rows("r0", 3)] == ["a/m", "b/m", "c/m"]
        assert "r1" not in rig.recorded(), "what was not sent is not on record"

    run(story)


def test_the_most_useful_of_all_failures_is_reported_with_the_shortest_wait(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", rate_limited({"retry-after": "40"}))
        await rig.upstream("b", error(503, headers={"retry-after": "9"}))
        await rig.upstream("c", error(500))
        rig.route("chat", "a", "b", "c")
        await rig.serve()
        answer = await rig.chat("chat")
        assert (answer.status, answer.error["type"]) == (429, "rate_limit_error")
        assert answer.headers["retry-after"] == "9"
        assert answer.headers["x-wayline-attempts"] == "3"

    run(story)


def test_a_wait_beyond_what_the_sdk_sits_out_and_a_used_up_quota_are_not_worth_its_retries(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("long", rate_limited({"retry-after": "600"}))
        await rig.upstream("quota", error(429, "You exceeded your current quota", code="insufficient_quota"))
        rig.route("long", "long")
        rig.route("quota", "quota")
        await rig.serve()
        for model in ("long", "quota"):
            answer = await rig.chat(model)
            assert (answer.status, answer.headers["x-should-retry"]) == (429, "false")
        health = rig.health("quota")
        assert health.cool_until - health.cooled_at == pytest.approx(900)

    run(story)


def test_retry_after_on_a_200_is_no_reason_to_stay_away(run: Run) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", chat_ok(headers={"retry-after": "30"}))
        rig.route("chat", "a")
        await rig.serve()
        for _ in range(3):
            assert (await rig.chat("chat")).status == 200
        assert up.asked == 3

    run(story)


def test_patience_waits_a_short_time_out_at_the_same_target_and_a_long_one_elsewhere(run: Run) -> None:
    async def story(rig: Rig) -> None:
        short = [rate_limited({"retry-after-ms": "200"}), chat_ok("waited")]
        up = await rig.upstream("short", short)
        await rig.upstream("long", [rate_limited({"retry-after": "30"}), chat_ok("never")])
        await rig.upstream("good", chat_ok("elsewhere"))
        retry = {"retry": {"same_target": 1, "patience": 1}}
        rig.route("short", "short", "good", **retry)
        rig.route("long", "long", "good", **retry)
        await rig.serve()
        answer = await rig.chat("short", id_="s")
        assert (answer.said(), answer.headers["x-wayline-attempts"]) == ("waited", "2")
        assert up.requests[1].time - up.requests[0].time >= 0.195
        assert [row.ended for row in await rig.rows("s", 2)] == ["failed", "served"]
        assert (await rig.chat("long")).said() == "elsewhere"

    run(story)


def test_retries_at_the_same_target_come_before_the_next_and_only_where_they_can_help(run: Run) -> None:
    async def story(rig: Rig) -> None:
        broken = await rig.upstream("broken", error(500))
        wrong_key = await rig.upstream("key", error(401))
        await rig.upstream("good", chat_ok("elsewhere"))
        for name in ("broken", "key"):
            rig.route(name, name, "good", retry={"same_target": 2})
        await rig.serve()
        answer = await rig.chat("broken", id_="b")
        assert (answer.said(), answer.headers["x-wayline-attempts"]) == ("elsewhere", "4")
        assert broken.asked == 3
        assert [row.attempt for row in await rig.rows("b", 4)] == [1, 2, 3, 4]
        assert (await rig.chat("key")).said() == "elsewhere"
        assert wrong_key.asked == 1

    run(story)


def test_by_itself_only_the_last_target_is_tried_once_more(run: Run) -> None:
    async def story(rig: Rig) -> None:
        first = await rig.upstream("a", error(500), retry={})
        last = await rig.upstream("b", error(500), retry={})
        rig.route("chat", "a", "b")
        await rig.serve()
        answer = await rig.chat("chat")
        assert (answer.status, answer.headers["x-wayline-attempts"]) == (502, "3")
        assert (first.asked, last.asked) == (1, 2)

    run(story)
