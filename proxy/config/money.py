"""Checked values -> budgets and what callers' keys may do; and what must hold between them and the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from proxy.config.check import OUTSIDE, Found
from proxy.config.problem import Mark, Problem, nearest, one_of, shown
from proxy.core.money.budget import Budget, OnExceeded, Per, Scope, Terms, parts

Plain = Mapping[str, Any]


def budgets_of(plain: Plain) -> tuple[Budget, ...]:
    """What stands at `budgets:` of a key, a route or a backend."""
    return tuple(_budget(one) for one in plain.get("budgets", ()))


def _budget(given: Budget | Plain) -> Budget:
    if isinstance(given, Budget):
        return given
    return Budget(parts(given["amount"]), Per(given["per"]), OnExceeded(given.get("on_exceeded", "refuse")))


def terms_of(plain: Plain) -> Terms:
    """All of a configuration but those of keys."""
    top = plain.get("budgets", {})
    found: dict[tuple[Scope, str], tuple[Budget, ...]] = {}
    if "all" in top:
        found[Scope.ALL, ""] = tuple(map(_budget, top["all"]))
    for scope, named in ((Scope.ROUTE, plain["routes"]), (Scope.BACKEND, plain["backends"])):
        for name, given in named.items():
            if "budgets" in given:
                found[scope, name] = budgets_of(given)
    for tag, given in top.get("tags", {}).items():
        found[Scope.TAG, tag] = tuple(map(_budget, given))
    return Terms(MappingProxyType(found), top.get("unbounded", "ask") == "ask")


def problems(top: Found) -> Iterator[Problem]:
    """Budgets without a ledger, keys for routes that are not there, two budgets for the same time."""
    ledger = top.value.get("ledger")
    if ledger is not None and ledger.value is False:
        first = next(iter(_places(top)), None)
        if first is not None:
            yield Problem(first[0], first[1], "what was spent is read from the ledger: needs one (`ledger: {path: …}`)")
    for found, path in _lists(top):
        yield from _twice(found, path)
    yield from _routes(top)


def _lists(top: Found) -> Iterator[tuple[Found, str]]:
    """Every list of budgets, and where it stands."""
    own = top.get("budgets")
    if own is not None:
        every = own.get("all")
        if every is not None:
            yield every, "budgets.all"
        tags = own.get("tags")
        for tag, given in (tags.value if tags else {}).items():
            if given is not None:
                yield given, f"budgets.tags.{tag}"
    for where in ("routes", "backends"):
        named = top.get(where)
        for name, one in (named.value if named else {}).items():
            given = one and one.get("budgets")
            if given is not None:
                yield given, f"{where}.{name}.budgets"
    keys = top.get("keys")
    for place, key in enumerate(keys.value if keys else ()):
        given = key and key.get("budgets")
        if given is not None:
            yield given, f"keys[{place}].budgets"


def _places(top: Found) -> Iterator[tuple[Mark, str]]:
    for found, path in _lists(top):
        yield found.mark, path


def _twice(found: Found, path: str) -> Iterator[Problem]:
    seen: dict[Per, int] = {}
    for place, one in enumerate(found.value):
        if one is None or (isinstance(one.value, dict) and (one.get("per") is None)):
            continue
        per = one.value.per if isinstance(one.value, Budget) else Per(one.value["per"].value)
        if seen.setdefault(per, place) != place:
            yield Problem(one.mark, f"{path}[{place}]", f"the second budget for the same time ({per.value})")


def _routes(top: Found) -> Iterator[Problem]:
    routes, direct, keys = top.get("routes"), top.get("direct"), top.get("keys")
    if routes is None:
        return
    for place, key in enumerate(keys.value if keys else ()):
        named = key and key.get("routes")
        for i, name in enumerate(named.value if named else ()):
            if name is None or name.value in routes.value or (direct and direct.value and "/" in name.value):
                continue
            known = f", expected {one_of(routes.value)}"
            what = OUTSIDE if name.outside else f"{shown(name.value)}{known}{nearest(name.value, routes.value)}"
            yield Problem(name.mark, f"keys[{place}].routes[{i}]", f"unknown route {what}")
