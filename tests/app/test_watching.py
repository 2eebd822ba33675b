"""Alerts in a process: to log, events and metrics; those that end by themselves; models that we run."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import yaml

from proxy.app.desk import Desk, build
from proxy.app.process import secrets
from proxy.app.watching import Watching
from proxy.config.load import load, read_secret
from proxy.config.values import Config
from proxy.core.money.budget import Budget, Owned, Per, Scope
from proxy.core.place import Place, State
from proxy.engine.engine import Engine
from proxy.engine.events import Events
from proxy.engine.vitals import Vitals
from proxy.ledger.null import NullLedger
from proxy.local.models import LocalModels
from proxy.net.httpnet import HttpNet
from proxy.state.state import State as Database
from tests.core.vitals.ended import MONDAY, ended, failed


def config(**more: Any) -> Config:
    whole = {
        "backends": {"a": {"type": "openai", "base_url": "http://a.test/v1", **more.pop("backend", {})}},
        "routes": {"chat": {"targets": ["a/m"]}},
        **more,
    }
    found = load(yaml.safe_dump(whole), {}, "routes.yaml", read_secret)
    assert isinstance(found, Config), str(found)
    return found


ENDS = float(int(time.time()) + 3600)


class Scene:
    """A watching over a desk, with what it told."""

    def __init__(self, database: Database | None, desk: Desk) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []
        self.net = HttpNet()
        self.events = Events()
        vitals = Vitals(self.events, database)
        engine = Engine(self.net, NullLedger(), [vitals])
        self.watching = Watching(self.net, engine, vitals, self.events, self._say, database)
        self.watching.adopt(desk)
        self.told = self.events.subscribe()

    def _say(self, level: str, name: str, /, **fields: object) -> None:
        self.lines.append((name, fields))

    async def heard(self) -> list[dict[str, object]]:
        """The events so far."""
        self.told.close()
        return [{"kind": event.kind, **event.fields} async for event in self.told]

    def gauges(self) -> dict[tuple[str, ...], float]:
        readings = self.watching.readings()
        return {(one.name, *(value for _, value in one.labels)): one.value for one in readings}


@contextlib.asynccontextmanager
async def scene(directory: Path | None = None, desk: Desk | None = None) -> AsyncIterator[Scene]:
    database = None if directory is None else Database(directory / "s.db", lambda *_, **__: None)
    one = Scene(database, desk or build(config(), 0))
    try:
        yield one
    finally:
        await one.watching.close()
        await one.net.close()
        if database is not None:
            await database.close()


def passed(percent: int, ends: float) -> Any:
    """So much of a budget is spent."""
    budget = Budget(5_000_000_000, Per.DAY)
    stands = SimpleNamespace(owned=Owned(Scope.KEY, "alice", Per.DAY), budget=budget, spent=4, ends=ends)
    return stands, percent


async def ran(one: Scene, seconds: float) -> None:
    task = asyncio.create_task(one.watching.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_an_alert_goes_to_log_events_and_metrics_once_each_way() -> None:
    async def story() -> None:
        async with scene() as one:
            alerts = one.watching.alerts
            for _ in range(3):
                alerts.note("quality", "a/m", True, "its answers are worse", value=0.3)
            assert one.gauges()["wayline_alert", "quality", "a/m"] == 1
            alerts.note("quality", "a/m", False)
            assert one.gauges()["wayline_alert", "quality", "a/m"] == 0
            assert one.gauges()["wayline_alerts_raised", "quality"] == 1
            about = {"kind": "quality", "subject": "a/m", "message": "its answers are worse"}
            assert one.lines == [("alert.raised", about), ("alert.cleared", about)]
            first, second = await one.heard()
            more = {"kind": "alert", "alert": "quality", "subject": "a/m", "message": "its answers are worse"}
            assert first == {**more, "state": "raised", "value": 0.3}
            assert second == {**more, "state": "cleared"}

    asyncio.run(story())


def test_a_budget_s_alert_ends_when_the_budget_begins_anew_also_over_a_restart(tmp_path: Path) -> None:
    async def first() -> None:
        async with scene(tmp_path) as one:
            one.watching.passed(passed(80, ENDS))
            one.watching.passed(passed(80, ENDS))
            await ran(one, 0.0)
            (line,) = one.lines
            assert line[0] == "alert.raised"
            assert str(line[1]["message"]).startswith("80 % of the budget of key alice (")

    async def second() -> None:
        async with scene(tmp_path) as one:
            assert one.gauges()["wayline_alert", "budget", "key alice, day: 80 %"] == 1
            one.watching.passed(passed(80, ENDS))
            assert one.lines == []
            one.watching._over(ENDS - 1)
            assert one.lines == []
            one.watching._over(ENDS)
            assert [name for name, _ in one.lines] == ["alert.cleared"]

    asyncio.run(first())
    asyncio.run(second())


def test_scores_are_looked_at_as_soon_as_it_runs_and_kept_when_it_ends(tmp_path: Path) -> None:
    async def first() -> None:
        async with scene(tmp_path) as one:
            now = time.time()
            for _ in range(50):
                one.watching.vitals.observe_outcome(ended(now))
                one.watching.vitals.observe_outcome(failed(now))
            await one.watching.look()
            assert one.gauges()["wayline_target_health_score", "a/m"] == 60

    async def second() -> None:
        async with scene(tmp_path) as one:
            await ran(one, 0.05)
            assert one.gauges()["wayline_target_health_score", "a/m"] == 60

    asyncio.run(first())
    asyncio.run(second())


def test_a_model_that_we_run_is_told_of_when_it_is_loaded_and_when_it_is_lost() -> None:
    class Here:
        stands = State("idle")

        def state(self) -> State:
            return self.stands

    async def story() -> None:
        place = Here()
        models = SimpleNamespace(places={"small": cast(Place, place)})
        desk = replace(build(config(), 0), local={"here": cast(LocalModels, models)})
        async with scene(desk=desk) as one:
            for stands in ("idle", "loading", "ready", "ready", "backoff"):
                place.stands = State(stands)
                one.watching._models()
            heard = await one.heard()
            assert heard == [
                {"kind": "model_loaded", "target": "here/small"},
                {"kind": "model_lost", "target": "here/small"},
            ]

    asyncio.run(story())


def test_what_leaves_the_configuration_is_no_longer_told_of() -> None:
    async def story() -> None:
        async with scene() as one:
            one.watching.alerts.note("down", "a/m", True, "it is down")
            one.watching.adopt(build(config(routes={"chat": {"targets": ["a/other"]}}), 0))
            assert [name for name, _ in one.lines] == ["alert.raised", "alert.cleared"]
            assert ("wayline_target_health_score", "a/m") not in one.gauges()

    asyncio.run(story())


def test_a_probe_that_cannot_be_is_said_at_the_start() -> None:
    async def story() -> None:
        probed = {"type": "bedrock", "region": "us-east-1", "probe": {"every": "1m"}}
        bedrock = {"api_key": "k", **probed}
        whole = {"backends": {"a": bedrock}, "routes": {"chat": {"targets": ["a/m"]}}}
        found = load(yaml.safe_dump(whole), {}, "routes.yaml", read_secret)
        assert isinstance(found, Config), str(found)
        async with scene(desk=build(found, 0)) as one:
            ((name, fields),) = one.lines
            assert name == "probe.impossible"
            assert fields == {
                "reason": "a has nothing that could be asked for nothing: `probe: {with: tiny_completion}`"
            }

    asyncio.run(story())


def test_the_webhook_s_address_and_secret_are_hidden_in_the_log() -> None:
    found = config(alerts={"webhook": {"url": "https://hooks.test/a-token", "secret": "the-secret"}})
    assert {"https://hooks.test/a-token", "the-secret"} <= set(secrets(found))


def test_times_of_the_past_are_no_trouble() -> None:
    async def story() -> None:
        async with scene() as one:
            one.watching.vitals.observe_outcome(ended(MONDAY - 10 * 365 * 86_400))
            await one.watching.look()
            assert one.gauges()["wayline_target_health_score", "a/m"] == 100

    asyncio.run(story())
