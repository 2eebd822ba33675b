"""Writes what docs/ and README.md take from the code: `python scripts/docs.py`; `--check` only says what is old.

A generated part stands between `<!-- generated: NAME -->` and `<!-- generated: end -->`, and in README.md between the
bench's own marks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import strategies_table  # noqa: E402  # needs the path
from bench.table import replaced, section  # noqa: E402
from proxy.app.admin import actions  # noqa: E402
from proxy.config.schema import reference  # noqa: E402
from proxy.core.failure import VERDICTS, Elsewhere, FailureKind, Verdict  # noqa: E402
from proxy.ops.admin_schema import fields_of  # noqa: E402
from proxy.ops.metrics_layout import FAMILIES, Family  # noqa: E402
from proxy.wire.errors import FUTILE, WORDS  # noqa: E402
from scripts import providers  # noqa: E402

ELSEWHERE = {Elsewhere.YES: "yes", Elsewhere.NO: "no", Elsewhere.BY_ROUTE: "with `on_filter: next`"}
END = "<!-- generated: end -->"
NOBODY: Any = None
"""Takes the place of a process, where only what can be asked of one is of interest."""


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """As Markdown."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def configuration() -> str:
    """Every key of routes.yaml."""
    return reference().rstrip("\n")


def failures() -> str:
    """The verdict table."""
    heads = ("failure", "means", "status", "code", "type", "elsewhere", "circuit", "left alone", "may be billed")
    return table(heads, (_failure(kind, verdict) for kind, verdict in VERDICTS.items()))


def _failure(kind: FailureKind, verdict: Verdict) -> list[str]:
    return [
        f"`{kind.value}`",
        WORDS[kind],
        f"{verdict.status}{' ✗' if kind in FUTILE else ''}",
        f"`{verdict.code}`",
        f"`{verdict.type}`",
        ELSEWHERE[verdict.elsewhere],
        "counts" if verdict.counts else "",
        f"{verdict.cooldown:g} s" if verdict.cooldown else "",
        "yes" if verdict.maybe_billed else "",
    ]


def metrics() -> str:
    """Counters and histograms."""
    return table(("metric", "type", "labels", "means"), map(_metric, FAMILIES))


def _metric(family: Family) -> list[str]:
    labels = ", ".join(f"`{label}`" for label in (*family.labels, *family.inner))
    name = family.name if family.bounds else family.name + "_total"
    return [f"`{name}`", "histogram" if family.bounds else "counter", labels, family.help]


def words() -> str:
    """The values of the labels that have a fixed set of them."""
    found: dict[str, dict[str, None]] = {}
    for family in FAMILIES:
        for values in family.cells:
            for label, value in zip(family.inner, values, strict=True):
                found.setdefault(label, {})[value] = None
    return table(("label", "values"), ([f"`{label}`", _listed(values)] for label, values in found.items()))


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" if value else "(empty)" for value in values)


def admin() -> str:
    """Every call of the admin API."""
    heads = ("call", "does", "takes")
    rows = [[f"`{one.method} {one.path}`", one.doc, _taken(one.query, one.takes)] for one in actions(NOBODY)]
    rows.append(["`GET /events`", "What happens, as server-sent events.", ""])
    rows.append(["`GET /openapi.json`", "All of this, for programs.", ""])
    return table(heads, rows)


def _taken(query: Any, body: Any) -> str:
    asked = [f"`?{name}`" for name in (fields_of(query) if query else ())]
    return " ".join([*asked, *(f"`{name}`" for name in (fields_of(body) if body else ()))])


def measured() -> str:
    """The README's table."""
    return section(json.loads((ROOT / "bench/reference.json").read_text(encoding="utf-8")))


def compared() -> str:
    """What each strategy made of the same traffic."""
    return strategies_table.section(json.loads((ROOT / "bench/strategies.json").read_text(encoding="utf-8")))


PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "docs/admin.md": {"admin": admin},
    "docs/choosing.md": {"strategies": compared},
    "docs/configuration.md": {"configuration": configuration},
    "docs/errors.md": {"failures": failures},
    "docs/metrics.md": {"metrics": metrics, "words": words},
    "docs/providers.md": {
        "types": partial(providers.types, table),
        "parameters": partial(providers.parameters, table),
        "differences": partial(providers.differences, table),
        "families": partial(providers.families, table),
        "relays": partial(providers.relays, table),
        "servers": partial(providers.servers, table),
    },
    "README.md": {"bench": measured},
}


def renewed(name: str, text: str) -> str:
    """The file's text with its generated parts as they are now. Raises ValueError where a mark is missing."""
    for part, make in PARTS[name].items():
        if part == "bench":
            text = replaced(text, make())
            continue
        before, begin, rest = text.partition(f"<!-- generated: {part} -->")
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise ValueError(f"{name}: the marks of {part} are missing")
        text = f"{before}{begin}\n{make()}\n{end}{after}"
    return text


def main() -> None:
    """Exit status 1 when `--check` finds something old."""
    check = "--check" in sys.argv[1:]
    old = []
    for name in PARTS:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        new = renewed(name, text)
        if new != text:
            old.append(name)
            if not check:
                path.write_text(new, encoding="utf-8")
    print("\n".join(f"{name}: {'is not what the code says' if check else 'written'}" for name in old) or "all current")
    raise SystemExit(bool(old and check))


if __name__ == "__main__":
    main()
