"""Responses that are kept, in SQLite."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.core.memory import Kept
from proxy.store.schema import StoreError
from proxy.store.sqlite import DAY, SqliteStore

SAID: list[tuple[str, str]] = []


def say(level: str, name: str, /, **fields: object) -> None:
    SAID.append((level, name))


@contextlib.contextmanager
def opened(path: Path, *, days: float = 30.0, now: Any = time.time) -> Iterator[SqliteStore]:
    """Closed at the end, with all written and nothing to complain of."""
    SAID.clear()
    store = SqliteStore(path, days, say, now)
    try:
        yield store
    finally:
        asyncio.run(store.close())
    assert SAID == []


def kept(id_: str, previous: str = "", text: str = "Hi", item: str = "") -> Kept:
    output = [{"type": "message", "id": item or f"msg_{id_}", "content": [{"type": "output_text", "text": text}]}]
    return Kept(({"role": "user", "content": f"to {id_}"},), {"id": id_, "output": output}, previous)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responses.db"


def test_what_is_kept_is_there_at_once_and_after_a_restart(path: Path) -> None:
    with opened(path) as store:
        store.keep("ann", kept("resp_1"))
        assert store.find("ann", "resp_1") == kept("resp_1")
    with opened(path) as store:
        assert store.find("ann", "resp_1") == kept("resp_1")
        assert store.find("ann", "resp_2") is None


def test_nobody_sees_what_is_anothers(path: Path) -> None:
    with opened(path) as store:
        store.keep("ann", kept("resp_1"))
        assert store.find("bob", "resp_1") is None
        assert store.chain("bob", "resp_1") is None
        assert store.item("bob", "msg_resp_1") is None
        assert not store.forget("bob", "resp_1")
    with opened(path) as store:
        assert store.find("bob", "resp_1") is None
        assert store.item("bob", "msg_resp_1") is None
        assert store.find("ann", "resp_1") is not None


def test_a_chain_is_all_that_came_before_the_first_one_first(path: Path) -> None:
    with opened(path) as store:
        for n in range(1, 4):
            store.keep("ann", kept(f"resp_{n}", f"resp_{n - 1}" if n > 1 else ""))
        assert [one.response["id"] for one in store.chain("ann", "resp_3") or ()] == ["resp_1", "resp_2", "resp_3"]
    with opened(path) as store:
        assert [one.response["id"] for one in store.chain("ann", "resp_3") or ()] == ["resp_1", "resp_2", "resp_3"]
        assert store.forget("ann", "resp_1")
        assert store.chain("ann", "resp_3") is None


def test_a_chain_that_leads_back_to_itself_has_an_end(path: Path) -> None:
    with opened(path) as store:
        store.keep("ann", kept("resp_1", "resp_2"))
        store.keep("ann", kept("resp_2", "resp_1"))
        assert store.chain("ann", "resp_1") is None


def test_what_is_forgotten_is_gone_at_once_and_for_good(path: Path) -> None:
    with opened(path) as store:
        store.keep("ann", kept("resp_1"))
        assert store.forget("ann", "resp_1")
        assert store.find("ann", "resp_1") is None
        assert store.item("ann", "msg_resp_1") is None
        assert not store.forget("ann", "resp_1")
    with opened(path) as store:
        assert store.find("ann", "resp_1") is None
        assert store.item("ann", "msg_resp_1") is None


def test_items_are_found_by_their_own_id(path: Path) -> None:
    with opened(path) as store:
        store.keep("ann", kept("resp_1", item="msg_a"))
        item = store.item("ann", "msg_a")
        assert item is not None
        assert item["id"] == "msg_a"
    with opened(path) as store:
        assert store.item("ann", "msg_a") == item
        assert store.item("ann", "msg_b") is None


def test_the_same_id_again_replaces_what_was_kept(path: Path) -> None:
    with opened(path) as store:
        store.keep("ann", kept("resp_1", text="old", item="msg_old"))
        store.keep("ann", kept("resp_1", text="new", item="msg_new"))
        assert store.find("ann", "resp_1") == kept("resp_1", text="new", item="msg_new")
    with opened(path) as store:
        assert store.find("ann", "resp_1") == kept("resp_1", text="new", item="msg_new")
        assert store.item("ann", "msg_old") is None


def test_what_was_not_used_for_so_long_is_forgotten_and_what_is_gone_on_from_is_not(path: Path) -> None:
    with opened(path, days=2, now=lambda: 0.0) as store:
        for n in (1, 2):
            store.keep("ann", kept(f"resp_{n}"))
    with opened(path, days=2, now=lambda: 1.5 * DAY) as store:
        store.keep("ann", kept("resp_3", "resp_1"))
    with opened(path, days=2, now=lambda: 3.0 * DAY) as store:
        assert store.find("ann", "resp_2") is None
        assert [one.response["id"] for one in store.chain("ann", "resp_3") or ()] == ["resp_1", "resp_3"]
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT id FROM responses ORDER BY id").fetchall() == [("resp_1",), ("resp_3",)]
        assert database.execute("SELECT count(*) FROM items").fetchone() == (2,)


def test_two_processes_share_one_file(path: Path) -> None:
    with opened(path) as one, opened(path) as other:
        one.keep("ann", kept("resp_1"))
        other.keep("ann", kept("resp_2"))
    with opened(path) as store:
        assert store.find("ann", "resp_1") is not None
        assert store.find("ann", "resp_2") is not None


def test_a_file_of_a_newer_version_or_none_at_all_is_told_to_the_operator(path: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer"):
        SqliteStore(path, 1, say)
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteStore(tmp_path / "nowhere" / "x.db", 1, say)


def test_a_store_that_cannot_be_written_says_so_and_harms_nobody(path: Path) -> None:
    SAID.clear()
    store = SqliteStore(path, 30, say)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE responses")
    store.keep("ann", kept("resp_1"))
    asyncio.run(store.close())
    assert ("error", "store.unwritten") in SAID
