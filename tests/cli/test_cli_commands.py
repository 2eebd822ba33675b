"""The command line as a whole: what it offers, what it hands on, and that it starts quickly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import proxy
import proxy.app
from proxy.cli.commands import wayline
from proxy.ledger.spend import BYS

HEAVY = {
    *("uvicorn", "starlette", "yaml", "orjson", "httptools", "sqlite3", "prometheus_client", "pydantic", "asyncio"),
    "importlib.metadata",
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_python_m_proxy_is_the_same() -> None:
    done = run("-m", "proxy", "--version")
    assert (done.returncode, done.stdout) == (0, f"wayline {proxy.__version__}\n")


def test_help_names_every_command_and_the_exit_statuses() -> None:
    done = CliRunner().invoke(wayline, ["-h"])
    assert done.exit_code == 0
    for word in ("serve", "check", "spend", "schema", "completion", "Exit status: 0 fine, 1 problems"):
        assert word in done.output


def test_the_command_line_imports_nothing_heavy_before_a_command_runs() -> None:
    code = f"import sys, proxy.cli.commands; print(sorted({HEAVY!r} & set(sys.modules)))"
    assert run("-c", code).stdout.strip() == "[]"


def test_serve_hands_on_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def serve(config: Path, *, host: str | None, port: int | None, workers: int) -> int:
        asked.append((config, host, port, workers))
        return 3

    monkeypatch.setattr(proxy.app, "serve", serve)
    runner = CliRunner()
    assert runner.invoke(wayline, ["serve"]).exit_code == 3
    runner.invoke(wayline, ["serve", "--config", "x.yaml", "--host", "::1", "--port", "0", "--workers", "4"])
    assert asked == [(Path("routes.yaml"), None, None, 1), (Path("x.yaml"), "::1", 0, 4)]


@pytest.mark.parametrize(
    "arguments", [["serve", "--port", "70000"], ["serve", "--workers", "0"], ["nonsense"], ["check", "--nonsense"]]
)
def test_a_wrong_command_line_is_exit_status_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(wayline, arguments).exit_code == 2


def test_schema_prints_json_or_a_table() -> None:
    runner = CliRunner()
    assert json.loads(runner.invoke(wayline, ["schema"]).output)["title"] == "Wayline's routes.yaml"
    assert runner.invoke(wayline, ["schema", "--markdown"]).output.startswith("| key | expected |")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_completion_script_that_calls_us(shell: str) -> None:
    done = CliRunner().invoke(wayline, ["completion", shell])
    assert done.exit_code == 0
    assert "_WAYLINE_COMPLETE" in done.output


def test_completion_completes_commands() -> None:
    code = "from proxy.cli import main; main()"
    environ = {"_WAYLINE_COMPLETE": "bash_complete", "COMP_WORDS": "wayline s", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert set(done.stdout.split()) == {"plain,schema", "plain,serve", "plain,simulate", "plain,spend"}


def test_spend_offers_every_grouping_that_the_ledger_has() -> None:
    option = next(p for p in wayline.commands["spend"].params if p.name == "by")
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == BYS
