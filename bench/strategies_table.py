"""What `python -m bench.strategies` measured, as Markdown: for the terminal, and for docs/choosing.md."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

TARGETS = ("llama", "single", "flaky", "sure")
"""Backends, in the order in which the route has their targets."""
FIRST = "order"
"""What the others are compared with."""


def section(document: Mapping[str, Any]) -> str:
    """With what it was measured on."""
    on, kinds = document["machine"], document["llamas"]
    loads = [one["load"] for one in document["results"].values()]
    words = (
        f"`python -m bench.strategies` on {on['date'][:10]}, {on['cores']} cores with a load of {min(loads):.1f} to "
        f"{max(loads):.1f}: {document['requests']} requests in {document['seconds']:g} s with each strategy. *llama* "
        f"({kinds['llama']}) and *single* ({kinds['single']}) are real llama.cpp servers with SmolLM2-135M at $0.02 a "
        "million tokens in and $0.05 out, with 4 and 2 places; *flaky* ($0.10, $0.40) is quick and fails once in six, "
        "*sure* ($2.50, $10) never does. In brackets against `order`."
    )
    return f"{textwrap.fill(words, 100, break_on_hyphens=False)}\n\n{table(document)}"


def table(document: Mapping[str, Any]) -> str:
    """One line each."""
    results = document["results"]
    heads = [
        "strategy",
        *TARGETS,
        "$ a million requests",
        "p95 first content, s",
        "p95 whole, s",
        "failed",
        "lost",
    ]
    lines = [heads, ["---", *("---:" for _ in heads[1:])]]
    lines += [_row(name, told, results[FIRST]) for name, told in results.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(name: str, told: Mapping[str, Any], first: Mapping[str, Any]) -> list[str]:
    cost, before = _cost(told), _cost(first)
    return [
        f"`{name}`",
        *(f"{_share(told, backend) * 100:.0f} %" for backend in TARGETS),
        _against(f"{cost:,.0f}", cost, before),
        _against(_seconds(told["first_content"]["p95"]), told["first_content"]["p95"], first["first_content"]["p95"]),
        _against(_seconds(told["total"]["p95"]), told["total"]["p95"], first["total"]["p95"]),
        str(sum(one["failed"] for one in told["targets"].values())),
        str(told["lost"]),
    ]


def _share(told: Mapping[str, Any], backend: str) -> float:
    shares = {name: float(one["share"]) for name, one in told["targets"].items()}
    return sum(share for name, share in shares.items() if name.startswith(f"{backend}/"))


def _cost(told: Mapping[str, Any]) -> float:
    requests: int = told["requests"]
    return float(Decimal(told["cost"])) / max(requests, 1) * 1e6


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _against(shown: str, value: float | None, before: float | None) -> str:
    if value is None or not before or value == before:
        return shown
    return f"{shown} ({(value / before - 1) * 100:+.0f} %)"
