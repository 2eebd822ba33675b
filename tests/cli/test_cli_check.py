"""`wayline check` draws a configuration, or tells every problem of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli.commands import wayline

FIXTURES = Path(__file__).parent / "fixtures"
WRONG = "backends: {b: {type: openai, key: k}}\nroutes: {r: {targets: [c/m]}}\n"
FINE = "backends: {b: {type: ollama}}\nroutes: {r: {targets: [b/m]}}\n"


def check(*arguments: str | Path, **environ: str) -> Result:
    return CliRunner(env={"GROQ_API_KEY": "", **environ}).invoke(wayline, ["check", *map(str, arguments)])


def test_the_picture_of_a_configuration_that_uses_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    done = check("full.yaml")
    assert done.exit_code == 0, done.output
    assert done.stdout == Path("full.txt").read_text()


def test_the_picture_fits_into_100_columns_and_shows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    done = check("full.yaml", GROQ_API_KEY="gsk-something-secret")
    assert max(len(line) for line in done.stdout.splitlines()) <= 100
    assert "1  vllm/meta-llama/Llama-3.1-8B-Instruct" in done.stdout
    assert "2  groq/llama-3.1-8b" in done.stdout
    for secret in ("gsk-", "hush", "9f86", "hidden"):
        assert secret not in done.output


def test_problems_go_to_standard_error_with_a_count_and_exit_status_1(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(WRONG)
    done = check(file)
    assert (done.exit_code, done.stdout) == (1, "")
    unknown, *others = done.stderr.splitlines()
    assert unknown.startswith(f'{file}:1:30: backends.b: unknown key "key", expected type, base_url, ')
    assert unknown.endswith('; did you mean "api_key"?')
    assert others == [
        f'{file}:2:24: routes.r.targets[0]: unknown backend "c", expected b',
        f"{file}: 2 problems",
    ]


def test_a_file_that_is_not_there_is_told_with_exit_status_1(tmp_path: Path) -> None:
    done = check(tmp_path / "none.yaml")
    assert done.exit_code == 1
    assert "none.yaml:1:1: cannot be read: No such file or directory" in done.stderr


def test_the_file_is_an_argument_or_an_option_or_routes_yaml_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "routes.yaml").write_text(FINE)
    monkeypatch.chdir(tmp_path)
    for arguments in ((), ("routes.yaml",), ("--config", "routes.yaml"), ("-c", "routes.yaml", "routes.yaml")):
        assert check(*arguments).stdout.startswith("routes.yaml is fine: 1 route, 1 of 1 backends in use")
    both = check("a.yaml", "--config", "b.yaml")
    assert both.exit_code == 2
    assert "give the file once" in both.stderr


def test_for_programs_it_says_the_same_as_json(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(FINE)
    fine = check(file, "--json")
    assert (fine.exit_code, json.loads(fine.stdout)["ok"]) == (0, True)
    target = json.loads(fine.stdout)["routes"]["r"][0]
    assert (target["target"], target["price"]["input"], target["price"]["origin"]) == ("b/m", "0", "local")
    file.write_text(WRONG)
    wrong = check(file, "--json")
    assert wrong.exit_code == 1
    told = json.loads(wrong.stdout)
    assert (told["ok"], told["problems"][1]["line"], told["problems"][1]["column"]) == (False, 2, 24)


def test_colours_are_for_terminals_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(FINE)
    plain = check(file).stdout
    assert "\x1b" not in plain
    monkeypatch.setattr("proxy.cli.commands.colours", lambda: True)
    painted = check(file).stdout
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain


@pytest.mark.parametrize(("environ", "wanted"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_user_can_have_no_colours_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], wanted: bool
) -> None:
    from proxy.cli.commands import colours

    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert colours() is wanted
