"""Whatever becomes of a request, it can be asked for by its id: one that failed over, was cut, was left, was refused at
the door or because no target was fit, and whose it was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy.ledger.why import NoStory, Story, story
from tests.faults.conftest import Run
from tests.faults.rig import MESSAGES, Rig
from tests.faults.talk import CHAT, ask
from tests.upstream_answers import cut_after, error, ok, plain, stream_ok

PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]}]


async def the_story(rig: Rig, id_: str) -> Story:
    """As a command in another process would find it."""
    return await asyncio.to_thread(story, rig.directory / "ledger.db", id_, patience=5.0)


def test_each_end_is_told_as_the_client_saw_it(run: Run) -> None:
    async def tale(rig: Rig) -> None:
        await rig.upstream("bad", error(500))
        await rig.upstream("good", ok())
        await rig.upstream("cuts", cut_after(2))
        rig.route("chat", "bad", "good")
        rig.route("cuts", "cuts")
        rig.route("bad", "bad")
        rig.route("blind", {"target": "good/m", "capabilities": {"vision": False}})
        await rig.serve()
        await rig.chat("chat", id_="over")
        await rig.chat("cuts", id_="cut", stream=True)
        await rig.chat("bad", id_="failed")
        await rig.chat("blind", id_="unfit", messages=PICTURE)
        talk = await rig.begun("chat", "left", stream=False)
        await talk.leave()
        over, cut, failed = [await the_story(rig, name) for name in ("over", "cut", "failed")]
        assert (over.ended, over.status, [one.ended for one in over.attempts]) == ("served", 200, ["failed", "served"])
        assert over.plan == {"targets": ["bad/m", "good/m"]}
        assert (cut.ended, cut.failure, cut.attempts[-1].ended) == ("cut", "truncated", "cut")
        assert (failed.ended, failed.status, failed.failure) == ("failed", 502, "server_error")
        unfit = await the_story(rig, "unfit")
        assert (unfit.ended, unfit.status, unfit.attempts) == ("failed", 400, ())
        assert unfit.plan is not None and unfit.plan["left_out"] == [["good/m", "no vision", None]]

    run(tale)


def test_a_target_whose_circuit_is_open_is_told_with_its_time(run: Run) -> None:
    async def tale(rig: Rig) -> None:
        await rig.upstream("bad", error(500))
        await rig.upstream("good", ok())
        rig.route("chat", "bad", "good")
        await rig.serve()
        for number in range(8):
            await rig.chat("chat", id_=f"r{number}")
        last = await the_story(rig, "r7")
        assert [one.target for one in last.attempts] == ["good/m"]
        assert last.plan is not None and last.plan["targets"] == ["good/m"] and not last.usual
        ((name, reason, until),) = last.plan["left_out"]
        assert (name, reason) == ("bad/m", "circuit open (server_error)")
        assert last.started_at < until < last.started_at + 3600

    run(tale)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"model": "nothing", "messages": MESSAGES}, "model_not_found"),
        ({"model": "chat", "messages": "my secret"}, "invalid_request_error"),
        ({"model": "chat", "messages": MESSAGES, "wayline": {"max_cost": "my secret"}}, "invalid_preference"),
    ],
)
def test_what_is_refused_at_the_door_is_told_by_its_code_alone(run: Run, body: dict[str, Any], code: str) -> None:
    async def tale(rig: Rig) -> None:
        await rig.upstream("a", ok())
        rig.route("chat", "a")
        await rig.serve()
        answer = await ask(rig.port, CHAT, body, {"x-request-id": "door"})
        found = await the_story(rig, "door")
        assert (found.ended, found.status, found.attempts) == ("failed", answer.status, ())
        assert found.message == code
        assert b"my secret" not in _all(rig.directory)

    run(tale)


def test_a_key_that_is_not_good_makes_no_record(run: Run) -> None:
    """Or anybody could make any number of them."""

    async def tale(rig: Rig) -> None:
        await rig.upstream("a", ok())
        rig.route("chat", "a")
        await rig.serve()
        assert (await rig.chat("chat", id_="nobody")).status == 401
        with pytest.raises(NoStory):
            await asyncio.to_thread(story, rig.directory / "ledger.db", "nobody")

    run(tale, keys=[{"name": "team", "key": "a-key-of-a-team"}])


def test_whose_it_is_stands_there_for_every_endpoint_and_prompts_never_do(run: Run) -> None:
    async def tale(rig: Rig) -> None:
        await rig.upstream("a", [stream_ok(["my answer"]), plain(b'{"results":[],"model":"m"}')])
        rig.route("chat", "a")
        await rig.serve()
        whose = {"x-wayline-agent": "scout", "x-wayline-prefer": "tags=b|a, exclude=other"}
        messages = [{"role": "user", "content": "my prompt"}]
        body = {"model": "chat", "messages": messages, "stream": True}
        await ask(rig.port, CHAT, body, {"x-request-id": "chat", **whose})
        await ask(rig.port, "/v1/rerank", {"model": "chat", "query": "x"}, {"x-request-id": "rerank", **whose})
        for name in ("chat", "rerank"):
            found = await the_story(rig, name)
            assert (found.endpoint, found.agent, found.tags, found.ended) == (name, "scout", ("a", "b"), "served")
        assert (await the_story(rig, "chat")).asked == {"exclude": ["other"]}
        assert b"my prompt" not in _all(rig.directory) and b"my answer" not in _all(rig.directory)
        refused = await ask(rig.port, CHAT, body, {"x-wayline-agent": "a" * 65})
        assert (refused.status, refused.error["param"]) == (400, "x-wayline-agent")

    run(tale)


def _all(directory: Path) -> bytes:
    """All that is kept of requests, journals too."""
    return b"".join(path.read_bytes() for path in directory.glob("ledger.db*"))
