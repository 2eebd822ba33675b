"""`make`: it finds a Python, says what is missing, and README, Makefile and CI name the same commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import say
from scripts.readme import Block, blocks, left_out

ROOT = Path(__file__).resolve().parent.parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.M))


def find(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """scripts/find-python.sh where only `path` is on PATH (and sed, which it uses)."""
    sed = shutil.which("sed")
    assert sed
    (path / "sed").symlink_to(sed)
    return subprocess.run(
        ["/bin/sh", ROOT / "scripts/find-python.sh"],
        env={"PATH": str(path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def fake(path: Path, name: str, version: str, *, modern: bool, complete: bool = True) -> Path:
    """A Python that says what version it is, and has a venv module or not."""
    file = path / name
    answer = f'echo "{version} {modern} {file}"'
    file.write_text(f'#!/bin/sh\ncase "$2" in *version_info*) {answer};; *) {str(complete).lower()};; esac\n')
    file.chmod(0o755)
    return file


def test_the_python_on_path_is_taken_when_it_is_new_enough(tmp_path: Path) -> None:
    python = fake(tmp_path, "python3", "3.11.2", modern=True)
    assert find(tmp_path).stdout.strip() == str(python)


def test_a_newer_one_beside_an_old_python3_is_found(tmp_path: Path) -> None:
    fake(tmp_path, "python3", "3.9.2", modern=False)
    python = fake(tmp_path, "python3.12", "3.12.1", modern=True)
    assert find(tmp_path).stdout.strip() == str(python)


def test_one_without_venv_is_passed_over_for_one_that_has_it(tmp_path: Path) -> None:
    fake(tmp_path, "python3", "3.11.2", modern=True, complete=False)
    python = fake(tmp_path, "python3.12", "3.12.1", modern=True)
    assert find(tmp_path).stdout.strip() == str(python)


def test_too_old_a_python_is_named_with_its_version(tmp_path: Path) -> None:
    fake(tmp_path, "python3", "3.9.2", modern=False)
    told = find(tmp_path)
    assert told.returncode == 1
    assert "Python 3.11 or newer is needed. Found: python3 is 3.9.2" in told.stderr


def test_a_missing_venv_module_is_named_with_the_package_that_has_it(tmp_path: Path) -> None:
    fake(tmp_path, "python3", "3.11.2", modern=True, complete=False)
    told = find(tmp_path)
    assert told.returncode == 1
    assert "apt-get install python3.11-venv" in told.stderr


def test_no_python_at_all_is_said(tmp_path: Path) -> None:
    told = find(tmp_path)
    assert told.returncode == 1
    assert "no python3 was found on PATH" in told.stderr


def test_a_python_named_on_purpose_that_does_not_run_is_said(tmp_path: Path) -> None:
    told = find(tmp_path, PYTHON="/nowhere/python")
    assert told.returncode == 1
    assert "PYTHON=/nowhere/python does not run" in told.stderr


def test_a_command_that_fails_shows_its_last_lines_and_what_they_mean(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    failing = "print('first'); print('[Errno -3] Temporary failure in name resolution'); raise SystemExit(3)"
    with pytest.raises(SystemExit) as ended:
        say.run([sys.executable, "-c", failing], "installing", log=tmp_path / "log", explain=say.pip_trouble)
    assert ended.value.code == 1
    told = capfd.readouterr().err
    assert "first" in told
    assert "installing failed. The package index cannot be reached" in told


def test_a_command_that_works_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    say.run([sys.executable, "-c", "print('noise')"], "installing", log=tmp_path / "log")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--config routes.yaml"),
        (["PORT=9090"], "--port 9090"),
        (["HOST=127.0.0.2"], "--host 127.0.0.2"),
        (["CONFIG=mine.yaml"], "--config mine.yaml"),
    ],
)
def test_make_run_takes_port_host_and_configuration(arguments: list[str], said: str) -> None:
    # HOST and PORT stand in many environments for other things: only the command line counts.
    environment = {**os.environ, "HOST": "x86_64-linux", "PORT": "5000"}
    environment = {name: value for name, value in environment.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    command = ["make", "--dry-run", "run", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    serve = next(line for line in done.stdout.splitlines() if "proxy serve" in line).replace('"', "")
    assert said in serve
    assert "5000" not in serve
    assert "x86_64-linux" not in serve


def test_make_alone_shows_what_there_is() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {f"make {target}" for target in TARGETS} <= set(re.findall(r"make [a-z-]+", shown))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_no_document_names_a_target_that_is_not_there(name: str) -> None:
    text = (ROOT / name).read_text()
    commands = re.findall(r"^(?:step .*)?\s*make ([a-z-]+)", text, re.M) + re.findall(r"`make ([a-z-]+)", text)
    assert set(commands) <= TARGETS


def test_ci_runs_every_test_and_check_there_is() -> None:
    ci = (ROOT / ".ci/run").read_text()
    assert os.access(ROOT / ".ci/run", os.X_OK)
    steps = re.findall(r'^step "[^"]*" (.+)$', ci, re.M)
    assert {"make check", "make test", "make test-all", "scripts/readme.sh"} <= set(steps)


def test_the_readme_names_the_tests_that_ci_runs() -> None:
    named = {line.strip() for block in blocks((ROOT / "README.md").read_text()) for line in block.text.splitlines()}
    assert {"make run", "make test"} <= {line.split("#")[0].strip() for line in named}


def test_a_readme_block_is_run_unless_it_says_why_not() -> None:
    text = (
        "a\n```sh\nmake run\n```\n<!-- not run: needs a key -->\n```python\nx = 1\n```\n"
        "```json\n{}\n```\n```sh\nmake test  # quick\n```\n"
    )
    found = blocks(text)
    assert found == [
        Block("sh", "make run\n", ""),
        Block("python", "x = 1\n", "needs a key"),
        Block("sh", "make test  # quick\n", ""),
    ]
    assert [bool(left_out(block)) for block in found] == [False, True, True]
