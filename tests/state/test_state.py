"""What outlives a process."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from proxy.state.schema import StateError
from proxy.state.state import State


def _quiet(level: str, name: str, /, **fields: object) -> None:
    raise AssertionError(f"{level} {name} {fields}")


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    async def first() -> None:
        state = State(tmp_path / "s.db", _quiet)
        state.keep("speed", {"a": b"1", "b": b"2"})
        state.keep("speed", {"a": b"3"})
        state.keep("other", {"a": b"4"})
        state.forget("speed", ["b"])
        await state.close()

    async def second() -> None:
        state = State(tmp_path / "s.db", _quiet)
        assert state.learnt("speed") == {"a": b"3"}
        assert state.learnt("other") == {"a": b"4"}
        await state.close()

    asyncio.run(first())
    asyncio.run(second())


def test_what_is_written_can_be_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        state = State(tmp_path / "s.db", _quiet)
        state.keep("speed", {"a": b"1"})
        await state.written()
        assert state.learnt("speed") == {"a": b"1"}
        await state.close()

    asyncio.run(main())


def test_a_write_that_fails_is_told_and_the_next_one_is_done(tmp_path: Path) -> None:
    said: list[str] = []

    def say(level: str, name: str, /, **fields: object) -> None:
        said.append(name)

    def wrong(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO nowhere VALUES (1)")

    async def main() -> None:
        state = State(tmp_path / "s.db", say)
        state.write(wrong)
        state.keep("speed", {"a": b"1"})
        await state.close()

    asyncio.run(main())
    assert said == ["state.unwritten"]
    with sqlite3.connect(tmp_path / "s.db") as db:
        assert db.execute("SELECT name FROM learnt").fetchall() == [("a",)]
    db.close()


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateError, match="newer Wayline"):
        State(tmp_path / "s.db", _quiet)


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StateError, match=r"s\.db cannot be opened"):
        State(tmp_path / "s.db", _quiet)
