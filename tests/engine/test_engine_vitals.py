"""How targets are doing is counted from real attempts, outlives the process, and is one account for all workers."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from proxy.core.failure import FailureKind
from proxy.engine.engine import Engine
from proxy.engine.events import Events
from proxy.engine.roads import MAX_DIRECT
from proxy.engine.vitals import Vitals
from proxy.state.state import Say, State
from tests.core.vitals.ended import MONDAY, ended, failed
from tests.engine.stage import Stage

Tell = Callable[[Callable[[], None]], None]
MONTH = 30 * 86_400


def _quiet(level: str, name: str, /, **fields: object) -> None:
    raise AssertionError(f"{level} {name} {fields}")


@contextlib.asynccontextmanager
async def opened(directory: Path, say: Say = _quiet) -> AsyncIterator[State]:
    """The database, closed however the test ends: a thread of its own writes it."""
    state = State(directory / "s.db", say)
    try:
        yield state
    finally:
        await state.close()


def fill(vitals: Vitals, at: float, served: int, bad: int = 0) -> None:
    for _ in range(served):
        vitals.observe_outcome(ended(at))
    for _ in range(bad):
        vitals.observe_outcome(failed(at))


def test_attempts_are_counted_by_their_target(on_loop: Tell) -> None:
    def story() -> None:
        stage, vitals = Stage(), Vitals(Events())
        stage.engine = Engine(stage.net, stage.books, [stage.books, vitals])
        stage.ask(stream=False)
        stage.flights[-1].fail(FailureKind.RESET)
        stage.flights[-1].whole()
        now = stage.books.outcomes[-1].started_at + 1
        assert vitals.known["a/m"].window("1h", now).failed == 1
        assert vitals.known["b/m"].window("1h", now).served == 1
        assert vitals.look("a/m", now).value == 92 == vitals.score("a/m")
        assert vitals.look("b/m", now).value == 100
        assert vitals.failovers == {"chat": [1, 1]}

    on_loop(story)


def test_a_target_that_fails_half_the_time_has_an_anomaly_and_a_bad_score_and_gets_well_again() -> None:
    vitals = Vitals(Events())
    fill(vitals, MONDAY, 200)
    bad = MONDAY + 7200
    fill(vitals, bad, 50, 50)
    assert vitals.look("a/m", bad).value == 50
    assert vitals.anomalies == {"a/m": {"errors"}}
    assert vitals.look("a/m", bad + 7200).value == 100
    assert vitals.anomalies == {}


def test_of_targets_that_callers_name_only_so_many_are_known() -> None:
    vitals = Vitals(Events())
    vitals.observe_outcome(ended(MONDAY, target="mine/m"))
    for number in range(MAX_DIRECT + 10):
        vitals.observe_outcome(ended(MONDAY, target=f"a/{number}", route=f"a/{number}"))
    assert len(vitals.known) == MAX_DIRECT + 1
    assert "mine/m" in vitals.known and "a/9" not in vitals.known


def test_windows_and_score_are_the_same_after_a_restart(tmp_path: Path) -> None:
    now = MONDAY + 3 * 86_400 + 600

    async def first() -> tuple[float, object]:
        async with opened(tmp_path) as state:
            vitals = Vitals(Events(), state)
            vitals.load(["a/m"], MONDAY)
            for day in range(4):
                fill(vitals, MONDAY + day * 86_400, 50, day)
                vitals.save(MONDAY + day * 86_400)
            fill(vitals, MONDAY + 3 * 86_400 + 60, 20, 20)
            vitals.save(now)
            return vitals.look("a/m", now).value, vitals.known["a/m"].window("30d", now)

    async def second() -> tuple[float, object]:
        async with opened(tmp_path) as state:
            vitals = Vitals(Events(), state)
            vitals.load(["a/m", "b/m"], now)
            assert list(vitals.known) == ["a/m"]
            return vitals.look("a/m", now).value, vitals.known["a/m"].window("30d", now)

    before, after = asyncio.run(first()), asyncio.run(second())
    assert before == after
    assert before[0] < 80


def test_what_is_kept_is_small_and_what_is_old_goes(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as state:
            vitals = Vitals(Events(), state)
            vitals.load(["a/m"], MONDAY)
            for hour in range(0, 60 * 24, 2):
                fill(vitals, MONDAY + hour * 3600, 20)
                vitals.save(MONDAY + hour * 3600)

    asyncio.run(main())
    with contextlib.closing(sqlite3.connect(tmp_path / "s.db")) as db:
        rows, size = db.execute("SELECT COUNT(*), SUM(LENGTH(counts)) FROM vitals").fetchone()
    assert rows <= 12 + 24 + 30 + 3
    assert size < 10_000


def test_what_callers_name_themselves_is_not_kept(tmp_path: Path) -> None:
    async def main() -> list[tuple[object, ...]]:
        async with opened(tmp_path) as state:
            vitals = Vitals(Events(), state)
            vitals.load(["a/m"], MONDAY)
            fill(vitals, MONDAY, 1)
            vitals.observe_outcome(ended(MONDAY, target="a/whatever", route="a/whatever"))
            await vitals.share(MONDAY)
            return state.rows("SELECT DISTINCT target FROM vitals")

    assert asyncio.run(main()) == [("a/m",)]


def test_workers_see_each_others_counts_and_no_attempt_is_counted_twice(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as mine, opened(tmp_path) as yours:
            one, two = Vitals(Events(), mine), Vitals(Events(), yours)
            for vitals in (one, two):
                vitals.load(["a/m", "b/m"], MONDAY)
            fill(one, MONDAY, 30)
            fill(two, MONDAY, 10, 5)
            two.observe_outcome(ended(MONDAY, target="b/m"))
            for _ in range(3):
                await one.share(MONDAY)
                await two.share(MONDAY)
            await one.share(MONDAY)
            fill(one, MONDAY + 1, 1)
            for vitals, more in ((one, 1), (two, 0)):
                for name in ("1h", "24h", "30d"):
                    figures = vitals.known["a/m"].window(name, MONDAY + 1)
                    assert (figures.served, figures.failed) == (40 + more, 5)
            assert one.known["b/m"].window("1h", MONDAY).served == 1  # it has never seen it itself

    asyncio.run(main())


def test_without_a_database_nothing_is_kept_and_all_else_works() -> None:
    vitals = Vitals(Events())
    vitals.load(["a/m"], MONDAY)
    fill(vitals, MONDAY, 10)
    vitals.save(MONDAY)
    asyncio.run(vitals.share(MONDAY))
    assert vitals.known["a/m"].window("1h", MONDAY).served == 10


def test_what_somebody_else_wrote_there_is_passed_over(tmp_path: Path) -> None:
    def spoil(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO vitals VALUES ('a/m', 300, ?, ?)", (int(MONDAY // 300), b"x"))
        db.execute("INSERT INTO vitals VALUES ('a/m', 3600, ?, ?)", (int(MONDAY // 3600), "y"))

    async def main() -> None:
        async with opened(tmp_path) as state:
            state.write(spoil)
            await state.written()
            vitals = Vitals(Events(), state)
            vitals.load(["a/m"], MONDAY)
            fill(vitals, MONDAY, 10)
            await vitals.share(MONDAY)
            assert vitals.known["a/m"].window("1h", MONDAY).served == 10

    asyncio.run(main())
