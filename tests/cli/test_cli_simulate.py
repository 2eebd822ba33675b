"""`wayline simulate` shows what the recorded traffic would have met with a draft."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result

from proxy.cli.commands import wayline
from proxy.core.usage import Usage
from tests.readme.blocks import ROOT
from tests.simulate.recorded_log import NOON, Log

NINE = -3 * 3600.0
DRAFT = """
backends:
  cloud: {type: openai, base_url: "https://cloud.test/v1", api_key: k, price: {input: 2.5, output: 10}}
  cheap: {type: openai, base_url: "https://cheap.test/v1", api_key: k, price: {input: 0.1, output: 0.4}}
  near: {type: ollama}
ledger: {path: ledger.db}
routes:
  chat:
    targets: [{target: cloud/large, weight: 2}, {target: cheap/small, weight: 2}, near/llama3.2]
    strategy: weighted
"""
COMMAND = "wayline simulate --config draft.yaml --utc --down cloud 10:00-11:00 --slow cheap x2"
DOCS = (ROOT / "docs/simulate.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three hours on record, of a route that asked cloud/large first; which failed for ten minutes."""
    random = Random(6)
    log = Log()
    for number in range(1080):
        at = NINE + number * 10
        usage = Usage(random.randrange(200, 3000), random.randrange(20, 600))
        first = 0.3 + random.random() * random.random()
        whole = first + usage.output / 90
        if 1200 <= number * 10 < 1800:
            slower = log.answer("cheap/small", sent=0.1, first=first * 2, last=whole * 2, usage=usage)
            log.request(at, [log.failure("cloud/large"), slower])
        else:
            log.served(at, first=first, last=whole, usage=usage)
    log.request(0.0, [log.answer("cloud/large")], route="old")
    log.write(tmp_path / "ledger.db")
    (tmp_path / "draft.yaml").write_text(DRAFT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str) -> Result:
    return CliRunner().invoke(wayline, shlex.split(command)[1:])


def test_what_the_docs_show_is_what_comes_out(folder: Path) -> None:
    done = run(COMMAND)
    assert done.exit_code == 0, done.output
    assert f"```console\n$ {COMMAND}\n{done.stdout}```" in DOCS, done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_a_draft_that_changes_nothing_shows_no_difference(folder: Path) -> None:
    (folder / "own.yaml").write_text(DRAFT.replace(", near/llama3.2", "").replace("weighted", "order"))
    told = json.loads(run("wayline simulate -c own.yaml --utc --json").stdout)
    for name in ("requests", "served", "lost", "first_content", "total"):
        assert told["draft"][name] == pytest.approx(told["today"][name], rel=0.02)
    assert float(told["draft"]["cost"]) == pytest.approx(float(told["today"]["cost"]), rel=0.01)
    shares = [told[which]["targets"]["cheap/small"]["share"] for which in ("today", "draft")]
    assert shares[1] == pytest.approx(shares[0], abs=0.02)
    assert told["gone"] == {"old": 1}


def test_keys_that_were_made_by_the_command_line_have_their_limits_and_budgets(folder: Path) -> None:
    log = Log()
    for number in range(10):
        log.served(number * 60.0, key=("alice", "bob")[number % 2])
    log.write(folder / "keys.db")
    one = DRAFT.partition("    targets: ")[0] + "    targets: [cloud/large]\nstate: {path: state.db}\n"
    (folder / "keys.yaml").write_text(one)
    for words in ("alice --budget 0.01/day", "bob --rpd 1"):
        made = run(f"wayline keys add {words} -c keys.yaml")
        assert made.exit_code == 0, made.output
    told = json.loads(run("wayline simulate -c keys.yaml --log keys.db --utc --json").stdout)
    draft = told["draft"]
    assert (draft["served"], draft["refused_by_budgets"], draft["lost"]) == (2 + 1, 3, 4)


def test_for_programs(folder: Path) -> None:
    told = json.loads(run(f"{COMMAND} --price near 0/1 --seed 4 --json").stdout)
    assert told["supposed"] == ["cloud down 10:00-11:00", "cheap x2", "near 0/1"]
    assert (told["seed"], told["today"]["requests"], told["draft"]["requests"]) == (4, 1080, 1080)
    assert sum(one["share"] for one in told["draft"]["targets"].values()) == pytest.approx(1.0)
    assert told["notes"] == ["near/llama3.2 is not on record: it was given the times of the others of route chat."]


def test_a_part_of_the_record(folder: Path) -> None:
    told = json.loads(
        run("wayline simulate -c draft.yaml --utc --since 2026-11-21T10:00 --until 2026-11-21T11:00 --json").stdout
    )
    assert told["today"]["requests"] == 360
    assert told["since"] == datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp() == NOON - 7200
    nothing = run("wayline simulate -c draft.yaml --since 2026-11-22")
    assert nothing.stdout == "No request on record that this configuration has a route for.\n"


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ("--down cloud 10:00-10:00", 2, "10:00-10:00 ends where it begins"),
        ("--down cloud 10:00-25:00", 2, "25:00 is no time of day"),
        ("--down nobody", 1, "draft.yaml has no target or backend nobody"),
        ("--slow cloud", 2, "expected [NAME] xFACTOR [SPAN]"),
        ("--slow x0", 2, "expected [NAME] xFACTOR [SPAN]"),
        ("--price cloud 3", 2, "expected NAME INPUT/OUTPUT"),
        ("--since tomorrow", 2, "expected today, yesterday"),
        ("--log nowhere.db", 1, "There is no ledger"),
        ("-c nothing.yaml", 1, "cannot be read"),
    ],
)
def test_what_makes_no_sense_is_said(folder: Path, words: str, status: int, told: str) -> None:
    done = run(f"wayline simulate -c draft.yaml {words}")
    assert (done.exit_code, done.stdout) == (status, "")
    assert told in done.stderr


def test_without_a_ledger_it_says_so(folder: Path) -> None:
    (folder / "draft.yaml").write_text(DRAFT.replace("{path: ledger.db}", "false"))
    done = run("wayline simulate -c draft.yaml")
    assert done.exit_code == 1 and "nothing was put on record (or name it: --log FILE)" in done.stderr
