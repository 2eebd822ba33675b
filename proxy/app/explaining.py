"""What would happen to a request now, without sending it: for `wayline explain` and `POST /admin/explain` (whose body
is read in explain_asked.py)."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from decimal import Decimal
from math import inf
from typing import Any, NamedTuple

import orjson

from proxy.app.custom import function_of
from proxy.app.desk import Desk
from proxy.app.explain_limits import Entrance
from proxy.app.explain_money import Purse
from proxy.config.problem import nearest, one_of
from proxy.config.values import Config
from proxy.core import attempt as machine
from proxy.core.choice.choose import Choice, asked_to_wait, choose, refused, words
from proxy.core.choice.fitting import expected_cost
from proxy.core.choice.measured import FRESH, Measured
from proxy.core.choice.policy import Rule, When
from proxy.core.choice.ranking import Custom, Loaded, Seen
from proxy.core.choice.rules import Asked
from proxy.core.choice.wish import NONE
from proxy.core.failure import Failure, FailureKind
from proxy.core.health import Health
from proxy.core.key import Key
from proxy.core.money.afford import Unsent
from proxy.core.plan import vectors_of
from proxy.core.route import Route, Target
from proxy.engine.engine import Engine
from proxy.engine.shelf import cold_of
from proxy.wire.auth import not_allowed
from proxy.wire.errors import parts_of, status_of

DOWN = Health(opened=1, open_until=inf, cause=FailureKind.REFUSED)
"""Of a target that is taken for being out of order."""


class NoRoute(ValueError):
    """The request cannot be explained. The message is for whoever asked."""


class Known(NamedTuple):
    """What is known at a moment. Seconds are on the engine's clock."""

    seen: Seen
    health: Mapping[str, Health]


class Explained(NamedTuple):
    """What was found out."""

    route: Route
    asked: Asked
    choice: Choice
    told: Failure | None
    """What the caller would be told; `None` where a target is left."""
    known: Known
    unsent: Mapping[str, Unsent]
    """Targets of the plan that it could not be sent to, for want of money, or of room in a limit."""
    waits: Failure | None = None
    """Why it would wait in the queue."""


def unknown(hour: int | None = None) -> Known:
    """Nothing was measured yet, and all are well. `hour`: of the day; `None`: this one."""
    return Known(Seen(hour=time.localtime().tm_hour if hour is None else hour), {})


def as_it_is(engine: Engine, desk: Desk, route: Route, hour: int | None = None, last: str = "") -> Known:
    """What a running server knows. `last`: the target that served the conversation last."""
    choices, gates, name = engine.choices, desk.gates, route.name
    cold: dict[str, str] = {}
    if route.policy is not None and route.policy.warm:
        for road in desk.roads.by_name.values():
            cold.update(cold_of(road))

    def busy(target: str) -> Loaded:
        return gates.of(target)

    seen = Seen(
        now=time.monotonic(),
        measured=choices.measured,
        trials=choices.trials.get(name, {}),
        turns=choices.turns.get(name, {}),
        busy=busy,
        last=last,
        hour=choices.hour() if hour is None else hour,
        closed=choices.closed,
        cold=cold,
    )
    return Known(seen, engine.trouble)


def route_of(config: Config, name: str) -> Route:
    """Raises `NoRoute`."""
    route = config.routes.get(name)
    if route is None:
        hint = nearest(name, config.routes)
        raise NoRoute(f"{config.source} has no route {name}, expected {one_of(config.routes)}{hint}")
    return route


def custom_of(route: Route) -> Custom | None:
    """The function of its strategy. Raises `ValueError`."""
    policy = route.policy
    return function_of(policy.custom) if policy is not None and policy.custom else None


def explained(
    route: Route,
    asked: Asked,
    known: Known,
    custom: Custom | None = None,
    down: tuple[str, ...] = (),
    purse: Purse | None = None,
    entrance: Entrance | None = None,
) -> Explained:
    """The choice that live traffic gets, by the same function. `down`: targets or backends that are taken for being out
    of order. `purse`: what is left of the budgets that hold for it; `entrance`: the limits that do. Nothing changes by
    it, and what is drawn by lot is drawn the same each time."""
    if not asked.facts.chat:
        route = vectors_of(route)
    dead = {target.name: DOWN for target in route.targets if not {target.name, target.backend}.isdisjoint(down)}
    known = known._replace(health={**known.health, **dead})
    choice = choose(route, asked, known.health, known.seen, random.Random(0).random, custom)
    stop = None if entrance is None else entrance.at_the_door()
    if stop is not None and not stop.waits:
        unsent = {target.name: Unsent(stop.failure, "not let in") for target in choice.plan.targets}
        return Explained(route, asked, choice, stop.failure, known, unsent)
    unsent = {}
    if purse is not None:
        unsent = purse.unsent(choice.plan.targets, entrance.shut) if entrance else purse.unsent(choice.plan.targets)
    told, waits = _told(route, choice, unsent, known.seen.now), None if stop is None else stop.failure
    if told is not None and entrance is not None and entrance.for_a_place(told):
        told, waits = None, told
    return Explained(route, asked, choice, told, known, unsent, waits)


def _told(route: Route, choice: Choice, unsent: Mapping[str, Unsent], now: float) -> Failure | None:
    """What the machine makes of it where no target can be sent to."""
    targets = choice.plan.targets
    if not targets:
        return refused(route, choice, now)
    if any(target.name not in unsent for target in targets):
        return None
    state = machine.State(route, targets, failures=asked_to_wait(choice, now))
    state, commands = machine.step(state, machine.Begin())
    while isinstance(commands[0], machine.Send):
        number, target, _ = commands[0]
        state, commands = machine.step(state, machine.Full(number, unsent[target.name].failure))
    last = commands[0]
    assert isinstance(last, machine.Refuse)
    return last.failure._replace(retry_after=last.retry_after)


def plain(found: Explained) -> dict[str, Any]:
    """As JSON says it."""
    route, choice, facts = found.route, found.choice, found.asked.facts
    policy = route.policy
    rule = None if choice.rule is None else choice.rule + 1
    held = policy.rules[rule - 1] if policy is not None and rule is not None else Rule(When())
    behind = {target.name: why for target, why in choice.behind}
    now = found.known.seen.now
    unsent = found.unsent
    out = [{"target": name, "reason": one.reason} for name, one in unsent.items()]
    out += [{"target": one.target.name, "reason": one.reason} for one in choice.left_out]
    ill = [(one.target.name, words(one.standing, one.cause, one.until - now)) for one in choice.plan.skipped]
    ill += route.missing
    return {
        "route": route.name,
        "strategy": choice.strategy,
        "rule": rule,
        "use": held.use or None,
        "priority": held.set.priority or None,
        "request": {
            "input": facts.tokens,
            "output": facts.output,
            "needs": sorted(facts.needs),
            "wish": {
                name: _said(value)
                for name, value in found.asked.wish._asdict().items()
                if value != getattr(NONE, name) and name != "headers"
            },
        },
        "targets": [
            _target(found, target, behind.get(target.name))
            for target in choice.plan.targets
            if target.name not in unsent
        ],
        "left_out": [*out, *({"target": name, "reason": why} for name, why in ill)],
        "anyway": choice.plan.anyway and len(unsent) < len(choice.plan.targets),
        "trouble": choice.trouble or None,
        "waits": None if found.waits is None else parts_of(found.waits)[0],
        "error": None if found.told is None else parts_of(found.told)[0],
        "refusal": None if found.told is None else _refusal(found.told),
    }


def barred(told: dict[str, Any], key: Key, model: str) -> dict[str, Any]:
    """The same, where the caller's key may not ask for that route: then nothing is chosen at all."""
    if key.may(told["route"]):
        return told
    said = not_allowed(key, model)
    error = orjson.loads(said.body)["error"]
    names = [one["target"] for one in (*told["targets"], *told["left_out"])]
    return {
        **told,
        "targets": [],
        "left_out": [{"target": name, "reason": f"not for key '{key.name}'"} for name in names],
        "error": error.pop("message"),
        "refusal": {"status": said.status, **error, "retry_after": None},
    }


def _refusal(failure: Failure) -> dict[str, Any]:
    """As a response to the caller would say it."""
    _, type_, code, param = parts_of(failure)
    status, wait = status_of(failure), failure.retry_after
    waits = wait is not None and status in (429, 503)
    return {
        "status": status,
        "type": type_,
        "code": code,
        "param": param,
        "retry_after": round(wait, 3) if waits and wait is not None else None,
    }


def _target(found: Explained, target: Target, behind: str | None) -> dict[str, Any]:
    measured = found.known.seen.of(target.name)
    cost = expected_cost(target, found.asked.facts, measured)
    told: dict[str, Any] = {
        "target": target.name,
        "cost": None if cost is None else str(_short(cost)),
        "behind": behind,
    }
    if measured is not FRESH:
        told["measured"] = _measured(measured, found.known.seen.busy(target.name).busy)
    return told


def _measured(known: Measured, busy: int) -> dict[str, Any]:
    """Seconds, tokens a second, the share of attempts that served, and that of input that came from a cache."""
    return {
        "first_content": _rounded(known.first),
        "speed": _rounded(known.speed),
        "good": _rounded(known.good),
        "attempts": known.attempts,
        "cached": _rounded(known.cached),
        "in_flight": busy,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _short(cost: Decimal) -> Decimal:
    """Without the zeros at its end, and never in powers of ten."""
    return Decimal(f"{cost:f}".rstrip("0").rstrip(".")) if "." in f"{cost:f}" else cost


def _said(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    return str(value) if isinstance(value, Decimal) else value
