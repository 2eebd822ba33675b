"""What the figures mean: the budgets, and the tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bench.rows import Figures

Results = Mapping[str, Figures]
"""row -> gateway -> figure -> one value a round."""
US = "wayline"


class Budget(NamedTuple):
    """One promise: `value` of the results is at most `limit`."""

    text: str
    unit: str
    limit: float
    value: Callable[[Results], float | None]
    """None where it was not measured."""


class Judged(NamedTuple):
    """A budget and what was measured; `met` is None where nothing was."""

    text: str
    unit: str
    limit: float
    value: float | None
    met: bool | None


def median(results: Results, row: str, gateway: str, figure: str) -> float | None:
    """The median of the rounds."""
    values = results.get(row, {}).get(gateway, {}).get(figure)
    return statistics.median(values) if values else None


def ratio(row: str, figure: str, to: str, *, mine: str = US) -> Callable[[Results], float | None]:
    """The median over the rounds of `mine` divided by another's of the same round."""

    def value(results: Results) -> float | None:
        above = results.get(row, {}).get(mine, {}).get(figure)
        below = results.get(row, {}).get(to, {}).get(figure)
        if not above or not below:
            return None
        return statistics.median(a / b if b > 0 else math.inf for a, b in zip(above, below, strict=True))

    return value


def dead(figure: str, how: str) -> Callable[[Results], float | None]:
    """Our route with a dead first target, divided by the same with it alive."""
    return ratio("dead", figure, f"{US} alive", mine=f"{US} {how}")


def ours(row: str, figure: str) -> Callable[[Results], float | None]:
    """Our own median."""
    return lambda results: median(results, row, US, figure)


BUDGETS = (
    Budget("CPU a plain chat request, to the uvicorn floor", "x", 3.0, ratio("plain", "cpu_us", "floor")),
    Budget("  the same, the goal beyond", "x", 2.4, ratio("plain", "cpu_us", "floor")),
    Budget("CPU a plain chat request, to TensorZero", "x", 1.0, ratio("plain", "cpu_us", "tensorzero")),
    Budget("CPU a plain chat request, to Ferro", "x", 1.0, ratio("plain", "cpu_us", "ferro")),
    Budget("CPU a streamed event (200 streams), to nginx", "x", 2.0, ratio("streams", "cpu_us", "nginx")),
    Budget("100 KB prompt, 20 KB answer, to nginx", "x", 6.0, ratio("large", "cpu_us", "nginx")),
    Budget("added latency p50 at one connection, to nginx", "x", 2.5, ratio("latency", "added_ms", "nginx")),
    Budget("memory an open stream (500)", "KB", 30.0, ours("memory", "stream_kb")),
    Budget("idle resident memory", "MB", 80.0, ours("start", "idle_mb")),
    Budget("start to first answered request", "s", 1.0, ours("start", "start_s")),
    Budget("CPU with a refusing first target, to alive", "x", 1.05, dead("cpu_us", "refused")),
    Budget("CPU with a first target of 500s, to alive", "x", 1.05, dead("cpu_us", "500")),
    # "no added p99": a tenth is what two runs of the same thing differ by
    Budget("p99 with a refusing first target, to alive", "x", 1.1, dead("p99_ms", "refused")),
    Budget("p99 with a first target of 500s, to alive", "x", 1.1, dead("p99_ms", "500")),
    Budget("500 clients hang up: last upstream call closed", "s", 0.1, ours("memory", "closed_s")),
)


def judge(results: Results) -> list[Judged]:
    """Each budget beside what was measured."""
    judged = []
    for budget in BUDGETS:
        value = budget.value(results)
        met = None if value is None else value <= budget.limit
        judged.append(Judged(budget.text, budget.unit, budget.limit, value, met))
    return judged


def number(value: float | None) -> str:
    """For a table: three digits that count, or what there is instead of a number."""
    if value is None:
        return "-"
    if math.isinf(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def figures_table(row: str, figures: Figures) -> str:
    """One row's figures, gateways downwards."""
    names = list(dict.fromkeys(name for each in figures.values() for name in each))
    lines = [[row, *names]]
    for gateway, values in figures.items():
        lines.append([gateway, *(number(statistics.median(values[n]) if n in values else None) for n in names)])
    return _aligned(lines)


def budgets_table(judged: list[Judged]) -> str:
    """The budgets, one a line."""
    lines = [["budget", "at most", "measured", ""]]
    for each in judged:
        word = {True: "met", False: "NOT MET", None: "not measured"}[each.met]
        lines.append([each.text, f"{each.limit:g} {each.unit}", number(each.value), word])
    return _aligned(lines)


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rows = [
        [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))]
        for line in lines
    ]
    return "\n".join("  ".join(row).rstrip() for row in rows)


def sayable(value: Any) -> Any:
    """The same with None for the numbers that JSON cannot say."""
    if isinstance(value, dict):
        return {key: sayable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [sayable(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
