"""The configurations of deploy/ are good ones, and the one that others can reach asks its callers for a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.load import load_file
from proxy.config.problem import Problems
from proxy.config.values import Config
from tests.deploy.image import ROOT

CONTAINER = ROOT / "deploy" / "routes.container.yaml"
SIDECAR = ROOT / "deploy" / "routes.sidecar.yaml"


def loaded(found: Config | Problems) -> Config:
    assert isinstance(found, Config), found
    return found


def test_in_a_container_it_listens_everywhere_and_callers_need_the_key() -> None:
    config = loaded(load_file(CONTAINER, {"WAYLINE_KEY": "sesame", "OPENAI_API_KEY": "x"}))
    assert (config.listen.host, config.listen.port) == ("0.0.0.0", 8080)
    assert [key.name for key in config.keys] == ["default"]


@pytest.mark.parametrize("environment", [{}, {"WAYLINE_KEY": ""}])
def test_a_container_without_the_key_does_not_start_and_the_reason_names_the_variable(
    environment: dict[str, str],
) -> None:
    found = load_file(CONTAINER, environment)
    assert isinstance(found, Problems)
    assert [line for line in found.lines() if "WAYLINE_KEY" in line]


def test_a_sidecar_is_reached_on_loopback_only_and_asks_nobody_for_a_key() -> None:
    config = loaded(load_file(SIDECAR, {}))
    assert (config.listen.host, config.listen.port) == ("127.0.0.1", 8080)
    assert config.keys == ()


@pytest.mark.parametrize("file", [CONTAINER, SIDECAR], ids=lambda path: path.name)
def test_the_ledger_stands_on_the_volume_and_a_set_key_puts_its_backend_to_use(file: Path) -> None:
    config = loaded(load_file(file, {"WAYLINE_KEY": "sesame", "GROQ_API_KEY": "x"}))
    assert config.ledger == "/data/wayline.db"
    assert [target.backend for target in config.routes["chat"].targets] == ["groq"]
