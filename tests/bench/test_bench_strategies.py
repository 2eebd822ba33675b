"""The bench of strategies: the same traffic for each, and a table of what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import strategies, strategies_table
from bench.strategies import CONFIG, STRATEGIES, traffic
from proxy.config.load import load
from proxy.config.values import Config
from proxy.core.choice.wish import ASKABLE


def told(share: float, cost: str, failed: int, p95: float) -> dict[str, Any]:
    spread = {"p50": p95 / 2, "p95": p95}
    targets = {"llama/x": {"share": share, "failed": failed}, "sure/m": {"share": 1 - share, "failed": 0}}
    return {"requests": 200, "lost": 1, "cost": cost, "first_content": spread, "total": spread, "targets": targets}


def test_the_table_shows_each_beside_order() -> None:
    document = {"results": {"order": told(0.75, "0.02", 3, 1.0), "score": told(0.5, "0.03", 0, 0.5)}}
    assert strategies_table.table(document).splitlines()[2:] == [
        "| `order` | 75 % | 0 % | 0 % | 25 % | 100 | 1.00 | 1.00 | 3 | 1 |",
        "| `score` | 50 % | 0 % | 0 % | 50 % | 150 (+50 %) | 0.50 (-50 %) | 0.50 (-50 %) | 0 | 1 |",
    ]


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_each_strategy_has_a_configuration_that_loads(name: str) -> None:
    words = {"directory": ".", "llama": 1, "single": 2, "flaky": "http://a.test/v1", "sure": "http://b.test/v1"}
    text = CONFIG.format(name="m", strategy="\n    ".join((name, *STRATEGIES[name])), **words)
    found = load(text, {}, "routes.yaml", lambda _: "")
    assert isinstance(found, Config), str(found)
    policy = found.routes["chat"].policy
    assert policy is not None and policy.top.strategy == name


def test_all_strategies_are_measured_with_the_same_traffic() -> None:
    assert set(STRATEGIES) == {*ASKABLE, "custom"}
    asks = traffic(30.0)
    assert asks == traffic(30.0) and 60 < len(asks) < 200
    assert {ask.task for ask in asks} == {"code_generation", "general_chat"}


@pytest.mark.slow
def test_a_short_run_is_measured_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "all.json"
    strategies.main(["--seconds", "5", "--only", "cheapest", "--json", str(file)])
    document = json.loads(file.read_text())
    assert list(document["results"]) == ["order", "cheapest"]
    for one in document["results"].values():
        assert one["requests"] == document["requests"] > 5
        assert one["lost"] == 0
    assert "| `cheapest` |" in capsys.readouterr().out
    assert "SmolLM2-135M" in strategies_table.section(document)
