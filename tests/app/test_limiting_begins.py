"""How limits come into force in a process: with other workers or alone, and by the wall clock as it is."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from proxy.app.callers import Callers
from proxy.app.desk import build
from proxy.app.limiting import Limiting
from proxy.config.load import load
from proxy.config.values import Config
from proxy.core.limiting.values import NONE
from proxy.core.limiting.window import Window
from proxy.engine.engine import Engine
from proxy.net.flight import Net
from tests.engine.stage import Books, Network

HOUR = {"windows": [{"requests": 9, "per": "1h", "kind": "fixed"}]}


class Started:
    """Limits of one process."""

    def __init__(self, shared: Path | None = None) -> None:
        backends = {"a": {"type": "openai", "base_url": "http://a.test/v1"}}
        routes = {"chat": {"targets": ["a/m"]}}
        whole = {"ledger": False, "state": False, "backends": backends, "routes": routes, "limits": HOUR}
        config = load(yaml.safe_dump(whole), {}, "routes.yaml", lambda _: "")
        assert isinstance(config, Config), str(config)
        self.config = config
        self.engine = Engine(cast(Net, Network()), Books())
        self.said: list[str] = []
        callers = Callers(self.engine, None)
        self.limiting = Limiting(config, self.engine, callers, build(config, 0).gates, self._say, shared)

    def _say(self, level: str, name: str, /, **fields: object) -> None:
        self.said.append(f"{level} {name}: {fields['reason']}")

    @property
    def window(self) -> Window:
        assert self.engine.admission is not None and self.engine.admission.limiter is not None
        return next(window for whose, window in self.engine.admission.limiter.windows() if whose == "this gateway")


def test_where_workers_cannot_share_each_counts_for_itself_and_the_log_says_so(tmp_path: Path) -> None:
    alone = Started(tmp_path / "nowhere")
    assert len(alone.said) == 1 and "limits.not_shared: each worker counts for itself" in alone.said[0]
    alone.window.take(1, time.monotonic())
    assert alone.window.left(time.monotonic()) == 8
    alone.limiting.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_wall_clock_that_is_set_moves_the_hours(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, by = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + by)
    started = [Started(tmp_path if workers > 1 else None) for _ in range(workers)]
    by = 900 - (time.time() % 3600)  # a quarter past an hour
    for one in started:
        one.limiting.look_at_clock()
    now = time.monotonic()
    started[0].window.take(4, now)
    assert [one.window.left(now) for one in started] == [5] * workers
    assert started[0].window.reset(now) == pytest.approx(2700, abs=60)
    by += 1800
    for one in started:
        one.limiting.look_at_clock()
    assert [one.window.left(now) for one in started] == [5] * workers, "it is the same hour"
    assert started[0].window.reset(now) == pytest.approx(900, abs=60)
    by += 1800
    for one in started:
        one.limiting.adopt(one.config)
    assert [one.window.left(now) for one in started] == [9] * workers
    for one in started:
        assert one.said == []
        one.limiting.close()


def test_whoever_comes_after_the_clock_was_set_finds_the_hour_that_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    real, by = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + by)
    one = Started()
    assert one.engine.admission is not None
    route = SimpleNamespace(name="chat", limits=NONE, queue=None)

    def comes() -> bool:
        refused: list[object] = []
        said: dict[str, Any] = {"key": "", "road": SimpleNamespace(route=route), "began": time.monotonic()}
        exchange: Any = SimpleNamespace(**said, held=None, refuse=refused.append)
        assert one.engine.admission is not None
        return one.engine.admission.admit(exchange) and not refused

    assert [comes() for _ in range(10)] == [True] * 9 + [False]
    by += 3600
    one.limiting.look_at_clock()
    assert comes()
    one.limiting.close()
