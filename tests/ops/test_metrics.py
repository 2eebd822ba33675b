"""What Prometheus sees is what happened: each attempt and request once, over all workers, deaths, reloads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from proxy.config.values import Config, Listen
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, Finish, Outcome
from proxy.core.route import Route, Target
from proxy.core.usage import Source, Usage
from proxy.ops.metrics import Metrics, series, warm
from proxy.ops.metrics_gauges import Gauge

ROUTES = {"chat": ["openai/mini", "here/smol"], "embed": ["openai/mini"]}


def _values(metrics: Metrics) -> dict[str, float]:
    """{"name{label=value,…}": value} of all that Wayline says."""
    found = {}
    for family in parse(metrics.render()[0].decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    warm()
    made = Metrics(ROUTES)
    yield made
    made.close()


def test_an_attempt_is_counted_in_every_way(metrics: Metrics, served: Outcome) -> None:
    metrics.observe_outcome(served)
    found = _values(metrics)
    pair = "route=chat,target=openai/mini"
    assert found[f"wayline_attempts_total{{ended=served,failure=,{pair}}}"] == 1
    assert found["wayline_attempt_duration_seconds_sum{target=openai/mini}"] == 1.0, "from its sending on"
    assert found["wayline_attempt_duration_seconds_bucket{le=0.5,target=openai/mini}"] == 0
    assert found["wayline_attempt_duration_seconds_bucket{le=1.0,target=openai/mini}"] == 1, "an end is included"
    assert found["wayline_attempt_duration_seconds_bucket{le=+Inf,target=openai/mini}"] == 1
    assert found[f"wayline_time_to_first_token_seconds_sum{{{pair}}}"] == 0.8, "from the request's arrival on"
    tokens = {"input": 120, "output": 45, "cached": 20, "cache_write": 7, "reasoning": 9}
    for direction, count in tokens.items():
        labels = f"direction={direction},source=reported,target=openai/mini"
        assert found[f"wayline_tokens_total{{{labels}}}"] == count
    assert found[f"wayline_cost_usd_total{{{pair}}}"] == 0.25
    assert found[f"wayline_cost_unknown_total{{{pair}}}"] == 0


def test_a_request_is_counted_in_every_way(metrics: Metrics, finished: Finish) -> None:
    metrics.observe_finish(finished)
    metrics.observe_finish(finished._replace(attempts=3, status=418, endpoint="embed", duration=700.0))
    found = _values(metrics)
    assert found["wayline_requests_total{endpoint=chat,route=chat,status=200}"] == 1
    assert found["wayline_requests_total{endpoint=embed,route=chat,status=other}"] == 1
    assert found["wayline_request_duration_seconds_count{route=chat}"] == 2
    assert found["wayline_request_duration_seconds_bucket{le=600.0,route=chat}"] == 1
    assert found["wayline_request_duration_seconds_sum{route=chat}"] == 701.5
    assert found["wayline_attempts_per_request_sum{route=chat}"] == 4
    assert found["wayline_attempts_per_request_bucket{le=2.0,route=chat}"] == 1
    assert found["wayline_failovers_total{route=chat}"] == 1


def test_every_way_to_end_has_its_series(metrics: Metrics, served: Outcome) -> None:
    for ended in (Ended.FAILED, Ended.CUT, Ended.CANCELLED):
        for kind in FailureKind:
            metrics.observe_outcome(served._replace(ended=ended, failure=kind))
    found = _values(metrics)
    for ended in (Ended.FAILED, Ended.CUT, Ended.CANCELLED):
        for kind in FailureKind:
            labels = f"ended={ended.value},failure={kind.value},route=chat,target=openai/mini"
            assert found[f"wayline_attempts_total{{{labels}}}"] == 1


def test_unknown_cost_is_counted_only_where_something_may_have_been_charged(metrics: Metrics, served: Outcome) -> None:
    nothing = served._replace(usage=None, cost=None)
    metrics.observe_outcome(nothing._replace(ended=Ended.FAILED, failure=FailureKind.REFUSED))
    metrics.observe_outcome(nothing._replace(ended=Ended.FAILED, failure=FailureKind.RESET, maybe_billed=True))
    metrics.observe_outcome(nothing)
    metrics.observe_outcome(served._replace(cost=Decimal(0), usage=Usage(1, 2, source=Source.ESTIMATED)))
    found = _values(metrics)
    assert found["wayline_cost_unknown_total{route=chat,target=openai/mini}"] == 2
    assert found["wayline_cost_usd_total{route=chat,target=openai/mini}"] == 0
    assert found["wayline_tokens_total{direction=output,source=estimated,target=openai/mini}"] == 2


def test_a_client_cannot_make_series(metrics: Metrics, served: Outcome, finished: Finish) -> None:
    """Whatever it names, it is counted under the route ""; what it asks of a backend directly, under `backend/*`."""
    for number in range(50):
        metrics.observe_outcome(served._replace(route=f"x{number}", target=f"x/{number}", backend="x"))
        metrics.observe_finish(finished._replace(route=f"x{number}"))
    once = len(_values(metrics))
    for number in range(50, 100):
        metrics.observe_outcome(served._replace(route=f"x{number}", target=f"x/{number}", backend="x"))
        metrics.observe_finish(finished._replace(route=f"x{number}"))
    found = _values(metrics)
    assert len(found) == once
    assert found["wayline_attempts_total{ended=served,failure=,route=,target=}"] == 100
    assert found["wayline_requests_total{endpoint=chat,route=,status=200}"] == 100
    direct = Metrics({**ROUTES, "": ["openai/*"]})
    direct.observe_outcome(served._replace(route="openai/whatever", target="openai/whatever"))
    assert _values(direct)["wayline_cost_usd_total{route=,target=openai/*}"] == 0.25


def test_the_series_of_a_configuration() -> None:
    target = Target("openai/mini", "openai", "mini")
    config = Config(Listen(), None, {}, {"chat": Route("chat", (target,))})
    assert series(config) == {"chat": ["openai/mini"]}
    direct = Config(Listen(), None, {}, {}, direct=True, direct_targets={"openai": target})
    assert series(direct) == {"": ["openai/*"]}


def test_both_formats_are_well_formed(served: Outcome, finished: Finish) -> None:
    gauges = [
        Gauge("wayline_target_up", 'Up, or "not".', 1.0, (("target", "openai/mini"),), "max"),
        Gauge("wayline_target_up", 'Up, or "not".', 0.0, (("target", "here/smol"),), "max"),
        Gauge("wayline_ledger_rows", "Rows.", 7.0, total=True),
    ]
    metrics = Metrics(ROUTES, lambda: gauges)
    metrics.observe_outcome(served)
    metrics.observe_finish(finished)
    body, content_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = parse_openmetrics(body.decode())  # type: ignore[no-untyped-call]  # prometheus-client left it so
    names = {family.name for family in families}
    assert {"wayline_requests", "wayline_target_up", "wayline_ledger_rows", "wayline_build"} <= names
    assert "process_resident_memory_bytes" in names
    assert metrics.render("*/*")[1].startswith("text/plain")
    found = _values(metrics)
    assert found["wayline_target_up{target=here/smol}"] == 0
    assert found["wayline_ledger_rows_total{}"] == 7


def test_a_reload_goes_on_from_the_old_values(tmp_path: Path, served: Outcome) -> None:
    for directory in (None, tmp_path):
        metrics = Metrics(ROUTES, directory=directory)
        metrics.observe_outcome(served)
        metrics.observe_outcome(served._replace(target="here/smol"))
        metrics.relayout({"new": ["here/smol"], "chat": ["openai/mini", "new/one"]})
        metrics.observe_outcome(served)
        found = _values(metrics)
        assert found["wayline_attempts_total{ended=served,failure=,route=chat,target=openai/mini}"] == 2
        assert found["wayline_tokens_total{direction=input,source=reported,target=here/smol}"] == 120
        assert "wayline_cost_usd_total{route=chat,target=here/smol}" not in found, "it is no longer on that route"
        assert found["wayline_cost_usd_total{route=chat,target=new/one}"] == 0
        metrics.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_any_worker_tells_the_sums_over_all(tmp_path: Path, served: Outcome) -> None:
    """Also when one has reloaded already and the other has not yet."""

    def gauges(inflight: float, up: float, rows: float) -> list[Gauge]:
        return [
            Gauge("wayline_inflight_requests", "…", inflight),
            Gauge("wayline_target_up", "…", up, (("target", "openai/mini"),), "min"),
            Gauge("wayline_ledger_rows", "…", rows, total=True),
        ]

    one = Metrics(ROUTES, lambda: gauges(3, 1, 10), tmp_path)
    two = Metrics({"chat": ["new/one", "openai/mini"]}, lambda: gauges(4, 0, 20), tmp_path)
    one.observe_outcome(served)
    two.observe_outcome(served)
    two.publish()
    found = _values(one)
    assert found["wayline_cost_usd_total{route=chat,target=openai/mini}"] == 0.5
    assert found["wayline_inflight_requests{}"] == 7
    assert found["wayline_target_up{target=openai/mini}"] == 0
    assert found["wayline_ledger_rows_total{}"] == 30
    assert _values(two)["wayline_cost_usd_total{route=chat,target=openai/mini}"] == 0.5
    two.close()
    found = _values(one)
    assert found["wayline_cost_usd_total{route=chat,target=openai/mini}"] == 0.5, "counters do not go down"
    assert found["wayline_ledger_rows_total{}"] == 30
    assert found["wayline_inflight_requests{}"] == 3, "the dead have nothing in flight"
    one.close()


_WORKER = """
import os, signal, sys
from pathlib import Path
from proxy.core.outcome import Ended, Outcome
from proxy.ops.metrics import Metrics
from proxy.ops.metrics_gauges import Gauge

rows = Gauge("wayline_ledger_rows", "Rows.", 5.0, total=True)
metrics = Metrics({"chat": ["a/b"]}, lambda: [rows], Path(sys.argv[1]))
for _ in range(100):
    metrics.observe_outcome(
        Outcome("", 1, "chat", "a/b", "a", Ended.SERVED, None, 200, False, 1.0, 0.0, None, None, 1.0, None, None, None,
                False, "", ""))
metrics.publish()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_killed_workers_counted_stays_and_their_files_do_not_pile_up(tmp_path: Path) -> None:
    watcher = Metrics({"chat": ["a/b"]}, directory=tmp_path)
    for round_ in range(1, 4):
        assert subprocess.run([sys.executable, "-c", _WORKER, str(tmp_path)], timeout=30).returncode == -9
        found = _values(watcher)
        assert found["wayline_attempts_total{ended=served,failure=,route=chat,target=a/b}"] == 100 * round_
        assert found["wayline_ledger_rows_total{}"] == 5 * round_
    assert len(list(tmp_path.iterdir())) == 2
    watcher.close()


def test_counting_after_the_end_harms_nobody(tmp_path: Path, served: Outcome, finished: Finish) -> None:
    metrics = Metrics(ROUTES, directory=tmp_path)
    metrics.close()
    metrics.observe_outcome(served)
    metrics.observe_finish(finished)
