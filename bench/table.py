"""`python -m bench.table FILE.json`: the README's measured section, from what `python -m bench --json` wrote.

With `--into README.md` it takes the place of what stands there between `<!-- bench:begin -->` and `<!-- bench:end -->`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.report import US, number

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
GATEWAYS = {US: "Wayline", "nginx": "nginx", "floor": "uvicorn alone", "tensorzero": "TensorZero", "ferro": "Ferro"}
"""Columns, in their order."""

Results = dict[str, dict[str, dict[str, list[float | None]]]]
Cell = Callable[[Results, str], float | None]
"""(results, gateway) -> the figure; `None` where there is none."""


class Row(NamedTuple):
    """A line of the table."""

    text: str
    cell: Cell


def median(results: Results, row: str, gateway: str, figure: str) -> float | None:
    """Of the rounds. JSON's `null` stands for what never came."""
    values = results.get(row, {}).get(gateway, {}).get(figure)
    return statistics.median(math.inf if value is None else value for value in values) if values else None


def of(row: str, figure: str) -> Cell:
    """The gateway's own median."""
    return lambda results, gateway: median(results, row, gateway, figure)


def dead(how: str) -> Cell:
    """CPU a request with a dead first target, divided by the same with it alive: the median over the rounds."""

    def cell(results: Results, gateway: str) -> float | None:
        rows = results.get("dead", {})
        above = rows.get(f"{gateway} {how}", {}).get("cpu_us")
        below = rows.get(f"{gateway} alive", {}).get("cpu_us")
        if not above or not below:
            return None
        return statistics.median(a / b for a, b in zip(above, below, strict=True) if a is not None and b)

    return cell


ROWS = (
    Row("CPU a plain request, µs", of("plain", "cpu_us")),
    Row("CPU a streamed event, 200 streams, µs", of("streams", "cpu_us")),
    Row("CPU a request, 100 KB in, 20 KB out, µs", of("large", "cpu_us")),
    Row("latency added at one connection, p50, ms", of("latency", "added_ms")),
    Row("memory an open stream, 500 of them, KB", of("memory", "stream_kb")),
    Row("memory at rest, MB", of("start", "idle_mb")),
    Row("start to first answer, s", of("start", "start_s")),
    Row("500 clients leave: last upstream call closed, s", of("memory", "closed_s")),
    Row("CPU with a first target that refuses, ×", dead("refused")),
    Row("CPU with a first target that answers 500, ×", dead("500")),
)


def section(document: dict[str, Any]) -> str:
    """The Markdown between the marks, without them."""
    return "\n".join([*_words(document["machine"]), "", *_table(document["results"]), "", *_budgets(document)])


def _words(machine: dict[str, Any]) -> list[str]:
    versions = machine["versions"]
    others = ", ".join(f"{name} {version}" for name, version in versions.items() if name != US)
    return [
        f"Wayline {versions.get(US, '?')} on {machine['date'][:10]}: {machine['cores']} cores, "
        f"Python {machine['python']},",
        f"{others}.",
        "The gateway had one core, upstream and load the other. Medians; lower is better everywhere.",
    ]


def _table(results: Results) -> list[str]:
    there = [name for name in GATEWAYS if name in results.get("plain", {})]
    lines = [["", *(GATEWAYS[name] for name in there)]]
    lines += [[row.text, *(number(row.cell(results, name)) for name in there)] for row in ROWS]
    rule = ["---", *("---:" for _ in there)]
    return [f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:])]


def _budgets(document: dict[str, Any]) -> list[str]:
    """How many of the project's own budgets hold, and each that does not."""
    judged = [each for each in document["budgets"] if each["met"] is not None]
    missed = [each for each in judged if not each["met"]]
    head = f"Of {len(judged)} budgets that the bench judges, {len(judged) - len(missed)} are met."
    if not missed:
        return [head]
    return [f"{head} Not met:", "", *(f"- {_missed(each)}" for each in missed)]


def _missed(budget: dict[str, Any]) -> str:
    value = number(math.inf if budget["value"] is None else budget["value"])
    return f"{budget['text'].strip()}: {value} {budget['unit']}, at most {budget['limit']:g}"


def replaced(text: str, new: str) -> str:
    """`text` with `new` between the marks. Raises ValueError where they are not there, once each and in order."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"expected one {BEGIN} and after it one {END}")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{new}\n{END}{rest.partition(END)[2]}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.table", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE.json")
    parser.add_argument("--into", type=Path, metavar="FILE.md", help="write it there instead of printing it")
    args = parser.parse_args(arguments)
    made = section(json.loads(args.file.read_text(encoding="utf-8")))
    if args.into is None:
        print(made)
    else:
        args.into.write_text(replaced(args.into.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
