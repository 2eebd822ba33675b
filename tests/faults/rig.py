"""Upstreams that lie and a real Wayline in one event loop: what a test of faults runs in.

    def test_it(run):
        async def story(rig):
            await rig.route("chat", first=error(503), second=ok())
            await rig.serve()
            answer = await rig.chat("chat")
            ...
        run(story)

Each upstream is a backend of its own name with one target, `name/m`, priced at 1 dollar a million tokens in and 2 out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from proxy.app.process import Process
from proxy.config.load import load_file
from proxy.config.problem import Problems
from proxy.config.values import Config
from proxy.core.health import WELL, Health
from proxy.ops.log import Log
from proxy.wire.listening import bind
from proxy.wire.server import GuardedServer, configure
from tests.faults.talk import CHAT, EMBED, Answer, Talk, ask
from tests.upstream import Script, Upstream

PRICE = {"input": 1, "output": 2}
EASY = {"connect": 5, "first": 10, "idle": 10, "total": 30}
"""Times that no test waits for, however busy the machine is."""
MESSAGES = [{"role": "user", "content": "Say hello, please."}]


async def until(true: Callable[[], bool]) -> None:
    """Waits for what nobody tells of."""
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")


class Server(GuardedServer):
    """Leaves signals alone: they are the test run's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@dataclass
class Row:
    """One attempt on record."""

    attempt: int
    route: str
    target: str
    ended: str
    failure: str | None
    status: int | None
    input: int | None
    output: int | None
    usage_source: str
    cost: str | None
    maybe_billed: int
    model: str
    first_content: float | None
    last: float


COLUMNS = ", ".join(Row.__dataclass_fields__)


@dataclass
class Rig:
    """One Wayline and its upstreams. `settings` go into the configuration's top level."""

    directory: Path
    settings: dict[str, Any] = field(default_factory=dict)
    backends: dict[str, dict[str, Any]] = field(default_factory=dict)
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)
    ups: dict[str, Upstream] = field(default_factory=dict)
    port: int = 0
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _serving: asyncio.Task[None] | None = None

    process: Process = field(init=False)
    server: Server = field(init=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        await self._stack.aclose()

    # What there is to serve

    async def upstream(self, name: str, script: Script, *, tls: Any = None, **settings: Any) -> Upstream:
        """A backend that plays a script. More `settings` go into its part of the configuration."""
        up = await self._stack.enter_async_context(Upstream(script, tls=tls))
        self.ups[name] = up
        self.backend(name, base_url=up.base_url, **settings)
        return up

    def backend(self, name: str, **settings: Any) -> None:
        """A backend without an upstream of ours behind it."""
        self.backends[name] = {"type": "openai", "api_key": f"key-of-{name}", "price": PRICE, "timeouts": EASY}
        self.backends[name]["retry"] = {"same_target": 0}
        self.backends[name].update(settings)

    def route(self, name: str, *targets: str | dict[str, Any], **settings: Any) -> None:
        """A route over `name/m` of each backend named; a dict stands for itself."""
        given = [t if isinstance(t, dict) or "/" in t else f"{t}/m" for t in targets]
        self.routes[name] = {"targets": given, "on_cut": "error", **settings}

    def write(self) -> Path:
        """The configuration as a file."""
        path = self.directory / "routes.yaml"
        whole = {
            "listen": {"port": 0},
            "ledger": {"path": str(self.directory / "ledger.db")},
            **self.settings,
            "backends": self.backends,
            "routes": self.routes,
        }
        path.write_text(yaml.safe_dump(whole, sort_keys=False))
        return path

    # Serving

    async def serve(self) -> None:
        """Starts Wayline."""
        path = self.write()
        config = load_file(path, {})
        assert isinstance(config, Config), str(config)
        log = Log(form="json", fd=self._log_file())
        self._stack.callback(log.close)
        self.process = Process(config, {}, log, lambda: _reloaded(path))
        setup = configure(config.listen, self.process.app, self.process.endpoints, draining=self.process.draining)
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[Any] = loop.create_future()
        self.server = Server(setup, on_reload=self.process.runtime.reload_soon, ready=ready.set_result)
        serving = self._serving = loop.create_task(self.server.serve(bind(config.listen.host, 0)))
        both: set[asyncio.Future[Any]] = {serving, ready}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        assert ready.done(), "it ended while it started"
        self.port = ready.result()[1]

    async def stop(self) -> None:
        """Stops Wayline, if it runs; what it wrote stays."""
        if self._serving is not None:
            serving, self._serving = self._serving, None
            self.server.drain()
            self.server.drain()
            await serving

    def _log_file(self) -> int:
        number = os.open(self.directory / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._stack.callback(os.close, number)
        return number

    # Asking

    def body(self, model: str, *, stream: bool = False, **more: Any) -> dict[str, Any]:
        """A chat request."""
        return {"model": model, "messages": MESSAGES, **({"stream": True} if stream else {}), **more}

    async def chat(self, model: str, *, id_: str = "", stream: bool = False, **more: Any) -> Answer:
        """One chat request and its whole answer. `id_` is its request id."""
        return await ask(self.port, CHAT, self.body(model, stream=stream, **more), {"x-request-id": id_ or "r"})

    async def embed(self, model: str, *, id_: str = "", **more: Any) -> Answer:
        """One embeddings request and its whole answer."""
        body = {"model": model, "input": "Some words.", **more}
        return await ask(self.port, EMBED, body, {"x-request-id": id_ or "r"})

    async def begun(self, model: str, id_: str, *, small: bool = False, stream: bool = True, **more: Any) -> Talk:
        """A chat request that was sent, and nothing read yet."""
        talk = await Talk.open(self.port, small=small)
        self._stack.push_async_callback(talk.leave)
        talk.send(CHAT, self.body(model, stream=stream, **more), {"x-request-id": id_})
        return talk

    # Looking

    def health(self, backend: str) -> Health:
        """Of the backend's target."""
        return self.process.engine.health.get(f"{backend}/m", WELL)

    def age(self, backend: str, seconds: float) -> None:
        """As if so many seconds had passed for the health of the backend's target."""
        engine, name = self.process.engine, f"{backend}/m"
        health = engine.health[name]
        engine.health[name] = engine.trouble[name] = health._replace(
            since=health.since - seconds,
            opened_at=health.opened_at - seconds,
            open_until=health.open_until - seconds,
            cooled_at=health.cooled_at - seconds,
            cool_until=health.cool_until and health.cool_until - seconds,
        )

    async def rows(self, id_: str, count: int = 1) -> list[Row]:
        """The attempts of one request, once there are so many."""
        end = time.monotonic() + 10
        while len(found := self.recorded().get(id_, [])) < count:
            assert time.monotonic() < end, f"{id_}: {found}"
            await asyncio.sleep(0.02)
        return found

    def recorded(self) -> Mapping[str, list[Row]]:
        """All attempts in the ledger, by request id."""
        found: dict[str, list[Row]] = {}
        with contextlib.closing(sqlite3.connect(self.directory / "ledger.db")) as connection:
            for id_, *row in connection.execute(f"SELECT request_id, {COLUMNS} FROM attempts ORDER BY id"):
                found.setdefault(id_, []).append(Row(*row))
        return found


def _reloaded(path: Path) -> tuple[Config, str | None] | str:
    loaded = load_file(path, {})
    return str(loaded) if isinstance(loaded, Problems) else (loaded, None)
