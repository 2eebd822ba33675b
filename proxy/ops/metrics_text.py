"""The numbers in Prometheus' text formats. Imported when first asked for: prometheus-client is 0.1 s and 6 MB."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

import proxy
from proxy.ops.metrics_gauges import Gauge
from proxy.ops.metrics_layout import FAMILIES, Family, Layout


def exposed(layout: Layout, cells: Sequence[float], gauges: Iterable[Gauge], accept: str) -> tuple[bytes, str]:
    """(text, content type) in the format that the Accept header asks for. `gauges` in the order of their names."""
    registry = CollectorRegistry()
    registry.register(_Numbers(layout, cells, gauges))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Numbers(Collector):
    def __init__(self, layout: Layout, cells: Sequence[float], gauges: Iterable[Gauge]) -> None:
        self._layout = layout
        self._cells = cells
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "wayline_build", "What runs here.", {"version": proxy.__version__, "python": platform.python_version()}
        )
        starts: dict[str, list[tuple[tuple[str, ...], int]]] = {family.name: [] for family in FAMILIES}
        for (name, labels), start in self._layout.blocks.items():
            starts[name].append((labels, start))
        for family in FAMILIES:
            blocks = [(labels, self._cells[start : start + family.size]) for labels, start in starts[family.name]]
            yield _histogram(family, blocks) if family.bounds else _counter(family, blocks)
        yield from _readings(self._gauges)


Blocks = Iterable[tuple[tuple[str, ...], Sequence[float]]]


def _counter(family: Family, blocks: Blocks) -> Metric:
    metric = CounterMetricFamily(family.name, family.help, labels=(*family.labels, *family.inner))
    for labels, cells in blocks:
        if "" in labels and not any(cells):
            continue  # nothing came from elsewhere
        for inner, value in zip(family.cells, cells, strict=True):
            # Of the many combinations only those that happened, but a plain counter from its zero on.
            if value or not inner:
                metric.add_metric((*labels, *inner), value)
    return metric


def _histogram(family: Family, blocks: Blocks) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    ends = [*map(floatToGoString, family.bounds), "+Inf"]
    for labels, cells in blocks:
        *counts, total = cells
        if "" in labels and not any(counts):
            continue
        seen = 0.0
        buckets = []
        for end, count in zip(ends, counts, strict=True):
            seen += count
            buckets.append((end, seen))
        metric.add_metric(labels, buckets, total)
    return metric


def _readings(gauges: Iterable[Gauge]) -> Iterator[Metric]:
    metric: Metric | None = None
    name = ""
    for gauge in gauges:
        if metric is None or gauge.name != name:
            if metric is not None:
                yield metric
            kind = CounterMetricFamily if gauge.total else GaugeMetricFamily
            name = gauge.name
            metric = kind(name, gauge.help)
        suffix = "_total" if gauge.total else ""
        metric.add_sample(name + suffix, dict(gauge.labels), gauge.value)
    if metric is not None:
        yield metric
