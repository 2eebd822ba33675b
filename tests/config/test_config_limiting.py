"""`limits:`, `concurrency:` and `queue:`: what stands in the file is what holds; mistakes are told by their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.core.limiting.values import Adaptive, Class, Limits, Queue, Rate

if TYPE_CHECKING:
    from tests.config.conftest import Loader

CONFIG = """
limits: {{rpm: 3000, concurrency: 500}}
queue: {{size: 200, wait: 20s, priorities: {{high: {{weight: 8}}, low: {{size: 5, wait: 5m}}}}}}
keys: [{{name: a, key: sk-of-somebody, weight: 2, limits: {{tpm: 1000, rpd: 50, kind: fixed}}}}]
backends: {{b: {{type: openai, api_key: k, limits: {{rpm: 500}}, concurrency: {{min: 2, max: 9}}}}}}
routes:
  r: {{targets: [{{target: b/m, {target}}}], limits: {{windows: [{{requests: 10, tokens: 5000, per: 10s}}]}}}}
  s: {{targets: [b/n], queue: false}}
  t: {{targets: [b/n], queue: {{size: 7}}}}
"""


def test_each_scope_has_the_limits_that_stand_at_it(loader: Loader) -> None:
    config = loader.good(CONFIG.format(target="limits: {tph: 9}, concurrency: 4"))
    assert config.limits == Limits((Rate("requests", 3000, 60.0),), 500)
    (key,) = config.keys
    fixed = (Rate("requests", 50, 86400.0, fixed=True), Rate("tokens", 1000, 60.0, fixed=True))
    assert (key.limits, key.weight) == (Limits(fixed), 2)
    assert config.backends["b"].rates == (Rate("requests", 500, 60.0),)
    assert config.backends["b"].adaptive == Adaptive(min=2, max=9)
    route = config.routes["r"]
    assert route.limits == Limits((Rate("requests", 10, 10.0), Rate("tokens", 5000, 10.0)))
    assert (route.targets[0].rates, route.targets[0].concurrency) == ((Rate("tokens", 9, 3600.0),), 4)


def test_a_route_queues_as_it_says_else_as_all_do_or_not_at_all(loader: Loader) -> None:
    routes = loader.good(CONFIG.format(target="concurrency: adaptive")).routes
    classes = {"high": Class(8.0, 200, 20.0), "low": Class(1.0, 5, 300.0)}
    assert routes["r"].queue == Queue(200, 20.0, classes)
    assert routes["s"].queue is None
    assert routes["t"].queue == Queue(7)
    assert routes["r"].targets[0].adaptive == Adaptive()
    queue = routes["r"].queue
    assert queue is not None and queue.of("") == Class(2.0, 200, 20.0), "what says nothing is normal"


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("limits: {rpm: 0}", "limits.rpm: found 0, expected a whole number from 1"),
        ("limits: {rpm: -1}", "limits.rpm: found -1"),
        ("limits: {rpm: 1.5}", "limits.rpm: found 1.5"),
        ("limits: {concurrency: 5}", 'unknown key "concurrency"'),
        ("limits: {kind: rolling}", "expected one of sliding, fixed"),
        ("limits: {windows: []}", "limits.windows: is empty"),
        ("limits: {windows: [{per: 5s}]}", "expected `requests` or `tokens` (or both)"),
        ("limits: {windows: [{requests: 5}]}", "`per` is missing"),
        ("limits: {windows: [{requests: 5, per: 0s}]}", "expected a positive duration"),
        ("concurrency: 0", "found 0, expected a whole number from 1 to 1000000, or adaptive"),
        ("concurrency: {min: 5, max: 2}", "`min` (5) is more than `max` (2)"),
        ("concurrency: {start: 201}", "`start` (201) is not between `min` (1) and `max` (200)"),
        ("concurrency: {min: 9, start: 8}", "`start` (8) is not between `min` (9) and `max` (200)"),
    ],
)
def test_a_limit_that_cannot_be_meant_is_told(loader: Loader, target: str, told: str) -> None:
    lines = loader.bad(CONFIG.format(target=target))
    assert any(told in line for line in lines), lines


@pytest.mark.parametrize("queue", ["true", "{size: 0}", "{wait: 0s}", "{priorities: {urgent: {weight: 1}}}"])
def test_a_queue_that_cannot_be_meant_is_told(loader: Loader, queue: str) -> None:
    (told,) = loader.bad(CONFIG.format(target="safety: 9").replace("queue: {size: 7}", f"queue: {queue}"))
    assert "routes.t.queue" in told
    if queue == "true":
        assert told.endswith("found true, expected false, or a mapping of size, wait or priorities")
