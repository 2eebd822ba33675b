"""Callers' keys in the database: only what cannot be used as a key is kept, and a server sees what changes there."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from proxy.core.key import EXPIRED, REPLACED, REVOKED, Key
from proxy.core.limiting.values import REQUESTS, Limits, Rate
from proxy.core.money.budget import OnExceeded, budget_of
from proxy.state import keys
from proxy.state.key_table import REREAD, KeyTable
from proxy.state.schema import open_database
from proxy.state.state import State

NOW = 1_800_000_000.0
FULL = Key(
    "alice",
    frozenset({"chat", "small"}),
    ("night", "team"),
    "Alice Liddell",
    (budget_of("5/day"), budget_of("0.1/request", OnExceeded.CHEAPER)),
    Limits((Rate(REQUESTS, 60, 60.0),), 4),
)


def quiet(level: str, name: str, /, **fields: object) -> None:
    raise AssertionError(f"{level} {name} {fields}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(path, busy=1.0)) as found:
        yield found


def with_state(path: Path, story: Callable[[State], Awaitable[None]]) -> None:
    async def main() -> None:
        state = State(path, quiet)
        try:
            await story(state)
        finally:
            await state.close()

    asyncio.run(main())


def test_a_key_is_told_once_and_kept_as_a_digest_and_a_few_characters(db: sqlite3.Connection, path: Path) -> None:
    secret = keys.add(db, FULL, None, NOW)
    assert secret.startswith("wl-") and len(secret) == 43
    (row,) = keys.rows(db)
    assert row.key == FULL
    assert secret.startswith(row.prefix) and len(row.prefix) == 9
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert secret[9:].encode() not in path.read_bytes()


def test_no_two_keys_are_the_same(db: sqlite3.Connection) -> None:
    assert len({keys.add(db, Key(f"k{place}"), None, NOW) for place in range(200)}) == 200


def test_a_name_is_good_for_one_key_at_a_time(db: sqlite3.Connection) -> None:
    keys.add(db, Key("alice"), None, NOW)
    with pytest.raises(keys.Unable, match="There is a key 'alice'"):
        keys.add(db, Key("alice"), None, NOW)
    keys.revoke(db, "alice", NOW)
    keys.add(db, Key("alice"), None, NOW)
    assert [row.why for row in keys.rows(db, "alice")] == [REVOKED, ""]


def test_a_key_that_is_changed_for_another_is_good_for_the_overlap(db: sqlite3.Connection, path: Path) -> None:
    first = keys.add(db, FULL, NOW + 1000, NOW)
    second = keys.rotate(db, "alice", 60, NOW)
    old, new = keys.rows(db)
    assert (old.until, old.why) == (NOW + 60, REPLACED)
    assert (new.until, new.why, new.key) == (NOW + 1000, EXPIRED, FULL)

    async def story(state: State) -> None:
        table = KeyTable(state)
        assert [table.by_digest[keys.digest(one)].until for one in (first, second)] == [NOW + 60, NOW + 1000]

    with_state(path, story)


@pytest.mark.parametrize("act", [lambda db: keys.rotate(db, "bob", 0, NOW), lambda db: keys.revoke(db, "bob", NOW)])
def test_what_is_not_there_cannot_be_changed(
    db: sqlite3.Connection, act: Callable[[sqlite3.Connection], object]
) -> None:
    keys.add(db, Key("alice"), None, NOW)
    with pytest.raises(keys.Unable, match=r"no key 'bob' that is good\. There are: alice"):
        act(db)


def test_a_server_sees_what_another_process_changes(db: sqlite3.Connection, path: Path) -> None:
    async def story(state: State) -> None:
        told: list[str] = []
        table = KeyTable(state)
        table.on_change = told.extend
        first = keys.digest(keys.add(db, FULL, None, NOW))
        table.refresh()
        assert table.by_digest[first].key == FULL and table.by_name["alice"] == FULL
        keys.revoke(db, "alice", NOW)
        table.refresh()
        assert table.by_digest[first][1:] == (NOW, REVOKED)
        assert told == ["alice"], "nothing of what it may do has changed by the second"

    with_state(path, story)


def test_a_key_that_is_not_known_is_looked_for_at_once_but_guessing_does_not_keep_the_database_busy(
    db: sqlite3.Connection, path: Path
) -> None:
    async def story(state: State) -> None:
        now = [100.0]
        table = KeyTable(state, lambda: now[0])
        looks: list[object] = []
        read = state.read
        state.read = lambda *given: looks.append(given) or read(*given)  # type: ignore[func-returns-value,method-assign]
        secret = keys.digest(keys.add(db, FULL, None, NOW))
        assert table.find(secret) is not None
        for guess in range(100):
            assert table.find(keys.digest(f"guess {guess}")) is None
        assert len(looks) == 1
        now[0] += REREAD
        assert table.find(keys.digest("guess")) is None
        assert len(looks) == 2
        assert table.find(secret) is not None
        assert len(looks) == 2

    with_state(path, story)


def test_when_a_key_was_seen_is_put_on_record_once_for_all_its_requests(db: sqlite3.Connection, path: Path) -> None:
    async def story(state: State) -> None:
        table = KeyTable(state)
        secret = keys.digest(keys.add(db, FULL, None, NOW))
        for _ in range(50):
            assert table.find(secret) is not None
        changes = db.total_changes
        table.note_use(NOW + 5)
        table.note_use(NOW + 9)
        await state.written()
        assert db.total_changes == changes
        assert [row.used for row in keys.rows(db)] == [NOW + 5]
        table.refresh()

    with_state(path, story)


def test_ten_thousand_keys_are_read_as_their_changes_are(db: sqlite3.Connection, path: Path) -> None:
    db.execute("BEGIN")
    for place in range(10_000):
        keys._made(db, Key(f"k{place}", frozenset({"chat"})), None, NOW)
    db.execute("COMMIT")

    async def story(state: State) -> None:
        table = KeyTable(state)
        assert len(table.by_digest) == len(table.by_name) == 10_000
        seen: list[int] = []
        read = state.read

        def counted(query: str, *values: object) -> list[tuple[object, ...]]:
            found = read(query, *values)
            assert found is not None
            seen.append(len(found))
            return found

        state.read = counted  # type: ignore[method-assign]
        table.refresh()
        keys.revoke(db, "k77", NOW)
        table.refresh()
        assert seen == [0, 1], "only what is new is read"

    with_state(path, story)


def test_a_key_whose_terms_are_not_understood_is_not_good(db: sqlite3.Connection, path: Path) -> None:
    good, newer = (keys.digest(keys.add(db, Key(name), None, NOW)) for name in ("alice", "bob"))
    db.execute("UPDATE keys SET terms = ? WHERE name = 'bob'", ('{"budgets": [["1", "week", "refuse"]]}',))

    async def story(state: State) -> None:
        table = KeyTable(state)
        assert table.find(good) is not None
        assert table.find(newer) is None
        assert table.some

    with_state(path, story)


def test_keys_that_cannot_be_read_let_nobody_in(db: sqlite3.Connection, path: Path) -> None:
    """A database that is damaged is not one without keys."""
    said: list[str] = []

    def say(level: str, name: str, /, **fields: object) -> None:
        said.append(name)

    async def main() -> None:
        state = State(path, say)
        db.execute("ALTER TABLE keys RENAME TO hidden")
        table = KeyTable(state)
        unknown = table.some
        assert unknown and "state.unreadable" in said
        db.execute("ALTER TABLE hidden RENAME TO keys")
        table.refresh()
        unknown = table.some
        assert not unknown, "it can be read now, and there are none"
        good = keys.digest(keys.add(db, FULL, None, NOW))
        table.refresh()
        db.execute("ALTER TABLE keys RENAME TO hidden")
        table.refresh()
        assert table.some and table.find(good) is not None, "what is known stays known"
        await state.close()

    asyncio.run(main())


def test_another_file_in_its_place_is_the_one_that_counts(db: sqlite3.Connection, path: Path, tmp_path: Path) -> None:
    said: list[str] = []

    def say(level: str, name: str, /, **fields: object) -> None:
        said.append(name)

    def move(source: Path, to: Path) -> None:
        for end in ("", "-wal", "-shm"):
            if (there := source.with_name(source.name + end)).exists():
                there.rename(to.with_name(to.name + end))

    lost, kept = (keys.digest(keys.add(db, Key(name), None, NOW)) for name in ("lost", "kept"))
    with closing(sqlite3.connect(tmp_path / "backup.db")) as backup:
        db.backup(backup)
        backup.execute("DELETE FROM keys WHERE name = 'lost'")
        backup.commit()

    async def main() -> None:
        state = State(path, say)
        table = KeyTable(state)
        assert table.find(lost) is not None and table.find(kept) is not None
        move(path, tmp_path / "away.db")
        table.refresh()
        table.refresh()
        assert said == ["state.gone"], "it is said once"
        assert table.find(kept) is not None and table.some
        move(tmp_path / "backup.db", path)
        table.refresh()
        assert said == ["state.gone", "state.replaced"]
        assert table.find(lost) is None and table.find(kept) is not None
        with closing(open_database(path, busy=1.0)) as fresh:
            added = keys.digest(keys.add(fresh, Key("added"), None, NOW))
        table.refresh()
        assert table.find(added) is not None
        state.keep("speed", {"a": b"1"})
        await state.written()
        assert state.learnt("speed") == {"a": b"1"}, "it is written there too"
        await state.close()

    asyncio.run(main())
