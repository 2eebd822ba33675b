"""What was spent: summed exactly, with what is not known said beside it."""

from __future__ import annotations

import asyncio
import csv
import io
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, Outcome
from proxy.core.usage import Source, Usage
from proxy.ledger import journal as journals
from proxy.ledger.row import encode
from proxy.ledger.schema import VERSION, LedgerError
from proxy.ledger.spend import BYS, Line, Report, report
from proxy.ledger.spend_view import as_csv, as_json, as_table
from proxy.ledger.sqlite import open_ledger

DAY = 86_400.0
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


def _put(database: Path, outcomes: list[Outcome]) -> None:
    ledger = open_ledger(database)
    for outcome in outcomes:
        ledger.record(outcome)
    asyncio.run(ledger.close())


@pytest.fixture
def filled(database: Path, served: Outcome) -> Path:
    """A request that failed over, one that was cut, one cancelled, one for free, over two days."""
    free = served._replace(target="here/smollm2", backend="here", key="", started_at=NOON + DAY, cost=Decimal(0))
    _put(
        database,
        [
            served._replace(
                request_id="a",
                started_at=NOON,
                target="groq/llama",
                backend="groq",
                ended=Ended.FAILED,
                failure=FailureKind.FIRST_TIMEOUT,
                usage=None,
                cost=None,
                maybe_billed=True,
            ),
            served._replace(request_id="a", attempt=2, started_at=NOON, cost=Decimal("0.1")),
            served._replace(request_id="b", started_at=NOON, ended=Ended.CUT, cost=Decimal("0.2")),
            served._replace(
                request_id="c",
                started_at=NOON + DAY,
                target="groq/llama",
                backend="groq",
                ended=Ended.FAILED,
                failure=FailureKind.REFUSED,
                usage=None,
                cost=None,
            ),
            free._replace(request_id="c", attempt=2, usage=Usage(5, 6, source=Source.ESTIMATED)),
            served._replace(
                request_id="d", route="other", started_at=NOON + DAY, ended=Ended.CANCELLED, usage=None, cost=None
            ),
        ],
    )
    return database


def test_by_target(filled: Path) -> None:
    found = report(filled, None, None, "target")
    assert found.lines == (
        Line("openai/gpt-4o-mini", 3, 3, 1, 0, 1, 1, 240, 90, 40, Decimal("0.3"), 1, 0, 2, 0),
        Line("groq/llama", 2, 2, 0, 2, 0, 0, 0, 0, 0, None, 1, 0, 0, 1),
        Line("here/smollm2", 1, 1, 1, 0, 0, 0, 5, 6, 0, Decimal(0), 0, 1, 1, 0),
    )
    assert found.total == Line("", 4, 6, 2, 2, 1, 1, 245, 96, 40, Decimal("0.3"), 2, 1, 3, 1)
    assert found.total.estimated_share == pytest.approx(1 / 3)


def test_by_each_of_the_others(filled: Path) -> None:
    def names(by: str) -> list[str]:
        (known,) = [one for one in BYS if one == by]
        return [line.name for line in report(filled, None, None, known, utc=True).lines]

    assert names("route") == ["chat", "other"]
    assert names("backend") == ["openai", "groq", "here"]
    assert names("key") == ["team-a", ""]
    assert names("day") == ["2026-11-20", "2026-11-21"], "days come in their order"


def test_the_span_includes_its_start_and_not_its_end(filled: Path) -> None:
    assert report(filled, NOON, NOON + DAY, "route").total.attempts == 3
    assert report(filled, NOON + DAY, None, "route").total.attempts == 3
    assert report(filled, None, NOON, "route").lines == ()


@settings(max_examples=25, deadline=None)
@given(costs=st.lists(st.decimals(0, 10_000, places=12), min_size=1, max_size=40))
def test_the_sum_is_exact(costs: list[Decimal], served: Outcome, tmp_path_factory: pytest.TempPathFactory) -> None:
    database = tmp_path_factory.mktemp("sum") / "wayline.db"
    _put(database, [served._replace(cost=cost) for cost in costs])
    assert report(database, None, None, "route").total.cost == sum(costs)


def test_it_reads_while_a_server_writes_and_what_a_dead_one_left(database: Path, served: Outcome) -> None:
    ledger = open_ledger(database)
    left = journals.create(database, 65536)
    left.append(encode(served))
    left.close(remove=False)
    assert report(database, None, None, "route").total.attempts == 1
    ledger.record(served)
    asyncio.run(ledger.close())
    assert report(database, None, None, "route").total.attempts == 2


def test_what_cannot_be_read_is_said_in_a_sentence(database: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="There is no ledger"):
        report(database, None, None, "day")
    assert not database.exists(), "asking makes no file"
    (tmp_path / "text").write_text("no database " * 1000)
    with pytest.raises(LedgerError, match="cannot be read: file is not a database"):
        report(tmp_path / "text", None, None, "day")
    asyncio.run(open_ledger(database).close())
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(LedgerError, match="newer Wayline"):
        report(database, None, None, "day")


def test_the_table_shows_the_gaps_in_the_sum(filled: Path) -> None:
    assert as_table(report(filled, None, None, "backend")) == (
        "backend       requests  attempts  served  failed  cut  gone  input  output  cached  cost $  unknown\n"
        "───────────────────────────────────────────────────────────────────────────────────────────────────\n"
        "openai               3         3       1       0    1     1    240      90      40  0.3000        1\n"
        "groq                 2         2       0       2    0     0      0       0       0       ?        1\n"
        "here                 1         1       1       0    0     0      5       6       0       0        0\n"
        "───────────────────────────────────────────────────────────────────────────────────────────────────\n"
        "total                4         6       2       2    1     1    245      96      40  0.3000        2\n"
        "Not in the sum, since nobody knows their cost: 2 attempts.\n"
        "Failed, and may have been billed all the same: 1 attempt.\n"
        "33% of the token counts are estimates.\n"
    )


def test_the_table_leaves_out_what_never_happened_and_keeps_to_its_width(database: Path, served: Outcome) -> None:
    _put(database, [served._replace(target="somewhere/" + "long" * 40, cost=Decimal("0.0000435"))])
    text = as_table(report(database, None, None, "target"), width=100)
    assert max(map(len, text.splitlines())) <= 100
    assert "failed" not in text
    assert "…" in text
    assert "0.000044" in text, "a small sum does not look like nothing"
    assert "\x1b" not in text
    assert "\x1b[1m" in as_table(report(database, None, None, "target"), colour=True)


def test_an_empty_span_says_so() -> None:
    nothing = Line("", 0, 0, 0, 0, 0, 0, 0, 0, 0, None, 0, 0, 0, 0)
    assert as_table(Report("day", None, None, (), nothing)) == "Nothing on record in this time.\n"


def test_json_and_csv_say_the_same(filled: Path) -> None:
    found = report(filled, NOON, None, "key")
    document = orjson.loads(as_json(found))
    assert document["since"] == "2026-11-20T12:00:00+00:00"
    assert document["until"] is None
    assert document["total"]["cost"] == "0.3"
    assert [line["name"] for line in document["lines"]] == ["team-a", ""]
    head, *rows = csv.reader(io.StringIO(as_csv(found)))
    assert head[0] == "key"
    for row, line in zip(rows, document["lines"], strict=True):
        assert row == ["" if value is None else str(value) for value in line.values()]
