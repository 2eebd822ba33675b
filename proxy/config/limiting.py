"""Checked values -> limits and queues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.config.check import Found
from proxy.config.problem import Problem
from proxy.core.limiting.values import REQUESTS, TOKENS, WEIGHTS, Adaptive, Class, Limits, Queue, Rate

Plain = Mapping[str, Any]
_SHORT = {
    "rpm": (REQUESTS, 60.0),
    "rph": (REQUESTS, 3600.0),
    "rpd": (REQUESTS, 86400.0),
    "tpm": (TOKENS, 60.0),
    "tph": (TOKENS, 3600.0),
    "tpd": (TOKENS, 86400.0),
}


def rates_of(plain: Plain) -> tuple[Rate, ...]:
    """The windows of a `limits:`, the short ones first."""
    fixed = plain.get("kind") == "fixed"
    found = [Rate(unit, plain[name], per, fixed) for name, (unit, per) in _SHORT.items() if name in plain]
    for window in plain.get("windows", ()):
        kind = window.get("kind", plain.get("kind")) == "fixed"
        found += [Rate(unit, window[unit], window["per"], kind) for unit in (REQUESTS, TOKENS) if unit in window]
    return tuple(found)


def limits_of(plain: Plain) -> Limits:
    """What stands at `limits:`."""
    given = plain.get("limits", {})
    return Limits(rates_of(given), given.get("concurrency"))


def places_of(said: object) -> tuple[int | None, Adaptive | None]:
    """What stands at `concurrency:`: a number, or how it is found. (Neither: no limit.)"""
    if isinstance(said, Mapping):
        return None, Adaptive(**said)
    if isinstance(said, str):
        return None, Adaptive()
    return (said if isinstance(said, int) else None), None


def queue_of(plain: Plain, otherwise: Queue | None = None) -> Queue | None:
    """What stands at `queue:`; `otherwise` where nothing does."""
    if "queue" not in plain:
        return otherwise
    given = plain["queue"]
    if given is False:
        return None
    whole = Queue(**{name: given[name] for name in ("size", "wait") if name in given})
    classes = {
        name: Class(
            float(said.get("weight", WEIGHTS[name])), said.get("size", whole.size), said.get("wait", whole.wait)
        )
        for name, said in given.get("priorities", {}).items()
    }
    return Queue(whole.size, whole.wait, classes)


def problems(found: Found | None, path: str = "") -> Iterator[Problem]:
    """Windows of nothing, and bounds of which the lower one is the higher, wherever they stand."""
    value = None if found is None else found.value
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from problems(item, f"{path}[{place}]")
    elif found is not None and isinstance(value, dict):
        if ".windows[" in path and not value.keys() & {REQUESTS, TOKENS}:
            yield Problem(found.mark, path, "expected `requests` or `tokens` (or both)")
        if path.endswith("concurrency"):
            yield from _bounds(found, path)
        for name, item in value.items():
            if isinstance(item, Found):
                yield from problems(item, f"{path}.{name}" if path else name)


def _bounds(found: Found, path: str) -> Iterator[Problem]:
    spec = Adaptive(**{name: item.value for name, item in found.value.items() if item is not None})
    if spec.min > spec.max:
        yield Problem(found.mark, path, f"`min` ({spec.min}) is more than `max` ({spec.max})")
    elif "start" in found.value and not spec.min <= spec.start <= spec.max:
        yield Problem(
            found.mark, path, f"`start` ({spec.start}) is not between `min` ({spec.min}) and `max` ({spec.max})"
        )
