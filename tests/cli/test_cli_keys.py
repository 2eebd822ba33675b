"""`wayline keys` on a terminal of 100 columns, as docs/keys-and-budgets.md shows it."""

from __future__ import annotations

import json
import re
import secrets
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli.commands import wayline
from proxy.state import keys
from proxy.state.schema import open_database

CONFIG = """
ledger: {path: LEDGER}
keys: [{name: ci, key: "0123456789", routes: [small]}]
backends: {a: {type: openai, base_url: "http://a.test/v1", price: {input: 1, output: 2}}}
routes: {chat: {targets: [a/m]}, small: {targets: [a/m]}}
"""
DOCS = (Path(__file__).parents[2] / "docs/keys-and-budgets.md").read_text(encoding="utf-8")
NOW = 1_795_262_400.0
"""2026-11-21 12:00 UTC."""
SECRETS = ("Zk3Q9pW0aX7vB2nM5rT8yU1iO4eS6dF9gH3jK0lC", "m4" * 20, "t8" * 20, "uB7cY2xL5kN8wQ1sA4zE6rV9fJ3hG0pD2mT5oI8y")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text(CONFIG.replace("LEDGER", str(tmp_path / "wayline.db")))
    monkeypatch.setattr(time, "time", lambda: NOW)
    tokens = iter(SECRETS)
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _: next(tokens))
    return path


def run(file: Path, *arguments: str) -> Result:
    return CliRunner().invoke(wayline, ["keys", *arguments, "-c", str(file)], terminal_width=100)


def shown(command: str) -> str:
    """What the documentation says that a command prints."""
    (block,) = [
        text for text in re.findall(r"```console\n(.*?)```", DOCS, re.S) if text.startswith(f"$ wayline keys {command}")
    ]
    return str(block).partition("\n")[2]


def arguments(command: str) -> list[str]:
    """Those with which the documentation calls it."""
    (line,) = [line for line in DOCS.splitlines() if line.startswith(f"$ wayline keys {command}")]
    return line.removeprefix("$ wayline keys ").split()


def test_the_documentation_shows_what_is_printed(file: Path) -> None:
    added = run(file, *arguments("add alice"))
    assert (added.exit_code, added.output) == (0, shown("add alice")), added.output
    assert run(file, "add", "batch", "--budget", "50/month", "--on-exceeded", "cheaper").exit_code == 0
    assert run(file, "add", "old").exit_code == 0
    assert run(file, "revoke", "old").output == "old is revoked: servers refuse it within 2 seconds.\n"
    rotated = run(file, *arguments("rotate alice"))
    assert (rotated.exit_code, rotated.output) == (0, shown("rotate alice")), rotated.output
    listed = run(file, "list")
    assert (listed.exit_code, listed.output) == (0, shown("list")), listed.output
    assert max(map(len, listed.output.splitlines())) <= 100


def test_the_key_alone_goes_to_standard_output(file: Path) -> None:
    done = run(file, "add", "alice")
    assert done.stdout == f"wl-{SECRETS[0]}\n"
    assert "only now" in done.stderr


def test_programs_get_json(file: Path) -> None:
    done = json.loads(run(file, "add", "alice", "--expires", "30d", "--budget", "0.5/request", "--json").stdout)
    assert done == {"name": "alice", "key": f"wl-{SECRETS[0]}", "expires": "2026-12-21T12:00:00Z"}
    again = json.loads(run(file, "rotate", "alice", "--overlap", "5m", "--json").stdout)
    assert again["replaced_until"] == "2026-11-21T12:05:00Z"
    own, old, new = json.loads(run(file, "list", "--json").stdout)
    assert (own["name"], own["from"], own["routes"]) == ("ci", "file", ["small"])
    assert (old["why"], new["why"]) == ("replaced", "expired")
    assert new["budgets"] == [{"amount": "0.50", "per": "request", "on_exceeded": "refuse"}]
    assert "key" not in new and "digest" not in new


def test_every_unit_of_time_has_its_limit(file: Path) -> None:
    units = ("rpm", "rph", "rpd", "tpm", "tph", "tpd", "concurrency")
    done = run(file, "add", "alice", *(word for n, unit in enumerate(units) for word in (f"--{unit}", str(n + 1))))
    assert done.stderr.startswith(
        "alice: 1 request a minute; 2 requests an hour; 3 requests a day; 4 tokens a minute; 5 tokens an hour; "
        "6 tokens a day; 7 at once.\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["add", "ci"], "has a key 'ci' already"),
        (["add", "x", "--route", "chta"], 'has no route chta, expected chat or small; did you mean "chat"?'),
        (["revoke", "nobody"], "There is no key 'nobody' that is good."),
        (["rotate", "nobody"], "There is no key 'nobody' that is good."),
        (["rotate", "ci"], "routes.yaml: it can be changed there."),
        (["revoke", "ci"], "routes.yaml: it can be changed there."),
    ],
)
def test_what_cannot_be_done_is_told_with_the_reason(file: Path, words: list[str], message: str) -> None:
    done = run(file, *words)
    assert done.exit_code == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["add", "a b"], "A name must be"),
        (["add", "ünï"], "A name must be"),
        (["add", "x", "--tag", ""], "Tags must be 1 to 64 printable characters"),
        (["add", "x", "--tag", "a\nb"], "Tags must be"),
        (["add", "x", *(word for n in range(17) for word in ("--tag", f"t{n}"))], "16 at most"),
        (["add", "x", "--owner", "Al\nice"], "An owner must be printable"),
        (["add", "x", "--rpm", "0"], "--rpm"),
        (["add", "x", "--rpm", "9" * 30], "Limits must be 1 to 1,000,000,000,000."),
        (["add", "x", "--concurrency", "9" * 7], "'concurrency' must be 1 to 1,000,000."),
        (["add", "x", "--on-exceeded", "cheaper"], "there is none"),
        (["add", "x", "--expires", "9999w"], "after the year 2099"),
        (["add", "x", "--expires", "2100-06-01"], "after the year 2099"),
        (["add", "x", "--budget", "5/week"], "'5/week' is no budget"),
        (["add", "x", "--budget", "5/day", "--budget", "6/day"], "two budgets for the same time"),
        (["add", "x", "--expires", "soon"], "expected a time like 30d"),
        (["add", "x", "--expires", "2020-01-01"], "2020-01-01 is over"),
        (["rotate", "x", "--overlap", "later"], "expected a time like 90s"),
    ],
)
def test_a_wrong_command_line_is_told(file: Path, words: list[str], message: str) -> None:
    done = run(file, *words)
    assert done.exit_code == 2
    assert message in done.stderr


def test_the_first_key_can_be_made_before_others_are_let_in(file: Path) -> None:
    file.write_text(
        file.read_text()
        .replace("keys: [{", "listen: {host: 0.0.0.0}\nx-keys: [{")
        .replace('x-keys: [{name: ci, key: "0123456789", routes: [small]}]', "")
    )
    before = CliRunner().invoke(wayline, ["check", str(file)])
    assert before.exit_code == 1 and "`wayline keys add me`" in before.stderr
    assert run(file, "add", "me").exit_code == 0
    after = CliRunner().invoke(wayline, ["check", str(file)])
    assert after.exit_code == 0, after.output


def test_budgets_need_a_ledger_and_keys_a_place(file: Path, tmp_path: Path) -> None:
    file.write_text(
        file.read_text()
        .replace(f"ledger: {{path: {tmp_path}/wayline.db}}", "ledger: false\nstate: {path: ST}")
        .replace("ST", str(tmp_path / "s.db"))
    )
    assert "`ledger: false`" in run(file, "add", "x", "--budget", "5/day").stderr
    assert run(file, "add", "x").exit_code == 0
    file.write_text(file.read_text().replace(f"state: {{path: {tmp_path}/s.db}}", "state: false"))
    assert "nowhere to keep keys" in run(file, "add", "y").stderr


def test_a_database_can_be_named_itself(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    done = CliRunner().invoke(wayline, ["keys", "add", "alice", "--state", str(path)])
    assert done.exit_code == 0, done.output
    with closing(open_database(path, busy=1.0)) as db:
        assert [row.key.name for row in keys.rows(db)] == ["alice"]


@pytest.mark.parametrize("words", [["list"], ["revoke", "alice"], ["rotate", "alice"]])
def test_a_database_that_is_not_there_is_not_made_to_look_into_it(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "mistyped.db"
    done = CliRunner().invoke(wayline, ["keys", *words, "--state", str(path)])
    assert (done.exit_code, done.stderr) == (1, f"There is no database {path}.\n")
    assert not path.exists()


def test_a_key_of_the_database_can_be_ended_though_the_file_has_its_name_by_now(file: Path) -> None:
    assert run(file, "add", "alice").exit_code == 0
    file.write_text(file.read_text().replace("name: ci", "name: alice"))
    assert run(file, "revoke", "alice").exit_code == 0
    assert "it can be changed there" in run(file, "revoke", "alice").stderr


def test_what_is_checked_tells_of_keys_and_budgets(file: Path) -> None:
    text = file.read_text().replace("chat: {targets: [a/m]}", "chat: {targets: [a/m], budgets: [10/day]}")
    file.write_text(text + "budgets: {all: [{amount: 500, per: month, on_exceeded: cheaper}]}\n")
    assert run(file, "add", "me").exit_code == 0
    told = CliRunner().invoke(wayline, ["check", str(file)]).stdout
    assert "1 key of a caller" in told
    assert "keys     and those of the database (`wayline keys list`)\n" in told
    assert "budgets  all requests $500 a month, then cheaper; route 'chat' $10 a day\n" in told
    file.write_text(text.replace('keys: [{name: ci, key: "0123456789", routes: [small]}]', ""))
    assert "keys of the database" in CliRunner().invoke(wayline, ["check", str(file)]).stdout
