"""A target without a price gets the one that genai-prices knows, and an unknown one stays unknown."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import prices, pricing
from proxy.config.prices import ask, price_targets
from proxy.core.price import FREE, Price, cost
from proxy.core.usage import Usage

if TYPE_CHECKING:
    from tests.config.conftest import Loader

OPENAI = "https://api.openai.com/v1"
TEXT = """
backends:
  openai: {type: openai, api_key: k}
  vllm: {type: openai, base_url: "http://10.0.0.1/v1"}
  ollama: {type: ollama}
  off: {type: openai, api_key: "${NOT_SET}"}
routes:
  a: {targets: [openai/gpt-4o-mini, vllm/gpt-4o-mini, ollama/gpt-4o-mini, off/gpt-4o-mini]}
  b: {targets: [{target: openai/gpt-4o-mini, price: {input: 7, output: 8}}, openai/no-such-model]}
"""


def test_only_network_targets_without_a_price_of_their_own_are_priced(loader: Loader) -> None:
    config, warning = price_targets(loader.good(TEXT))
    assert warning is None
    found = {(r.name, t.name): t.price for r in config.routes.values() for t in r.targets}
    mini = found.pop(("a", "openai/gpt-4o-mini"))
    assert mini is not None
    assert (mini.origin, mini.input > 0, mini.output > mini.input) == ("genai-prices", True, True)
    assert mini.cached_input is not None
    assert mini.cached_input < mini.input
    assert found == {
        ("a", "vllm/gpt-4o-mini"): None,
        ("a", "ollama/gpt-4o-mini"): FREE,
        ("b", "openai/gpt-4o-mini"): Price(Decimal(7), Decimal(8)),
        ("b", "openai/no-such-model"): None,
    }


def test_an_embeddings_model_costs_nothing_for_output_it_does_not_have() -> None:
    found = ask([(OPENAI, "text-embedding-3-small")], 30)
    assert isinstance(found, list)
    price, context = found[0]
    assert price is not None
    assert price.input > 0
    assert price.output == 0
    assert context == 8192


def test_a_request_that_was_served_in_a_service_tier_costs_what_that_costs() -> None:
    """genai-prices states them with their own dates (from October 2026 on)."""
    answer = ask([(OPENAI, "gpt-5")], 30)
    assert isinstance(answer, list)
    known = answer[0][0]
    assert known is not None
    flex, priority = known.served("flex"), known.served("priority")
    assert flex.input * 2 == known.input
    assert flex.output * 2 == known.output
    assert priority.input > known.input
    assert flex.origin == "genai-prices"
    assert flex.dated >= "2026-10"


def test_a_request_beyond_a_tier_costs_the_tiers_price_for_all_its_tokens() -> None:
    found = ask([("https://api.anthropic.com/v1", "claude-sonnet-4-5")], 30)
    assert isinstance(found, list)
    price = found[0].price
    assert price is not None and [start for start, _ in price.tiers] == [200_000]
    dearer = price.tiers[0][1]
    assert price.at(200_000) is price and price.at(200_001) is dearer
    assert dearer.input > price.input and dearer.output > price.output and dearer.origin == "genai-prices"
    assert cost(dearer, Usage(1_000_000, 0)) == dearer.input


def test_the_context_comes_from_genai_prices_where_nobody_else_says_it(loader: Loader) -> None:
    text = """
    backends: {openai: {type: openai, api_key: k}}
    routes: {r: {targets: [openai/gpt-5-mini, {target: openai/gpt-4o, capabilities: {context: 1000}}]}}
    """
    config, _ = price_targets(loader.good(text))
    mini, small = config.routes["r"].targets
    assert (mini.ability.context, small.ability.context) == (400_000, 1000)


def test_without_anything_to_ask_no_process_is_started(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_a, **_k: pytest.fail("a process was started"))
    config = loader.good("backends: {o: {type: ollama}}\nroutes: {r: {targets: [o/m]}}")
    assert price_targets(config) == (config, None)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import time; time.sleep(60)", "no answer within 0.3 s"),
        ("raise SystemExit(3)", "it failed"),
        ("raise ImportError('no genai_prices')", "it failed (ImportError: no genai_prices)"),
        ("print('hello')", "its answer makes no sense"),
        ("print('[1]')", "its answer makes no sense"),
        ("print('[]')", "its answer makes no sense"),
        ("""print('[{"input": "1"}]')""", "its answer makes no sense"),
        ("""print('[{"context": 1, "price": {"input": "x", "dated": ""}}]')""", "its answer makes no sense"),
    ],
)
def test_when_it_cannot_be_asked_prices_stay_unknown_and_a_warning_says_so(
    loader: Loader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, told: str
) -> None:
    file = tmp_path / "script.py"
    file.write_text(script)
    monkeypatch.setattr(pricing, "__file__", str(file))
    before = loader.good("backends: {o: {type: openai, api_key: k}}\nroutes: {r: {targets: [o/gpt-4o]}}")
    config, warning = price_targets(before, patience=0.3 if "sleep" in script else 30)
    assert config == before
    assert warning is not None
    assert told in warning
    assert "costs of these targets are unknown" in warning


def test_a_python_that_cannot_be_started_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert ask([(OPENAI, "gpt-4o")], 5) == "cannot be started (No such file or directory)"


def test_the_serving_process_imports_neither_genai_prices_nor_pydantic() -> None:
    code = "import sys, proxy.config.load, proxy.config.prices; print({'pydantic', 'genai_prices'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@dataclasses.dataclass
class ByDate:
    start_date: date

    def active(self, now: datetime) -> bool:
        return now.date() >= self.start_date


@dataclasses.dataclass
class ByTime:
    start: time


@dataclasses.dataclass
class Conditional:
    constraint: Any
    prices: Any


@dataclasses.dataclass
class Parts:
    input_mtok: Any = None
    output_mtok: Any = None
    cache_read_mtok: Any = None


@dataclasses.dataclass
class Tier:
    start: int
    price: Decimal


@dataclasses.dataclass
class Tiered:
    base: Decimal
    tiers: list[Tier] = dataclasses.field(default_factory=list)


NOW = datetime(2026, 11, 21, tzinfo=UTC)


def chosen(*conditional: Conditional) -> dict[str, Any] | None:
    return pricing._price(list(conditional), ByDate, NOW)


def test_the_latest_price_whose_date_has_come_holds_and_says_since_when() -> None:
    old, new, future = (Parts(Decimal(n), Decimal(n)) for n in (1, 2, 3))
    dates = (None, ByDate(date(2026, 8, 17)), ByDate(date(2027, 1, 1)))
    found = chosen(*(Conditional(rule, price) for rule, price in zip(dates, (old, new, future), strict=True)))
    assert found == {"input": "2", "output": "2", "dated": "2026-08-17"}
    assert chosen(Conditional(None, old)) == {"input": "1", "output": "1", "dated": ""}


def test_of_prices_by_the_time_of_day_the_dearest_holds() -> None:
    night, day = Parts(Decimal(1), Decimal(1)), Parts(Decimal(2), Decimal(2))
    assert chosen(Conditional(None, night), Conditional(ByTime(time(1)), day)) == {
        **{"input": "2", "output": "2", "dated": ""},
    }


def test_each_tier_is_a_price_of_its_own_and_what_has_no_price_is_unknown() -> None:
    tiered = Parts(Tiered(Decimal("0.5"), [Tier(200, Decimal(1))]), Tiered(Decimal(4)), Decimal("0.05"))
    parts = {"input": "0.5", "output": "4", "cached_input": "0.05"}
    assert chosen(Conditional(None, tiered)) == {**parts, "dated": "", "tiers": [[200, {**parts, "input": "1"}]]}
    assert chosen(Conditional(None, Parts())) is None
    assert chosen() is None


def test_the_question_takes_bounded_time_by_default() -> None:
    assert 0 < prices.PATIENCE <= 30
