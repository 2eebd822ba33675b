"""Callers' keys by the admin API: listed, made, changed for others, ended. A key itself is told once."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NotRequired, TypedDict, TypeVar

from proxy.app.admin_limits import amount_text
from proxy.config.limiting import limits_of
from proxy.config.values import CallerKey, Config
from proxy.core.key import Key, wrong
from proxy.core.money.budget import OnExceeded, budget_of
from proxy.ops.admin_api import Action, Ask, Refused
from proxy.state import keys
from proxy.state.keys import Missing, Row, Unable
from proxy.state.schema import StateError, open_database

if TYPE_CHECKING:
    from proxy.app.process import Process

T = TypeVar("T")
OVERLAP = 3600.0
LONGEST = 30 * 86_400.0
"""Seconds that an old key may be good beside the new one, at most."""
ABOUT = {"name": "The key's."}

UnixTime = Annotated[float | None, "Unix time in seconds; null: never, or not known."]


class BudgetState(TypedDict):
    """What may be spent with it."""

    amount: Annotated[str, "US dollars."]
    per: str
    on_exceeded: str


class KeyState(TypedDict):
    """One key, without itself."""

    name: str
    prefix: Annotated[str | None, "How it begins; null: it stands in the configuration's file."]
    good: bool
    why: Annotated[str, "Why it is not good any more, or will not be: expired, revoked, replaced; empty: it is."]
    until: UnixTime
    made: UnixTime
    used: UnixTime
    routes: Annotated[list[str] | None, "null: any."]
    tags: list[str]
    owner: str
    budgets: list[BudgetState]
    limits: list[str]
    concurrency: int | None


class KeyStates(TypedDict):
    """Those of the file, and those of the database."""

    keys: list[KeyState]


class KeyLimits(TypedDict, total=False):
    """As `limits:` in the configuration."""

    rpm: int
    rph: int
    rpd: int
    tpm: int
    tph: int
    tpd: int
    concurrency: int


class KeyAsk(TypedDict):
    """A new key."""

    name: Annotated[str, "Letters, digits, . _ @ -"]
    routes: NotRequired[Annotated[list[str], "Without it any."]]
    budgets: NotRequired[Annotated[list[str], "Like 5/day or 0.10/request."]]
    on_exceeded: NotRequired[Literal["refuse", "cheaper", "local"]]
    limits: NotRequired[KeyLimits]
    tags: NotRequired[list[str]]
    owner: NotRequired[str]
    expires_in: NotRequired[Annotated[float, "Seconds."]]


class RotateAsk(TypedDict, total=False):
    """For how long both are good."""

    overlap: Annotated[float, "Seconds; an hour without it."]


class KeyMade(TypedDict):
    """A new key: it is shown only now, nothing but its SHA-256 is kept."""

    name: str
    key: str
    until: UnixTime
    replaced_until: Annotated[float | None, "The key before is good until then (Unix time)."]


class KeyEnded(TypedDict):
    """It is refused: by this worker now, by others within 2 seconds."""

    name: str
    revoked: Annotated[int, "Secrets that it had: two, while it was changed."]


class Keys:
    """Over one process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def actions(self) -> list[Action]:
        """For the table."""
        return [
            Action("GET", "/keys", "keys", "Callers' keys, without themselves.", self.listed, KeyStates),
            Action("POST", "/keys", "addKey", "Make one. It is told once.", self.add, KeyMade, takes=KeyAsk),
            Action(
                "DELETE", "/keys/{name}", "revokeKey", "End one of the database.", self.revoke, KeyEnded, about=ABOUT
            ),
            Action(
                "POST",
                "/keys/{name}/rotate",
                "rotateKey",
                "Another secret for one of the database; both are good for some time.",
                self.rotate,
                KeyMade,
                takes=RotateAsk,
                body_optional=True,
                about=ABOUT,
            ),
        ]

    async def listed(self, ask: Ask) -> KeyStates:
        config, now = self._process.runtime.desk.config, time.time()
        found = [] if config.state is None else await self._in_database(keys.rows)
        return {"keys": [*(_of_file(one, now) for one in config.keys), *(_of_row(row, now) for row in found)]}

    async def add(self, ask: Ask) -> KeyMade:
        now, body = time.time(), ask.body
        key = self._wanted(ask)
        seconds = body.get("expires_in")
        if seconds is not None and seconds <= 0:
            raise Refused(400, "'expires_in' must be more than 0.", "invalid_request", param="expires_in")
        until = None if seconds is None else now + seconds
        said = wrong(key, until)
        if said is not None:
            part, message = said
            raise Refused(400, message, "invalid_request", param="expires_in" if part == "expires" else part)
        _check(self._process.runtime.desk.config, key)
        secret = await self._in_database(lambda db: keys.add(db, key, until, now))
        self._changed("added", key.name)
        return {"name": key.name, "key": secret, "until": until, "replaced_until": None}

    async def rotate(self, ask: Ask) -> KeyMade:
        name, now = ask.path["name"], time.time()
        overlap = ask.body.get("overlap", OVERLAP)
        if not 0 <= overlap <= LONGEST:
            raise Refused(400, f"'overlap' must be 0 to {LONGEST:.0f}.", "invalid_request", param="overlap")
        secret = await self._in_database(lambda db: keys.rotate(db, name, overlap, now), name)
        self._changed("rotated", name)
        return {"name": name, "key": secret, "until": None, "replaced_until": now + overlap}

    async def revoke(self, ask: Ask) -> KeyEnded:
        name = ask.path["name"]
        count = await self._in_database(lambda db: keys.revoke(db, name, time.time()), name)
        self._changed("revoked", name)
        return {"name": name, "revoked": count}

    def _wanted(self, ask: Ask) -> Key:
        body = ask.body
        then = OnExceeded(body.get("on_exceeded", "refuse"))
        try:
            budgets = tuple(budget_of(text, then) for text in body.get("budgets", ()))
        except ValueError as error:
            raise Refused(400, str(error), "invalid_request", param="budgets") from None
        if "on_exceeded" in body and not budgets:
            message = "'on_exceeded' says what follows when a budget is spent: there is none."
            raise Refused(400, message, "invalid_request", param="on_exceeded")
        limits = body.get("limits", {})
        routes = frozenset(body["routes"]) if "routes" in body else None
        tags = tuple(sorted(set(body.get("tags", ()))))
        return Key(body["name"], routes, tags, body.get("owner", ""), budgets, limits_of({"limits": limits}))

    def _changed(self, what: str, name: str) -> None:
        process = self._process
        if process.callers.table is not None:
            process.callers.table.refresh()
        process.log.event("warning", f"key.{what}", name=name)
        process.events.tell("key", name=name, state=what)

    async def _in_database(self, act: Callable[[sqlite3.Connection], T], name: str = "") -> T:
        """`name`: of the key that is to be changed."""
        config = self._process.runtime.desk.config
        path = config.state
        if path is None:
            raise Refused(409, "`state: false`: there is nowhere to keep keys.", "no_state")
        try:
            return await asyncio.to_thread(_with, Path(path), act)
        except Missing as error:
            if any(own.name == name for own in config.keys):
                message = f"The key {name!r} stands in the configuration: it can be changed there."
                raise Refused(409, message, "key_unable", param="name") from None
            raise Refused(404, str(error), "key_not_found", param="name") from None
        except Unable as error:
            raise Refused(409, str(error), "key_unable", param="name") from None
        except (StateError, sqlite3.Error) as error:
            raise Refused(503, f"The database cannot be used: {error}.", "state_error", type_="server_error") from None


def _with(path: Path, act: Callable[[sqlite3.Connection], T]) -> T:
    with closing(open_database(path, busy=5.0)) as db:
        return act(db)


def _check(config: Config, key: Key) -> None:
    if any(own.name == key.name for own in config.keys):
        raise Refused(409, f"The configuration has a key {key.name!r} already.", "key_unable", param="name")
    if key.budgets and config.ledger is None:
        message = "`ledger: false`, and what was spent of a budget is read from there."
        raise Refused(409, message, "no_ledger", param="budgets")
    for route in sorted(key.routes or ()):
        if route not in config.routes and not (config.direct and "/" in route):
            raise Refused(400, f"There is no route {route[:100]!r}.", "invalid_request", param="routes")


def _of_file(one: CallerKey, now: float) -> KeyState:
    good = one.expires is None or now < one.expires
    return _state(one.key, None, one.expires, good, "" if one.expires is None else "expired", None, None)


def _of_row(row: Row, now: float) -> KeyState:
    return _state(row.key, row.prefix, row.until, row.good(now), row.why, row.made, row.used)


def _state(
    key: Key,
    prefix: str | None,
    until: float | None,
    good: bool,
    why: str,
    made: float | None,
    used: float | None,
) -> KeyState:
    return {
        "name": key.name,
        "prefix": prefix,
        "good": good,
        "why": why,
        "until": until,
        "made": made,
        "used": used,
        "routes": None if key.routes is None else sorted(key.routes),
        "tags": list(key.tags),
        "owner": key.owner,
        "budgets": [
            {"amount": amount_text(one.amount), "per": one.per.value, "on_exceeded": one.on_exceeded.value}
            for one in key.budgets
        ],
        "limits": [rate.words() for rate in key.limits.rates],
        "concurrency": key.limits.concurrency,
    }
