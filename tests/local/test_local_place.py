"""The states of a local model, with worlds in which starts succeed and fail on command."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from proxy.core.call import Origin
from proxy.core.failure import Failure, FailureKind
from proxy.local.backoff import LONGEST, SPREAD, Backoff
from proxy.local.place import LocalPlace
from proxy.local.running import Exit
from proxy.local.spec import CANNOT_LOAD_ENGINE, CANNOT_LOAD_MODEL
from tests.local.unix import eventually

NEVER = 3600.0


def remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


class Fake:
    """A run that listens when told to, and ends when told to."""

    def __init__(self, path: str) -> None:
        self.ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self.path = path
        self.dying = False
        self.killed = False
        self._server: asyncio.Server | None = None

    async def listen(self, status: bytes = b"200 OK") -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            await writer.wait_closed()

        await self.mute()
        self._server = await asyncio.start_unix_server(answer, self.path)

    async def mute(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            remove(self.path)

    def end(self, status: int = -9) -> None:
        if not self.ended.done():
            self.ended.set_result(Exit(status, ("its last words",)))

    def gone(self) -> bool:
        return self.dying or self.ended.done()

    def kill(self) -> None:
        self.killed = True
        self.end(-9)

    async def stop(self) -> None:
        self.end(-15)


class World:
    """A place and everything it started."""

    def __init__(self, directory: str, delay: Callable[[int], float], load_seconds: float, broken: bool) -> None:
        self.path = f"{directory}/m.sock"
        self.runs: list[Fake] = []
        self.deaths: list[int] = []
        self._delay = delay
        self._broken = broken
        self.place = LocalPlace(
            "here/m", self.path, self._launch, backoff=self._backoff, engine="engine e 1", load_seconds=load_seconds
        )

    def _launch(self) -> Fake:
        if self._broken:
            raise OSError(12, "Cannot allocate memory", "/a/path")
        self.runs.append(Fake(self.path))
        return self.runs[-1]

    def _backoff(self, deaths: int) -> float:
        self.deaths.append(deaths)
        return self._delay(deaths)

    async def wait(self) -> Origin | Failure:
        given = self.place.origin()
        return given if isinstance(given, Origin) else await given

    async def until(self, state: str) -> None:
        await eventually(lambda: self.place.state().state == state)

    async def started(self, count: int = 1) -> None:
        await eventually(lambda: len(self.runs) == count)

    async def serve(self) -> Fake:
        """Ready, by a first start."""
        count = len(self.runs) + (self.place.state().state == "idle")
        waiting = asyncio.ensure_future(self.wait())
        await self.started(count)
        await self.runs[-1].listen()
        assert isinstance(await waiting, Origin)
        return self.runs[-1]


@asynccontextmanager
async def world(
    delay: Callable[[int], float] = lambda deaths: 0.0 if deaths < 2 else NEVER,
    load_seconds: float = 60.0,
    broken: bool = False,
) -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory() as directory:
        w = World(directory, delay, load_seconds, broken)
        try:
            yield w
        finally:
            await w.place.close()
            for run in w.runs:
                await run.mute()


def test_the_first_request_starts_it_and_waits() -> None:
    async def main() -> None:
        async with world() as w:
            assert w.place.state().state == "idle"
            waiting = [asyncio.ensure_future(w.wait()) for _ in range(3)]
            await w.started()
            assert w.place.state()[:2] == ("loading", "engine e 1")
            await w.runs[0].listen(b"503 Loading")
            await asyncio.sleep(0.1)
            assert not any(task.done() for task in waiting)
            await w.runs[0].listen()
            expected = Origin("http", "local", 0, w.path)
            assert await asyncio.gather(*waiting) == [expected] * 3
            assert w.place.origin() == expected  # from now on at once
            assert w.place.state().state == "ready"
            assert len(w.runs) == 1

    asyncio.run(main())


def test_a_start_goes_on_when_the_one_who_waits_goes_away() -> None:
    async def main() -> None:
        async with world() as w:
            waiting = asyncio.ensure_future(w.wait())
            await w.started()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await w.runs[0].listen()
            await w.until("ready")
            assert len(w.runs) == 1

    asyncio.run(main())


def test_a_worker_that_dies_while_it_serves_is_told_and_started_again_by_itself() -> None:
    async def main() -> None:
        async with world() as w:
            run = await w.serve()
            assert w.place.lost() is None  # a connection can break without the worker's death
            run.end(-9)
            lost = w.place.lost()
            assert lost is not None
            assert lost.kind is FailureKind.WORKER_CRASHED
            await run.mute()
            await w.started(2)
            await w.runs[1].listen()
            assert isinstance(await w.wait(), Origin)
            assert w.place.lost() is None

    asyncio.run(main())


def test_a_dying_worker_is_known_before_its_exit_status_is() -> None:
    async def main() -> None:
        async with world() as w:
            run = await w.serve()
            run.dying = True
            lost = w.place.lost()
            assert lost is not None
            assert lost.kind is FailureKind.WORKER_CRASHED
            assert run.killed  # whatever it was up to, nobody asks it any more
            assert not isinstance(w.place.origin(), Origin)

    asyncio.run(main())


def test_while_it_backs_off_the_next_target_is_tried_at_once() -> None:
    async def main() -> None:
        async with world(delay=lambda _: 30.0) as w:
            run = await w.serve()
            run.end(-11)
            await w.until("backoff")
            failure = await w.wait()
            assert isinstance(failure, Failure)
            assert failure.kind is FailureKind.WORKER_CRASHED
            assert failure.retry_after is not None
            assert 29 < failure.retry_after <= 30
            assert "SIGSEGV" in w.place.state().detail
            assert len(w.runs) == 1

    asyncio.run(main())


def test_after_the_pause_it_is_started_without_being_asked() -> None:
    async def main() -> None:
        async with world(delay=lambda _: 0.05) as w:
            run = await w.serve()
            await run.mute()
            run.end(-9)
            await w.started(2)
            assert w.deaths == [1]
            assert w.place.state().state == "loading"

    asyncio.run(main())


def test_one_that_dies_while_it_loads_waits_to_be_asked_again() -> None:
    async def main() -> None:
        async with world(delay=lambda _: 0.05) as w:
            waiting = asyncio.ensure_future(w.wait())
            await w.started()
            w.runs[0].end(-9)
            failure = await waiting
            assert isinstance(failure, Failure)
            assert failure.kind is FailureKind.WORKER_CRASHED
            assert w.deaths == [2]  # no start at once: it has proved nothing
            await w.until("idle")
            assert len(w.runs) == 1
            waiting = asyncio.ensure_future(w.wait())
            await w.started(2)

    asyncio.run(main())


def test_deaths_in_a_row_are_counted() -> None:
    async def main() -> None:
        async with world(delay=lambda _: 0.01) as w:
            run = await w.serve()
            for count in range(2, 5):
                await run.mute()
                run.end(-9)
                await w.started(count)
                run = w.runs[-1]
                await run.listen()
                await w.until("ready")
            assert w.deaths == [1, 2, 3]

    asyncio.run(main())


@pytest.mark.parametrize("status", [CANNOT_LOAD_MODEL, CANNOT_LOAD_ENGINE])
def test_what_cannot_be_loaded_is_not_tried_again(status: int) -> None:
    async def main() -> None:
        async with world() as w:
            waiting = asyncio.ensure_future(w.wait())
            await w.started()
            w.runs[0].end(status)
            first, second = await waiting, await w.wait()
            assert isinstance(first, Failure)
            assert first == second
            assert first.kind is FailureKind.NOT_AVAILABLE
            assert w.place.state().state == "unavailable"
            assert len(w.runs) == 1

    asyncio.run(main())


def test_one_that_never_gets_ready_is_ended() -> None:
    async def main() -> None:
        async with world(load_seconds=0.1) as w:
            failure = await w.wait()
            assert isinstance(failure, Failure)
            assert failure.kind is FailureKind.WORKER_CRASHED
            assert w.runs[0].killed

    asyncio.run(main())


def test_a_start_that_the_system_refuses_is_a_failure_without_a_path() -> None:
    async def main() -> None:
        async with world(broken=True) as w:
            failure = await w.wait()
            assert isinstance(failure, Failure)
            assert failure.kind is FailureKind.WORKER_CRASHED
            assert "/" not in failure.message.replace("here/m", "")
            assert w.place.state().state == "backoff"

    asyncio.run(main())


def test_closing_ends_a_start_and_answers_those_who_wait() -> None:
    async def main() -> None:
        async with world() as w:
            waiting = asyncio.ensure_future(w.wait())
            await w.started()
            await w.place.close()
            failure = await waiting
            assert isinstance(failure, Failure)
            assert failure.kind is FailureKind.NOT_AVAILABLE
            assert w.runs[0].ended.result().status == -15
            again = w.place.origin()
            assert isinstance(again, Awaitable)
            assert isinstance(await again, Failure)

    asyncio.run(main())


def test_pauses_grow_to_a_minute_and_are_spread() -> None:
    backoff = Backoff(Random(1))
    assert backoff(1) == 0
    for deaths, expected in ((2, 1.0), (3, 2.0), (4, 4.0), (8, LONGEST), (10_000, LONGEST)):
        seen = [backoff(deaths) for _ in range(50)]
        assert all(expected * (1 - SPREAD) <= delay <= expected * (1 + SPREAD) for delay in seen)
        assert len(set(seen)) > 10
