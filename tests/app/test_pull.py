"""`pull: true`: a model that is missing is pulled once, and everybody who asked for it waits for that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from proxy.app import pull as pulling
from proxy.app.pull import PulledPlace, Pulls, Source, pull
from proxy.backends.ollama_pull import Progress
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.failure import Failure, FailureKind
from proxy.net.httpnet import HttpNet
from tests.app.ollama import LINES, Ollama

K = FailureKind
Test = Callable[[Ollama, PulledPlace], Coroutine[Any, Any, None]]


def run(test: Test, ollama: Callable[[], Ollama] = Ollama, first: float = 300.0) -> None:
    """With an Ollama, and the place of the target `o/qwen3` at it."""

    async def body() -> None:
        net = HttpNet()
        async with ollama() as there:
            pulls = Pulls(net)
            place = pulls.place(backend(there), "qwen3", first)
            assert place is not None
            try:
                await test(there, place)
            finally:
                await pulls.close()
                await net.close()

    asyncio.run(asyncio.wait_for(body(), 20))


def backend(ollama: Ollama, **options: Any) -> Backend:
    return Backend("o", "ollama", ollama.url, options={"pull": True, **options})


async def settled(place: PulledPlace) -> Origin | Failure:
    found = place.origin()
    return found if isinstance(found, Origin) else await found


def test_a_model_that_is_there_costs_one_question() -> None:
    async def test(ollama: Ollama, place: PulledPlace) -> None:
        assert place.state().state == "idle"
        assert isinstance(await settled(place), Origin)
        assert isinstance(place.origin(), Origin)
        assert place.state().state == "ready"
        assert ollama.asked == ["/api/show"]

    run(test, lambda: Ollama("qwen3"))


def test_a_missing_model_is_pulled_once_for_all_who_wait(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wayline.pull")

    async def test(ollama: Ollama, place: PulledPlace) -> None:
        waiting = [asyncio.ensure_future(settled(place)) for _ in range(3)]
        await ollama.until("/api/pull")
        ollama.release(3)
        while "43 %" not in place.state().detail:  # noqa: ASYNC110  # a place has no event for it
            await asyncio.sleep(0.001)
        assert place.state()[:2] == ("loading", "pulling, 43 % of 4.7 GB")
        later = asyncio.ensure_future(settled(place))
        waiting[0].cancel()  # its client left: the pull goes on
        ollama.release()
        found = await asyncio.gather(later, *waiting[1:])
        assert all(isinstance(one, Origin) for one in found)
        assert ollama.asked == ["/api/show", "/api/pull"]
        assert place.state().state == "ready"

    run(test)
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "o/qwen3: pulling"
    assert "o/qwen3: pulling, 43 % of 4.7 GB" in told
    assert told[-1] == "o/qwen3: pulled"


def test_who_waited_as_long_as_its_target_may_take_is_told_that_it_is_loading() -> None:
    async def test(ollama: Ollama, place: PulledPlace) -> None:
        found = await settled(place)
        assert isinstance(found, Failure)
        assert (found.kind, found.retry_after) == (K.LOADING, 30.0)
        assert not found.verdict.counts
        await ollama.until("/api/pull")
        assert place.state().state == "loading"

    run(test, first=0.05)


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}], K.NOT_FOUND),
        ([{"error": "write /home/ollama/.ollama/models: no space left on device"}], K.NOT_AVAILABLE),
        ([{"status": "pulling manifest"}], K.NOT_AVAILABLE),
    ],
)
def test_a_pull_that_fails_says_so_and_is_not_tried_again_at_once(
    lines: list[dict[str, Any]], kind: FailureKind, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(ollama: Ollama, place: PulledPlace) -> None:
        ollama.release()
        for _ in range(2):
            found = await settled(place)
            assert isinstance(found, Failure)
            assert found.kind is kind
            assert "/home" not in found.message
        assert ollama.asked.count("/api/pull") == 1
        assert place.state().state == "backoff"
        ollama.models.add("qwen3")  # somebody has brought it
        assert isinstance(await settled(place), Origin)

    run(test, lambda: Ollama(lines=lines))
    assert "cannot be pulled" in caplog.text


def test_a_pull_that_breaks_off_is_none(caplog: pytest.LogCaptureFixture) -> None:
    async def test(ollama: Ollama, place: PulledPlace) -> None:
        ollama.cut = True
        ollama.release()
        found = await settled(place)
        assert isinstance(found, Failure)
        assert found.kind is K.NOT_AVAILABLE

    run(test, lambda: Ollama(lines=LINES[:2]))


def test_an_ollama_that_cannot_be_asked_is_met_by_the_request_itself() -> None:
    async def test() -> None:
        net = HttpNet()
        pulls = Pulls(net)
        place = pulls.place(Backend("o", "ollama", "http://127.0.0.1:1", options={"pull": True}), "m", 5.0)
        assert place is not None
        assert isinstance(await settled(place), Origin)
        assert place.state().state == "idle"
        await pulls.close()
        await net.close()

    asyncio.run(test())


def test_a_model_that_vanished_is_found_out_beside_the_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "CHECK_EVERY", -1.0)

    async def test(ollama: Ollama, place: PulledPlace) -> None:
        assert isinstance(await settled(place), Origin)
        ollama.models.clear()
        assert isinstance(place.origin(), Origin)  # nobody waits for the question
        await ollama.until("/api/pull")
        waiting: Origin | Awaitable[Origin | Failure] = place.origin()
        assert not isinstance(waiting, Origin)
        ollama.release()
        assert isinstance(await waiting, Origin)

    run(test, lambda: Ollama("qwen3"))


def test_an_ollama_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "SILENT", 0.05)

    async def test(ollama: Ollama, place: PulledPlace) -> None:
        ollama.release(2)
        found = await settled(place)
        assert isinstance(found, Failure)
        assert found.kind is K.NOT_AVAILABLE

    run(test)


def test_shutting_down_lets_nobody_wait() -> None:
    async def test() -> None:
        net = HttpNet()
        async with Ollama() as ollama:
            pulls = Pulls(net)
            place = pulls.place(backend(ollama), "qwen3", 300.0)
            assert place is not None
            waiting = asyncio.ensure_future(settled(place))
            await ollama.until("/api/pull")
            await pulls.close()
            found = await waiting
            assert isinstance(found, Failure)
            assert found.kind is K.DRAINING
            await net.close()

    asyncio.run(test())


def test_a_reload_keeps_what_is_being_pulled_unless_its_backend_changed() -> None:
    async def test() -> None:
        net = HttpNet()
        async with Ollama() as ollama:
            pulls = Pulls(net)
            place = pulls.place(backend(ollama), "qwen3", 300.0)
            assert place is not None
            waiting = asyncio.ensure_future(settled(place))
            await ollama.until("/api/pull")
            again = pulls.place(backend(ollama), "qwen3", 0.01)
            changed = pulls.place(backend(ollama, num_ctx=1), "qwen3", 300.0)
            assert again is not None
            assert changed is not None
            assert (again.state().state, changed.state().state) == ("loading", "idle")
            ollama.release()
            assert isinstance(await waiting, Origin)
            await pulls.close()
            await net.close()

    asyncio.run(test())


def test_only_a_backend_that_says_so_pulls() -> None:
    pulls = Pulls(HttpNet())
    assert pulls.place(Backend("o", "ollama"), "m", 1.0) is None
    assert pulls.place(Backend("o", "openai", "http://h/v1", options={"pull": True}), "m", 1.0) is None
    assert Pulls().place(Backend("o", "ollama", options={"pull": True}), "m", 1.0) is None


@pytest.mark.parametrize("status", [401, 500])
def test_a_refused_pull_says_why(status: int) -> None:
    async def test() -> None:
        net = HttpNet()
        async with Ollama(status=status) as ollama:
            told: list[Progress] = []
            failure = await pull(net, Source.of(backend(ollama), "m"), told.append)
            assert failure is not None
            assert (failure.status, told) == (status, [])
        await net.close()

    asyncio.run(test())
