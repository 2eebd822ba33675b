"""Targets are asked whether they are up while nobody else asks them, and go out of use and come back by it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from proxy.backends.asking import asking, judged
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest
from proxy.core.failure import Failure, FailureKind
from proxy.core.health import Health, Standing, standing
from proxy.engine.bulletin import Bulletin
from proxy.engine.engine import Engine
from proxy.engine.events import Event, Events
from proxy.engine.healths import Healths
from proxy.engine.lane import Lane
from proxy.engine.probes import Probes, of_failure, subjects
from proxy.engine.vitals import Vitals
from proxy.net.httpnet import HttpNet
from tests.engine.stage import Client, Stage, until

K = FailureKind
NOW = "10ms"


class Server:
    """Says what the test wants, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.hangs = False
        self.asked: list[str] = []
        self.open = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.away()

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    async def away(self) -> None:
        """It is gone: nobody listens there any more."""
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def back(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line = head.split(b"\r\n")[0].decode()
                length = next((int(x[15:]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0)
                body = await reader.readexactly(length)
                self.asked.append(line.removesuffix(" HTTP/1.1"))
                if self.hangs:
                    await reader.read()
                said = b'{"data": []}' if not body else json.dumps(_completion()).encode()
                writer.write(
                    b"HTTP/1.1 %d x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                    % (self.status, len(said), said)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()


def _completion() -> dict[str, Any]:
    message = {"role": "assistant", "content": "yes"}
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


class Scene:
    """A stage with a real network, whose backend `a` is at the server."""

    def __init__(self, server: Server, probe: dict[str, Any], *, shared: Path | None = None, **backend: Any) -> None:
        said = {"base_url": f"http://127.0.0.1:{server.port}/v1", "probe": probe, **backend}
        self.stage = Stage("a", backends={"a": said})
        self.net = HttpNet()
        self.events = Events()
        self.vitals = Vitals(self.events)
        self.engine = Engine(self.net, self.stage.books, [self.vitals])
        self.draining = False
        self.bulletin = None if shared is None else Bulletin(shared)
        self.probes = Probes(self.engine, self.vitals, self.events, lambda: self.draining, self.bulletin)

    def go(self) -> None:
        """As at the start, and after each reload."""
        self.probes.adopt(one for one in subjects(self.stage.config, self.lanes()) if not isinstance(one, str))

    def lanes(self) -> dict[str, tuple[str, Lane]]:
        roads = self.stage.roads.by_name
        return {name: (route, lane) for route, road in roads.items() for name, lane in road.lanes.items()}

    def standing(self) -> Standing:
        state = self.engine.health.get("a/m")
        return Standing.WELL if state is None else standing(state, asyncio.get_running_loop().time())

    def said(self, word: str) -> int:
        return self.probes.counted.get(("a/m", word), 0)


def play(story: Callable[[Server, Callable[..., Scene]], Coroutine[Any, Any, None]]) -> None:
    """Runs a story; whatever it opened is closed at its end."""

    async def told() -> None:
        scenes: list[Scene] = []

        async with Server() as server:

            def scene(probe: dict[str, Any], **more: Any) -> Scene:
                scenes.append(Scene(server, probe, **more))
                return scenes[-1]

            try:
                await story(server, scene)
            finally:
                for one in scenes:
                    await one.probes.close()
                    await one.net.close()
                    if one.bulletin is not None:
                        one.bulletin.close()

    asyncio.run(told())


def test_a_server_that_goes_away_is_taken_out_and_comes_back_by_probes_alone() -> None:
    async def story(server: Server, scene: Callable[..., Scene]) -> None:
        one = scene({"every": NOW, "healthy_after": 2, "unhealthy_after": 3})
        told = one.events.subscribe()
        circuits: list[tuple[bool, int, int]] = []

        def moved(target: str, before: Health, after: Health) -> None:
            circuits.append((bool(after.opened), one.said("failed"), one.said("ok")))

        one.engine.on_circuit = moved
        one.go()
        await until(lambda: one.said("ok") >= 3)
        assert server.asked[0] == "GET /v1/models"
        port = server.port
        await server.away()
        await until(lambda: one.said("failed") >= 3)
        assert one.standing() is Standing.OPEN
        good = one.said("ok")
        await server.back(port)
        await until(lambda: one.said("ok") >= good + 2)
        assert one.standing() is Standing.WELL
        (opened, failures, _), (closed, _, answers) = circuits
        assert (opened, failures) == (True, 3)
        assert (closed, answers) == (False, good + 2)
        assert one.stage.books.outcomes == []  # it costs nothing and is no attempt
        assert one.vitals.known == {}
        told.close()
        heard: list[Event] = [event async for event in told]
        assert {(event.kind, event.fields["ok"]) for event in heard} == {("probe", False), ("probe", True)}
        assert heard[0].fields["cause"] == "refused"

    play(story)


def test_a_server_that_is_simply_not_there_is_told_of_once() -> None:
    health = Healths()
    told: list[int] = []
    health.on_circuit = lambda target, before, after: told.append(after.opened)
    for probe in range(20):
        health.found("a/m", K.REFUSED, 100.0 + probe * 30)
    assert health.health["a/m"].opened == 20
    assert told == [1]
    health.found("a/m", None, 1000.0)
    assert told == [1, 0]
    assert health.trouble == {}


def test_a_server_that_hangs_costs_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(server: Server, scene: Callable[..., Scene]) -> None:
        server.hangs = True
        monkeypatch.setattr("proxy.engine.probes.WITHIN", 0.05)
        one = scene({"every": "1ms", "unhealthy_after": 3})
        one.go()
        most = 0
        while one.said("failed") < 3:
            most = max(most, server.open)
            await asyncio.sleep(0.002)
        assert most == 1
        state = one.engine.health["a/m"]
        assert state.opened == 1 and state.cause is K.FIRST_TIMEOUT

    play(story)


def test_what_requests_tell_needs_no_probe() -> None:
    async def story(server: Server, scene: Callable[..., Scene]) -> None:
        one = scene({"every": "50ms"})
        road = one.stage.roads.find("chat")
        assert road is not None
        one.go()
        for number in range(30):
            client = Client()
            body = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}
            one.engine.exchange(road, ChatRequest(b"", body, "chat", False, False), client, f"r{number}", "").start()
            await until(partial(bool, client.ends))
            await asyncio.sleep(0.01)
        assert one.probes.counted == {}
        await until(lambda: one.said("ok") > 0)

    play(story)


def test_a_tiny_completion_is_on_record_with_its_cost_and_teaches_nothing_else() -> None:
    async def story(server: Server, scene: Callable[..., Scene]) -> None:
        one = scene({"every": NOW, "with": "tiny_completion", "unhealthy_after": 1, "healthy_after": 1})
        one.go()
        await until(lambda: one.said("ok") >= 1)
        outcome = one.stage.books.outcomes[0]
        assert (outcome.endpoint, outcome.route, outcome.target) == ("probe", "chat", "a/m")
        assert str(outcome.cost) == "0.000014"
        assert one.vitals.known == {}
        assert one.engine.health == {}
        assert one.vitals.failovers == {}  # no request has ended
        server.status = 500
        await until(lambda: one.said("failed") >= 1)
        assert one.standing() is Standing.OPEN
        server.status = 200
        good = one.said("ok")
        await until(lambda: one.said("ok") > good)
        assert one.standing() is Standing.WELL
        assert not one.engine.live
        assert one.stage.busy() == 0

    play(story)


def test_a_rate_limit_says_neither_that_it_is_up_nor_that_it_is_not() -> None:
    async def story(server: Server, scene: Callable[..., Scene]) -> None:
        server.status = 429
        one = scene({"every": NOW, "unhealthy_after": 1, "healthy_after": 1})
        one.go()
        await until(lambda: one.said("unclear") >= 2)
        assert one.engine.health == {}

    play(story)


def test_while_it_drains_and_after_a_reload_without_it_nothing_is_probed() -> None:
    async def story(server: Server, scene: Callable[..., Scene]) -> None:
        one = scene({"every": "1ms"})
        one.go()
        await until(lambda: one.said("ok") >= 1)
        one.draining = True
        await until(lambda: server.asked != [])
        asked = len(server.asked)
        await asyncio.sleep(0.03)
        assert len(server.asked) <= asked + 1
        one.draining = False
        one.probes.adopt([])
        asked = len(server.asked)
        await asyncio.sleep(0.03)
        assert len(server.asked) <= asked + 1

    play(story)


def test_a_server_of_ones_own_is_asked_at_its_own_path_without_being_told() -> None:
    stage = Stage("a", backends={"a": {"type": "vllm", "base_url": "http://v.test:8000/v1"}})
    lanes = {"a/m": ("chat", stage.roads.by_name["chat"].lanes["a/m"])}
    (subject,) = subjects(stage.config, lanes)
    assert not isinstance(subject, str) and subject.asking is not None
    assert subject.asking.call.head.startswith(b"GET /health HTTP/1.1\r\n")
    assert subject.probe.every == 30
    cloud = Stage("a")
    assert list(subjects(cloud.config, {"a/m": ("chat", cloud.roads.by_name["chat"].lanes["a/m"])})) == []


def test_of_several_workers_one_asks_and_all_of_them_know(tmp_path: Path) -> None:
    async def story(server: Server, scene: Callable[..., Scene]) -> None:
        probe = {"every": "100ms", "healthy_after": 2, "unhealthy_after": 3}
        workers = [scene(probe, shared=tmp_path) for _ in range(4)]
        began = asyncio.get_running_loop().time()
        for one in workers:
            one.go()
        await until(lambda: len(server.asked) >= 4)
        took = asyncio.get_running_loop().time() - began
        assert took >= 3 * 0.08
        assert len(server.asked) <= 1 + took / 0.08
        server.status = 500
        failed = [sum(one.said("failed") for one in workers)]
        await until(lambda: sum(one.said("failed") for one in workers) >= 3)
        for one in workers:
            one.probes.refresh()
        assert failed == [0] and [one.standing() for one in workers] == [Standing.OPEN] * 4
        late = scene(probe, shared=tmp_path)
        late.go()
        late.probes.refresh()
        assert late.standing() is Standing.OPEN
        server.status = 200
        good = sum(one.said("ok") for one in workers)
        await until(lambda: sum(one.said("ok") for one in [*workers, late]) >= good + 2)
        for one in [*workers, late]:
            one.probes.refresh()
        assert [one.standing() for one in [*workers, late]] == [Standing.WELL] * 5

    play(story)


def test_when_the_one_that_asks_is_gone_another_does(tmp_path: Path) -> None:
    """Closed in the midst of asking: nobody waits for its answer."""

    async def story(server: Server, scene: Callable[..., Scene]) -> None:
        server.hangs = True
        one, other = (scene({"every": NOW}, shared=tmp_path) for _ in range(2))
        one.go()
        await until(lambda: server.asked != [])
        await one.probes.close()
        server.hangs = False
        other.go()
        await until(lambda: other.said("ok") >= 2)

    play(story)


def test_what_cannot_be_asked_for_nothing_is_said() -> None:
    key = {"api_key": "k", "api_version": "2024-12-01-preview"}
    azure = {"type": "azure", "base_url": "https://x.openai.azure.com", "probe": {"every": "1m"}, **key}
    stage = Stage("a", backends={"a": azure})
    (reason,) = subjects(stage.config, {"a/m": ("chat", stage.roads.by_name["chat"].lanes["a/m"])})
    assert isinstance(reason, str) and "tiny_completion" in reason


@pytest.mark.parametrize(
    ("status", "health", "ok"),
    [
        *((200, False, True), (404, False, True), (403, False, True), (401, False, False), (401, True, True)),
        *((429, False, None), (500, True, False), (503, True, False), (503, False, False), (204, True, True)),
    ],
)
def test_what_a_status_says(status: int, health: bool, ok: bool | None) -> None:
    assert judged(status, health=health)[0] is ok


@pytest.mark.parametrize(
    ("kind", "ok"),
    [
        *((K.REFUSED, False), (K.KEY_REFUSED, False), (K.NOT_FOUND, False), (K.QUOTA, None), (K.BUSY, None)),
        *((K.RATE_LIMITED, None), (K.LOADING, None), (K.FIRST_TIMEOUT, False), (K.BAD_REQUEST, None)),
    ],
)
def test_what_a_failure_says(kind: FailureKind, ok: bool | None) -> None:
    assert of_failure(Failure(kind, "x")) == (ok, kind)


def test_backends_without_a_list_have_nothing_to_ask() -> None:
    assert asking(Backend("b", "bedrock", options={"region": "us-east-1"})) is None
