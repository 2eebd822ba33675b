"""What was spent: summed exactly, with what is not known said beside it."""

from __future__ import annotations

import asyncio
import csv
import io
import sqlite3
from contextlib import closing
from dataclasses import replace
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
from proxy.ledger.schema import MIGRATIONS, VERSION, LedgerError
from proxy.ledger.spend import BYS, Line, Only, Report, report
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
    assert names("hour") == ["2026-11-20 12:00", "2026-11-21 12:00"]
    assert names("month") == ["2026-11"]
    assert names("agent") == ["scout"]


def test_what_has_two_tags_counts_in_both_and_once_in_the_total(database: Path, served: Outcome) -> None:
    tagged = [("a", "b"), ("b",), ()]
    _put(database, [served._replace(tags=tags, cost=Decimal(1), request_id=str(tags)) for tags in tagged])
    found = report(database, None, None, "tag")
    assert [(line.name, line.requests, line.cost) for line in found.lines] == [
        ("b", 2, Decimal(2)),
        ("", 1, Decimal(1)),
        ("a", 1, Decimal(1)),
    ]
    assert (found.total.requests, found.total.attempts, found.total.cost) == (3, 3, Decimal(3))
    note = "What has several tags counts in the line of each, and once in the total."
    assert as_table(found).splitlines()[-1] == note
    assert note not in as_table(report(database, None, None, "route"))
    assert list(csv.reader(io.StringIO(as_csv(found))))[1][:2] == ["b", "2"]


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.tuples(st.frozensets(st.sampled_from("abc")), st.decimals(0, 99, places=9)), max_size=20))
def test_the_lines_of_tags_are_what_each_tag_alone_sums_up_to(
    rows: list[tuple[frozenset[str], Decimal]], served: Outcome, tmp_path_factory: pytest.TempPathFactory
) -> None:
    database = tmp_path_factory.mktemp("tags") / "wayline.db"
    _put(database, [served._replace(tags=tuple(sorted(tags)), cost=cost) for tags, cost in rows])
    found = report(database, None, None, "tag")
    assert found.total.attempts == len(rows)
    for line in found.lines:
        mine = [cost for tags, cost in rows if (line.name in tags if line.name else not tags)]
        assert (line.attempts, line.cost) == (len(mine), sum(mine))
        if line.name:
            assert report(database, None, None, "route", only=Only(tags=(line.name,))).total.cost == sum(mine)


def test_only_what_is_asked_for_is_summed(filled: Path) -> None:
    def attempts(**only: tuple[str, ...]) -> int:
        return report(filled, None, None, "route", only=Only(**only)).total.attempts

    assert attempts(routes=("chat",)) == 5
    assert attempts(routes=("chat", "other")) == 6
    assert attempts(keys=("",)) == 1
    assert attempts(agents=("nobody",)) == 0
    assert attempts(tags=("team",), keys=("team-a",), routes=("other",)) == 1
    found = report(filled, None, None, "target", only=Only(routes=("chat",), tags=("team", "x")))
    assert as_table(found).splitlines()[-4] == "Only route chat, tag team or x."
    assert orjson.loads(as_json(found))["only"] == {"routes": ["chat"], "tags": ["team", "x"]}


def test_a_ledger_of_an_older_version_is_summed_as_it_is(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("INSERT INTO attempts (request_id, started_at, cost, ended) VALUES ('a', 1, '1', 'served')")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    for by in ("agent", "tag"):
        (line,) = report(database, None, None, by).lines
        assert (line.name, line.cost) == ("", Decimal(1))


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


def test_no_name_that_a_caller_chose_is_a_formula_in_a_spreadsheet() -> None:
    names = ('=HYPERLINK("http://a.test")', "+1", "-1", "@sum", 'a "b", c', "", "=x\ny")
    nothing = Line("", 0, 0, 0, 0, 0, 0, 0, 0, 0, None, 0, 0, 0, 0)
    lines = tuple(replace(nothing, name=name) for name in names)
    rows = [*csv.reader(io.StringIO(as_csv(Report("agent", None, None, lines, nothing))))][1:]
    assert [row[0] for row in rows] == [f"'{name}" if name[:1] in {*"=+-@"} else name for name in names]
