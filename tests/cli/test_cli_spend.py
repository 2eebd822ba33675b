"""`wayline spend` adds up what the ledger holds, for the time that was asked."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli.commands import wayline
from proxy.core.outcome import Ended, Outcome
from proxy.core.price import Price
from proxy.core.usage import Usage
from proxy.ledger.since import moment
from proxy.ledger.sqlite import open_ledger

NOW = datetime(2026, 11, 21, 13, 30, 5, tzinfo=UTC)
DAY = 86400.0


def ago(words: str, zone: timezone = UTC) -> str:
    return datetime.fromtimestamp(moment(words, NOW.timestamp(), zone), zone).isoformat()


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        ("today", "2026-11-21T00:00:00+00:00"),
        ("yesterday", "2026-11-20T00:00:00+00:00"),
        ("7d", "2026-11-14T13:30:05+00:00"),
        ("30d", "2026-10-22T13:30:05+00:00"),
        ("12h", "2026-11-21T01:30:05+00:00"),
        ("2026-11-01", "2026-11-01T00:00:00+00:00"),
        ("2026-11-01T10:00", "2026-11-01T10:00:00+00:00"),
        ("2026-11-01T10:00+02:00", "2026-11-01T08:00:00+00:00"),
    ],
)
def test_a_span_begins_where_its_words_say(words: str, begins: str) -> None:
    assert ago(words) == begins


def test_days_begin_at_midnight_of_the_zone() -> None:
    zone = timezone(timedelta(hours=-11))
    assert ago("today", zone) == "2026-11-21T00:00:00-11:00"
    assert ago("2026-11-01", zone) == "2026-11-01T00:00:00-11:00"


@pytest.mark.parametrize("words", ["", "0d", "7", "7w", "-7d", "99999999d", "last week", "2026-13-01"])
def test_other_words_are_a_wrong_command_line(words: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        moment(words, NOW.timestamp(), UTC)
    done = CliRunner().invoke(wayline, ["spend", "--", words])
    assert done.exit_code == 2
    assert "expected today, yesterday, a span like 7d or 12h" in done.output


def outcome(number: int, target: str, cost: Decimal | None, age: float) -> Outcome:
    return Outcome(
        request_id=f"r{number}",
        attempt=1,
        route="chat",
        target=target,
        backend=target.partition("/")[0],
        ended=Ended.SERVED,
        failure=None,
        status=200,
        stream=False,
        started_at=time.time() - age,
        sent=0.0,
        first_byte=0.1,
        first_content=0.1,
        last=0.2,
        usage=Usage(1000, 100),
        price=Price(Decimal(1), Decimal(2)),
        cost=cost,
        maybe_billed=False,
        key="",
        model="m",
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose ledger holds three attempts, one of them ten days old."""

    async def record() -> None:
        ledger = open_ledger(tmp_path / "ledger.db")
        ledger.record(outcome(1, "a/m", Decimal("0.0012"), 1))
        ledger.record(outcome(2, "b/m", Decimal("0.5"), 1))
        ledger.record(outcome(3, "b/m", Decimal("2"), 10 * DAY))
        await ledger.close()

    asyncio.run(record())
    file = tmp_path / "routes.yaml"
    file.write_text(
        f"ledger: {{path: {tmp_path}/ledger.db}}\nbackends: {{a: {{type: ollama}}}}\nroutes: {{r: {{targets: [a/m]}}}}"
    )
    return file


def spend(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(wayline, ["spend", *arguments, "--config", str(config)])


def test_the_ledger_of_the_configuration_is_summed_by_what_was_asked(config: Path) -> None:
    document = json.loads(spend(config, "7d", "--by", "target", "--json").stdout)
    assert {line["name"]: Decimal(line["cost"]) for line in document["lines"]} == {
        **{"a/m": Decimal("0.0012"), "b/m": Decimal("0.5")},
    }
    assert Decimal(document["total"]["cost"]) == Decimal("0.5012")
    longer = json.loads(spend(config, "30d", "--json").stdout)
    assert Decimal(longer["total"]["cost"]) == Decimal("2.5012")


def test_until_leaves_out_what_came_later(config: Path) -> None:
    document = json.loads(spend(config, "30d", "--until", "5d", "--json").stdout)
    assert Decimal(document["total"]["cost"]) == 2


def test_it_is_a_table_for_people_and_csv_for_spreadsheets(config: Path) -> None:
    table = spend(config, "7d", "--by", "backend").stdout
    assert table.splitlines()[0].split()[:2] == ["backend", "requests"]
    assert table.splitlines()[-1].startswith("total")
    assert "\x1b" not in table
    rows = list(csv.DictReader(io.StringIO(spend(config, "7d", "--by", "backend", "--csv").stdout)))
    assert {row["backend"] for row in rows} == {"a", "b"}


def test_the_database_can_be_named_without_any_configuration(config: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(wayline, ["spend", "7d", "--ledger", str(tmp_path / "ledger.db"), "--csv"])
    assert done.exit_code == 0
    assert "chat" in done.stdout
    del config


def test_without_a_ledger_it_says_so_with_exit_status_1(config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text().replace("ledger.db", "other.db"))
    absent = spend(config)
    assert (absent.exit_code, absent.stdout) == (1, "")
    assert "other.db" in absent.stderr
    config.write_text("ledger: false\n" + config.read_text().partition("\n")[2])
    off = spend(config)
    assert off.exit_code == 1
    assert "nothing was put on record" in off.stderr
    config.write_text("nonsense: 1")
    wrong = spend(config)
    assert wrong.exit_code == 1
    assert 'unknown key "nonsense"' in wrong.stderr
    assert "--ledger FILE" in wrong.stderr
    assert not (tmp_path / "other.db").exists()
