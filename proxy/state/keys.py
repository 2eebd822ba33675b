"""Callers' keys in the database: what stands there of each, and how they are made, changed for others, and ended.

A key itself is nowhere: only its SHA-256 is, and a few characters of its beginning by which people recognise it. Every
change gives its rows a number above all before, so that a server reads only what is new to it.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import time
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from proxy.core.key import EXPIRED, REPLACED, REVOKED, Key
from proxy.core.limiting.values import Limits, Rate
from proxy.core.money.budget import Budget, OnExceeded, Per

BEGIN = "wl-"
"""With which keys begin, so that people and scanners know one."""
_SHOWN = len(BEGIN) + 6
_RANDOM = 30
"""Bytes: 240 bits."""


class Row(NamedTuple):
    """One secret, as people may see it."""

    key: Key
    prefix: str
    made: float
    until: float | None
    why: str
    used: float | None

    def good(self, now: float) -> bool:
        """It is taken."""
        return self.until is None or now < self.until


class Unable(Exception):
    """It cannot be done. The message is a sentence for the operator."""


class Missing(Unable):
    """No key of that name is good."""


# Made, changed, listed: by the command line or an operator's page ---------------------------------------------------


def add(db: sqlite3.Connection, key: Key, expires: float | None, now: float) -> str:
    """A new key, told once. Raises `Unable` where one of that name is good, `sqlite3.Error`."""
    with _at_once(db):
        if any(row.good(now) for row in rows(db, key.name)):
            raise Unable(f"There is a key {key.name!r} already: it can be rotated, or revoked and made anew.")
        return _made(db, key, expires, now)


def rotate(db: sqlite3.Connection, name: str, overlap: float, now: float) -> str:
    """Another secret for the same key; the one before is good for `overlap` more seconds. Raises `Missing` where no key
    of that name is good, `sqlite3.Error`."""
    with _at_once(db):
        good = [row for row in rows(db, name) if row.good(now)]
        if not good:
            raise Missing(_missing(db, name))
        newest = max(good, key=lambda row: row.made)
        _end(db, name, now + overlap, REPLACED)
        return _made(db, newest.key, newest.until if newest.why == EXPIRED else None, now)


def revoke(db: sqlite3.Connection, name: str, now: float) -> int:
    """It is not good any more; the number of secrets that it had. Raises `Missing`, `sqlite3.Error`."""
    with _at_once(db):
        count = _end(db, name, now, REVOKED)
        if not count:
            raise Missing(_missing(db, name))
        return count


def rows(db: sqlite3.Connection, name: str | None = None) -> list[Row]:
    """All, or those of one key, by name and age. Raises `sqlite3.Error`."""
    where, values = ("", ()) if name is None else (" WHERE name = ?", (name,))
    found = db.execute(f"SELECT {COLUMNS}, prefix, made, used FROM keys{where} ORDER BY name, made, change", values)
    return [
        Row(key_of(name, terms), prefix, made, until, why, used)
        for _, name, terms, until, why, _, prefix, made, used in found
    ]


@contextlib.contextmanager
def _at_once(db: sqlite3.Connection) -> Iterator[None]:
    """All of it, or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _made(db: sqlite3.Connection, key: Key, expires: float | None, now: float) -> str:
    secret = BEGIN + secrets.token_urlsafe(_RANDOM)
    db.execute(
        "INSERT INTO keys (digest, name, prefix, terms, made, until, why, change) "
        f"VALUES (?, ?, ?, ?, ?, ?, ?, {_NEXT})",
        (digest(secret), key.name, secret[:_SHOWN], terms_of(key), now, expires, EXPIRED if expires else ""),
    )
    return secret


def _end(db: sqlite3.Connection, name: str, until: float, why: str) -> int:
    return db.execute(
        f"UPDATE keys SET until = ?, why = ?, change = {_NEXT} WHERE name = ? AND (until IS NULL OR until > ?)",
        (until, why, name, until),
    ).rowcount


def _missing(db: sqlite3.Connection, name: str) -> str:
    known = sorted({row.key.name for row in rows(db) if row.good(time.time())})
    there = f" There are: {', '.join(known[:10])}{', …' if len(known) > 10 else ''}." if known else ""
    return f"There is no key {name!r} that is good.{there}"


_NEXT = "(SELECT coalesce(max(change), 0) + 1 FROM keys)"
COLUMNS = "digest, name, terms, until, why, change"


def digest(secret: str) -> bytes:
    """By which it is known."""
    return sha256(secret.encode()).digest()


def terms_of(key: Key) -> str:
    """What it may do, as JSON. Amounts of money are texts: they are exact."""
    said: dict[str, Any] = {
        "routes": None if key.routes is None else sorted(key.routes),
        "tags": list(key.tags),
        "owner": key.owner,
        "budgets": [[str(one.amount), one.per.value, one.on_exceeded.value] for one in key.budgets],
        "rates": [list(rate) for rate in key.limits.rates],
        "concurrency": key.limits.concurrency,
    }
    return orjson.dumps({name: value for name, value in said.items() if value not in (None, "", [])}).decode()


def key_of(name: str, terms: str) -> Key:
    """The key of that name that may do this."""
    routes, tags, owner, budgets, limits = _read(terms)
    return Key(name, routes, tags, owner, budgets, limits)


@lru_cache(maxsize=4096)  # most keys may do the same as others
def _read(terms: str) -> tuple[frozenset[str] | None, tuple[str, ...], str, tuple[Budget, ...], Limits]:
    said = orjson.loads(terms)
    budgets = tuple(Budget(int(amount), Per(per), OnExceeded(then)) for amount, per, then in said.get("budgets", ()))
    limits = Limits(tuple(Rate(*rate) for rate in said.get("rates", ())), said.get("concurrency"))
    routes = frozenset(said["routes"]) if "routes" in said else None
    return routes, tuple(said.get("tags", ())), said.get("owner", ""), budgets, limits
