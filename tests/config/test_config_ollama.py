"""What a backend of type `ollama` or `lmstudio` may say besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.config.conftest import Loader

ROUTES = "\nroutes: {r: {targets: [o/m]}}"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", {}),
        ("num_ctx: 8192, keep_alive: 30m, think: low, pull: true", (8192, 1800.0, "low", True)),
        ("keep_alive: forever, think: false", {"keep_alive": -1.0, "think": False}),
        ("keep_alive: 0, think: true", {"keep_alive": 0.0, "think": True}),
        ("truncate: true", {"truncate": True}),
    ],
)
def test_ollamas_options_reach_the_backend(loader: Loader, written: str, read: Any) -> None:
    options = loader.good(f"backends: {{o: {{type: ollama, {written}}}}}{ROUTES}").backends["o"].options
    if isinstance(read, tuple):
        read = dict(zip(("num_ctx", "keep_alive", "think", "pull"), read, strict=True))
    assert {name: options[name] for name in read} == read


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("num_ctx: 4", "num_ctx: found 4, expected a whole number from 64"),
        ("keep_alive: -1", "expected forever, or a duration of 0 or more"),
        ("think: very", 'think: found "very", expected true, false, or one of low, medium, high, max'),
        ("pull: 1", "expected true or false"),
        ("num_ctxt: 4096", 'unknown key "num_ctxt"'),
    ],
)
def test_a_mistake_in_them_is_told(loader: Loader, written: str, told: str) -> None:
    (line,) = loader.bad(f"backends: {{o: {{type: ollama, {written}}}}}{ROUTES}")
    assert told in line


def test_lm_studios_time_to_live_is_a_duration(loader: Loader) -> None:
    config = loader.good(f"backends: {{o: {{type: lmstudio, ttl: 5m}}}}{ROUTES}")
    backend = config.backends["o"]
    assert (backend.options["ttl"], backend.base_url) == (300.0, "http://127.0.0.1:1234/v1")
    assert config.routes["r"].targets[0].timeouts.first == 300.0
    assert config.routes["r"].targets[0].price is not None  # a model at home costs nothing
