"""Backends with several keys, and upstreams that say that they are about to refuse, over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from tests.faults.conftest import Run
from tests.faults.rig import Rig
from tests.faults.talk import get
from tests.upstream import Answer, Request
from tests.upstream_answers import chat_ok, error, ok
from tests.upstream_steps import Behaviour

KEYS = ["the-first-of-the-keys", "the-second-of-the-keys", "the-third-of-the-keys"]


def bad(*keys: str, status: int = 429, headers: dict[str, str] | None = None) -> Answer:
    """Refuses these keys, and answers to all others."""
    good = ok()

    def answer(request: Request, n: int) -> Behaviour:
        if used(request) in keys:
            return error(status, f"not with {used(request)}", headers=headers)
        behaviour: Behaviour = good(request, n)
        return behaviour

    return answer


def used(request: Request) -> str:
    """The key that it came with."""
    return request.headers["authorization"].removeprefix("Bearer ")


def fingerprint(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:4]


@pytest.mark.parametrize("status", [401, 402, 429])
@pytest.mark.parametrize("stream", [False, True])
def test_a_key_that_fails_costs_the_caller_nothing_and_no_other_key(run: Run, status: int, stream: bool) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", bad(KEYS[0], status=status), api_keys=KEYS)
        del rig.backends["a"]["api_key"]
        other = await rig.upstream("b", ok("elsewhere"))
        rig.route("chat", "a", "b", max_attempts=1)
        await rig.serve()
        first = await rig.chat("chat", id_="first", stream=stream)
        assert (first.status, first.said().replace(" ", "")) == (200, "Hello!")
        assert (first.headers["x-wayline-target"], first.headers["x-wayline-attempts"]) == ("a/m", "2")
        for _ in range(4):
            again = await rig.chat("chat", stream=stream)
            assert again.headers["x-wayline-attempts"] == "1"
        assert [used(r) for r in up.requests] == [KEYS[i] for i in (0, 1, 2, 1, 2, 1)]
        assert other.asked == 0
        rows = await rig.rows("first", 2)
        assert [(row.attempt, row.target, row.ended, row.status) for row in rows] == [
            (1, "a/m", "failed", status),
            (2, "a/m", "served", 200),
        ]

    run(story)


def test_what_is_told_of_keys_is_no_key(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", bad(*KEYS, headers={"retry-after": "30"}), api_keys=KEYS)
        del rig.backends["a"]["api_key"]
        rig.route("chat", "a")
        await rig.serve()
        refused = await rig.chat("chat")
        assert refused.status == 429 and 28 <= int(refused.headers["retry-after"]) <= 30
        ready = await get(rig.port, "/readyz")
        (target,) = ready.json["routes"]["chat"]["targets"]
        assert target["health"] == "cooling" and target["cause"] == "rate_limited" and target["for_s"] > 25
        assert target["keys"] == "0 of 3 in use"
        metrics = (await get(rig.port, "/metrics")).body.decode()
        for key in KEYS:
            assert f'wayline_key_cooldown_seconds{{backend="a",key="{fingerprint(key)}"}} 2' in metrics
        await asyncio.sleep(0.3)
        log = (rig.directory / "log.txt").read_text()
        assert log.count('"event":"key.rests"') == 3
        assert all(f'"key":"{fingerprint(key)}"' in log for key in KEYS)
        for told in (log, metrics, ready.body.decode(), refused.body.decode(), str(refused.headers)):
            assert not any(key in told for key in KEYS)

    run(story)


def test_many_requests_at_once_find_the_good_key_and_hardly_any_goes_to_the_bad_ones(run: Run) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", bad(*KEYS[:2]), api_keys=KEYS)
        del rig.backends["a"]["api_key"]
        rig.route("chat", "a")
        await rig.serve()
        first = await asyncio.gather(*(rig.chat("chat") for _ in range(12)))
        assert {answer.status for answer in first} == {200}
        before = up.asked
        later = await asyncio.gather(*(rig.chat("chat") for _ in range(12)))
        assert {answer.status for answer in later} == {200}
        assert {used(r) for r in up.requests[before:]} == {KEYS[2]} and up.asked == before + 12

    run(story)


def test_a_reload_keeps_what_is_known_of_the_keys_that_stay(run: Run) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", bad(KEYS[0]), api_keys=KEYS[:2])
        del rig.backends["a"]["api_key"]
        rig.route("chat", "a")
        await rig.serve()
        assert (await rig.chat("chat")).status == 200
        rig.backends["a"]["api_keys"] = [KEYS[2], KEYS[0]]
        rig.write()
        await rig.process.runtime.reload()
        for _ in range(3):
            assert (await rig.chat("chat")).status == 200
        assert [used(r) for r in up.requests] == [KEYS[0], KEYS[1], KEYS[2], KEYS[2], KEYS[2]]

    run(story)


def test_new_keys_are_used_at_once_though_the_old_ones_were_all_refused(run: Run) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", bad(*KEYS[:2], status=401), api_keys=KEYS[:2])
        del rig.backends["a"]["api_key"]
        await rig.upstream("b", ok("elsewhere"))
        rig.route("chat", "a", "b")
        await rig.serve()
        for _ in range(2):
            assert (await rig.chat("chat")).headers["x-wayline-target"] == "b/m"
        assert up.asked == 2
        rig.backends["a"]["api_keys"] = KEYS
        rig.write()
        await rig.process.runtime.reload()
        assert (await rig.chat("chat")).headers["x-wayline-target"] == "a/m"
        assert used(up.requests[-1]) == KEYS[2]

    run(story)


SPENT: list[dict[str, Any]] = [
    {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"},
    {
        "date": "Sat, 21 Nov 2026 16:00:00 GMT",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-21T16:06:00Z",
    },
    {"ratelimit": '"default";r=0;t=360'},
]


@pytest.mark.parametrize("headers", SPENT, ids=["openai", "anthropic", "ietf"])
def test_an_upstream_whose_limits_are_used_up_is_passed_over(run: Run, headers: dict[str, str]) -> None:
    async def story(rig: Rig) -> None:
        up = await rig.upstream("a", chat_ok("first", headers=headers))
        await rig.upstream("b", ok("elsewhere"))
        rig.route("chat", "a", "b")
        rig.route("alone", "a")
        await rig.serve()
        assert (await rig.chat("chat")).said() == "first"
        for _ in range(3):
            answer = await rig.chat("chat")
            assert (answer.said(), answer.headers["x-wayline-attempts"]) == ("elsewhere", "1")
        assert up.asked == 1
        ready = await get(rig.port, "/readyz")
        target, _ = ready.json["routes"]["chat"]["targets"]
        assert (target["ready"], target["health"], target["cause"]) == (False, "limits used up", "rate_limited")
        assert 350 < target["for_s"] <= 360
        assert ready.json["routes"]["alone"]["ready"], "it is asked all the same"
        metrics = (await get(rig.port, "/metrics")).body.decode()
        assert 'wayline_target_up{target="a/m"} 0' in metrics
        assert 'wayline_target_cooldown_seconds{target="a/m"} 35' in metrics
        assert (await rig.chat("alone")).said() == "first"
        rig.age("a", 360)
        assert (await rig.chat("chat")).said() == "first"

    run(story)
