"""Runs in a process of its own: reads targets as JSON on stdin, writes their prices as JSON on stdout.

genai-prices brings pydantic: 0.3 s and 30 MB, which a serving process would keep for life for the sake of a few
numbers. Run as a script, so that nothing of Wayline is imported here (and no neighbour of this file: `-P`).
In: `[[base_url, model], …]`. Out, in the same order:
`[{"context": 128000, "price": {"input": "0.15", …, "tiers": [[200000, {…}]], "services": {"flex": {…}}}} | null, …]`.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

PARTS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
    "image_input": "input_image_mtok",
    "image_output": "output_image_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
}
"""Our words for the parts of a price, and theirs."""


def main() -> int:
    """One question, one answer."""
    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import StartDateConstraint

    snapshot = get_snapshot()
    now = datetime.now(tz=UTC)

    def find(base_url: str, model: str) -> dict[str, Any] | None:
        try:
            found = snapshot.find_provider_model(model, None, None, base_url)[1]
        except LookupError:
            return None
        price = _price(found.prices, StartDateConstraint, now)
        if price is not None and (services := _services(found, StartDateConstraint, now)):
            price["services"] = services
        return {"context": found.context_window, "price": price}

    asked: list[tuple[str, str]] = json.load(sys.stdin)
    json.dump([find(*target) for target in asked], sys.stdout)
    return 0


def _services(model: Any, by_date: Any, now: datetime) -> dict[str, Any]:
    """The prices of service tiers, by the word for them in requests and answers."""
    found = {}
    for variant in getattr(model, "price_variants", None) or ():
        name, rule = variant.when.get("service_tier"), variant.constraint
        dated = isinstance(rule, by_date)
        if len(variant.when) != 1 or not isinstance(name, str) or (dated and not rule.active(now)):
            continue
        start = rule.start_date.isoformat() if dated else ""
        parts = _price(variant.prices, by_date, now)
        if parts:
            found[name] = {**parts, "dated": parts["dated"] or start}
    return found


def _price(prices: Any, by_date: Any, now: datetime) -> dict[str, Any] | None:
    """The price that holds from now on, later entries over earlier ones.

    Of prices by the time of day the dearest: it is asked once, and a cost is better over- than understated.
    """
    if not isinstance(prices, list):
        return _parts(prices, "")
    found: list[dict[str, Any]] = []
    for conditional in prices:
        rule = conditional.constraint
        dated = isinstance(rule, by_date)
        if dated and not rule.active(now):
            continue
        parts = _parts(conditional.prices, rule.start_date.isoformat() if dated else "")
        if rule is None or dated:
            found.clear()
        found += [parts] if parts else []
    return max(found, key=lambda parts: Decimal(parts["input"]) + Decimal(parts["output"]), default=None)


def _parts(price: Any, dated: str) -> dict[str, Any] | None:
    """Without tokens in its price it is unknown. Without tokens out it has none: an embeddings model."""
    found = {ours: getattr(price, theirs, None) for ours, theirs in PARTS.items()}
    known = {name: value for name, value in found.items() if value is not None}
    if "input" not in known:
        return None
    base = {name: str(getattr(value, "base", value)) for name, value in known.items()}
    starts = sorted({tier.start for value in known.values() for tier in getattr(value, "tiers", ())})
    tiers = [[start, {"output": "0", **_tier(known, start)}] for start in starts]
    return {"output": "0", **base, "dated": dated, **({"tiers": tiers} if tiers else {})}


def _tier(parts: dict[str, Any], start: int) -> dict[str, str]:
    """What holds beyond so many tokens of input. (A tier's price is that of all tokens of such a request.)"""
    found = {}
    for name, value in parts.items():
        beyond = [tier.price for tier in getattr(value, "tiers", ()) if tier.start <= start]
        found[name] = str(beyond[-1] if beyond else getattr(value, "base", value))
    return found


if __name__ == "__main__":
    sys.exit(main())
