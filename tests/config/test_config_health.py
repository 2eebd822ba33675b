"""What `probe:` and `alerts:` mean."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from proxy.config.load import load, read_secret
from proxy.config.problem import Problems
from proxy.config.values import Config
from proxy.core.route import Target
from proxy.core.vitals.policy import LOCAL, Alerting, Probe


def read(backend: dict[str, Any], target: dict[str, Any] | None = None, **top: Any) -> Config | Problems:
    whole = {
        "backends": {"a": {"base_url": "http://a.test/v1", **backend}},
        "routes": {"chat": {"targets": [{"target": "a/m", **(target or {})}]}},
        **top,
    }
    return load(yaml.safe_dump(whole), {"URL": "https://hooks.test/x?team=1"}, "routes.yaml", read_secret)


def probe(backend: dict[str, Any], target: dict[str, Any] | None = None) -> Probe | None:
    config = read(backend, target)
    assert isinstance(config, Config), str(config)
    (only,) = config.routes["chat"].targets
    assert isinstance(only, Target)
    return only.probe


@pytest.mark.parametrize(
    ("backend", "target", "expected"),
    [
        ({"type": "openai"}, {}, None),
        ({"type": "openai", "probe": {}}, {}, Probe()),
        ({"type": "ollama"}, {}, LOCAL),
        ({"type": "lmstudio"}, {}, LOCAL),
        ({"type": "vllm"}, {}, LOCAL),
        ({"type": "vllm", "probe": False}, {}, None),
        ({"type": "vllm", "probe": {"every": "5s"}}, {}, LOCAL._replace(every=5.0)),
        ({"type": "openai", "probe": {"every": "5m"}}, {"probe": False}, None),
        (
            {"type": "openai", "probe": {"every": "1m", "healthy_after": 9}},
            {"probe": {"with": "tiny_completion", "unhealthy_after": 1}},
            Probe(300.0, "tiny_completion", 2, 1),
        ),
    ],
)
def test_what_is_said_nearest_holds_and_servers_of_ones_own_are_probed_unasked(
    backend: dict[str, Any], target: dict[str, Any], expected: Probe | None
) -> None:
    assert probe(backend, target) == expected


def test_alerts_have_levels_of_their_own_and_a_webhook_that_is_printed_nowhere() -> None:
    assert _alerts() == Alerting()
    told = _alerts(webhook={"url": "${URL}", "secret": "s3cret"}, failover="10%", score=50, certificate_days=30)
    assert told.webhook is not None and told.webhook.secret is not None
    assert told.webhook.url.reveal() == "https://hooks.test/x?team=1"
    assert told.webhook.secret.reveal() == "s3cret"
    assert (told.failover, told.score, told.certificate) == (0.1, 50.0, 30 * 86_400.0)
    assert "s3cret" not in repr(told) and "team" not in repr(told)


def _alerts(**given: Any) -> Alerting:
    config = read({"type": "openai"}, **({"alerts": given} if given else {}))
    assert isinstance(config, Config), str(config)
    return config.alerts


@pytest.mark.parametrize(
    "alerts",
    [
        {"webhook": {"secret": "s"}},
        {"webhook": {"url": "hooks.test"}},
        {"webhook": {"url": "https://hooks.test/#x"}},
        {"webhook": {"url": "https://u@hooks.test/"}},
        {"score": 0},
        {"score": 90},
        {"failover": 2},
        {"certificate_days": 0},
    ],
)
def test_what_makes_no_sense_is_refused_without_printing_it(alerts: dict[str, Any]) -> None:
    problems = read({"type": "openai"}, alerts=alerts)
    assert isinstance(problems, Problems)
    assert "hooks.test" not in str(problems)


@pytest.mark.parametrize("given", [{"every": 0}, {"with": "prayer"}, {"healthy_after": 0}, {"always": True}, True])
def test_a_probe_that_makes_no_sense_is_refused(given: Any) -> None:
    assert isinstance(read({"type": "openai", "probe": given}), Problems)
