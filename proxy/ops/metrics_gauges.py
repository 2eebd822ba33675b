"""Numbers that are asked for when somebody looks, and how those of several workers become one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import orjson


class Gauge(NamedTuple):
    """One reading. Readings with the same name are one metric, and have the same help and label names."""

    name: str
    """A base unit in it, and without `_total`."""
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()
    """(name, value) of each."""
    merge: Literal["sum", "max", "min"] = "sum"
    """What several workers' readings make."""
    total: bool = False
    """It only ever grows: a counter, which goes on counting when its worker is gone."""


_MERGE: dict[str, Callable[[float, float], float]] = {"sum": operator.add, "max": max, "min": min}


def merged(*readings: Iterable[Gauge]) -> list[Gauge]:
    """The readings of several workers as those of one, those of one name together."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], Gauge] = {}
    for gauge in (gauge for one in readings for gauge in one):
        key = (gauge.name, gauge.labels)
        before = found.get(key)
        found[key] = gauge if before is None else gauge._replace(value=_MERGE[gauge.merge](before.value, gauge.value))
    return sorted(found.values(), key=lambda gauge: gauge.name)


def packed(gauges: Iterable[Gauge]) -> bytes:
    """For another worker to read."""
    return orjson.dumps([list(gauge) for gauge in gauges])


def unpacked(data: bytes) -> list[Gauge]:
    """Raises `ValueError` for what `packed` did not make."""
    return [
        Gauge(name, text, float(value), tuple((key, word) for key, word in labels), merge, total)
        for name, text, value, labels, merge, total in orjson.loads(data)
    ]
