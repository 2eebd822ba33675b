"""Metrics: counted in a flat array on the hot path, made into text when Prometheus asks.

For app.py::

    metrics = Metrics(routes, gauges, directory=None)   # routes: {name: its targets' names}; see `series`
    metrics.observe_outcome(outcome); metrics.observe_finish(finish)
    body, content_type = metrics.render(accept)
    metrics.relayout(routes)                            # after a reload: what still exists goes on from its old value
    metrics.publish()                                   # several workers: now and then, so that others see our gauges
    metrics.close()
    await asyncio.to_thread(warm)                       # before a render, costs something only the first time

With a `directory` that all workers of a server share, whichever worker is asked tells the sums over all of them.
"""

from __future__ import annotations

import importlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from proxy.config.values import Config
from proxy.core.outcome import Ended, Finish, Outcome
from proxy.ops import metrics_layout as layout_
from proxy.ops.metrics_gauges import Gauge, merged
from proxy.ops.metrics_layout import Layout
from proxy.ops.metrics_store import Store, blank

_SECONDS = layout_.REQUEST_DURATION.bounds
_SECONDS_SUM = len(_SECONDS) + 1
_ATTEMPTS = layout_.REQUEST_ATTEMPTS.bounds
_ATTEMPTS_SUM = len(_ATTEMPTS) + 1
_ONE = bisect_left(_ATTEMPTS, 1)
_ENDED = {name: place * len(layout_.FAILURES) for place, name in enumerate(layout_.ENDED)}
_FAILURE = {name: place for place, name in enumerate(layout_.FAILURES)}
_SOURCE = {name: place * len(layout_.DIRECTIONS) for place, name in enumerate(layout_.SOURCES)}
_STATUS = {status: place for place, status in enumerate(layout_.STATUSES)}
_STATUS_OTHER = len(layout_.STATUSES)
_ENDPOINT = {name: place * (_STATUS_OTHER + 1) for place, name in enumerate(layout_.ENDPOINTS)}
_FAILED = Ended.FAILED


def series(config: Config) -> dict[str, list[str]]:
    """The routes and targets of a configuration that are counted one by one."""
    found = {name: [target.name for target in route.targets] for name, route in config.routes.items()}
    found |= {name: [name] for name in config.moderations}
    if config.direct:
        found[""] = [f"{backend}/*" for backend in config.direct_targets]
    return found


def warm() -> None:
    """Import what `render` needs. The first time that takes 0.1 s: best not on the event loop (`asyncio.to_thread`)."""
    importlib.import_module("proxy.ops.metrics_text")


class Metrics:
    """One for each process. Neither observing method blocks or raises."""

    def __init__(
        self,
        routes: Mapping[str, Iterable[str]],
        gauges: Callable[[], Iterable[Gauge]] = tuple,
        directory: Path | None = None,
    ) -> None:
        """Raises `OSError` where the directory cannot be written."""
        self._gauges = gauges
        self._cells: list[float] | memoryview[float]
        self._use(Store(Layout(routes), directory))

    def observe_outcome(self, outcome: Outcome) -> None:
        """Count an attempt."""
        # Taken apart in one step, which costs half of reading field by field.
        (
            _,
            _,
            route,
            target,
            backend,
            ended,
            failure,
            _,
            stream,
            _,
            sent,
            _,
            first,
            last,
            usage,
            _,
            cost,
            billed,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
        ) = outcome
        cells = self._cells
        try:
            attempts, duration, first_token, tokens, cost_, unknown = self._pairs[route][target]
        except KeyError:
            attempts, duration, first_token, tokens, cost_, unknown = self._layout.pair(route, target, backend)
        cells[attempts + _ENDED[ended._value_] + (0 if failure is None else _FAILURE[failure._value_])] += 1.0
        seconds = last - sent
        cells[duration + bisect_left(_SECONDS, seconds)] += 1.0
        cells[duration + _SECONDS_SUM] += seconds
        if stream and first is not None:
            cells[first_token + bisect_left(_SECONDS, first)] += 1.0
            cells[first_token + _SECONDS_SUM] += first
        if usage is not None:
            tokens_in, tokens_out, cached, written, reasoning, source, _, _, _ = usage
            tokens += _SOURCE[source._value_]
            cells[tokens] += tokens_in
            cells[tokens + 1] += tokens_out
            if cached:
                cells[tokens + 2] += cached
            if written:
                cells[tokens + 3] += written
            if reasoning:
                cells[tokens + 4] += reasoning
        if cost is not None:
            cells[cost_] += float(cost)
        elif billed or ended is not _FAILED:
            cells[unknown] += 1.0

    def observe_finish(self, finish: Finish) -> None:
        """Count a request."""
        (_, route, _, attempts, status, _, endpoint, _, seconds, _, _, _, _, _, _, _, _, _, _) = finish
        cells = self._cells
        line = self._lines.get(route) or self._lines[""]
        requests, duration, attempts_, failovers = line
        cells[requests + _ENDPOINT[endpoint] + _STATUS.get(status, _STATUS_OTHER)] += 1.0
        cells[duration + bisect_left(_SECONDS, seconds)] += 1.0
        cells[duration + _SECONDS_SUM] += seconds
        cells[attempts_ + (_ONE if attempts == 1 else bisect_left(_ATTEMPTS, attempts))] += 1.0
        cells[attempts_ + _ATTEMPTS_SUM] += attempts
        if attempts > 1:
            cells[failovers] += 1.0

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """(text, content type): Prometheus' format, or OpenMetrics where the Accept header asks for it."""
        from proxy.ops.metrics_text import exposed

        gauges = list(self._gauges())
        self._store.publish(gauges)
        others = self._store.others()
        readings = merged(gauges, self._store.inherited, *(numbers.gauges for numbers in others))
        return exposed(self._layout, self._store.sums(others), readings, accept)

    def relayout(self, routes: Mapping[str, Iterable[str]]) -> None:
        """Routes and targets have changed. Raises `OSError` where the directory cannot be written."""
        before = self._store
        self._use(Store(Layout(routes), before.directory, before))
        before.close()

    def publish(self) -> None:
        """Let the other workers see this one's gauges as they are now. Does nothing where there is one worker."""
        if self._store.directory is not None:
            self._store.publish(self._gauges())

    def close(self) -> None:
        """Nothing is counted any more; what was stays for the other workers."""
        self.publish()
        self._cells = blank(self._layout)
        self._store.close()

    def _use(self, store: Store) -> None:
        self._store = store
        self._layout = store.layout
        self._cells = store.cells
        self._pairs = store.layout.pairs
        self._lines = store.layout.lines
