"""What choices have learnt, kept over restarts. Which conversation went where is not: no provider's cache is as old."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TypeVar

from proxy.core.choice.bandit import Trials, dated, undated
from proxy.core.choice.measured import Measured, moved
from proxy.core.choice.policy import Ucb
from proxy.core.route import Route
from proxy.engine.choices import Choices
from proxy.state.state import State

MEASURED, TRIALS = "choice.measured", "choice.trials"
"""Kinds of what is kept: by target, and by route."""
_UCB = Ucb()
_Value = TypeVar("_Value")


class Learnt:
    """Of one process. Several workers keep it in the same place: the latest word counts, since each has seen much the
    same. Times are kept as Unix time."""

    def __init__(self, choices: Choices, state: State) -> None:
        self._choices = choices
        self._state = state
        self._kept_measured: dict[str, Measured] = {}
        self._kept_trials: dict[str, dict[str, Trials]] = {}

    def load(self, routes: Mapping[str, Route], now: float, wall: float) -> None:
        """Take over what is kept of these routes and their targets. `now` on the engine's clock, `wall` Unix time."""
        choices, by = self._choices, now - wall
        targets = _targets(routes)
        for name, value in self._state.learnt(MEASURED).items():
            measured = _read(value, lambda said: _measured(said, by))
            if measured is not None and name in targets:
                self._kept_measured[name] = choices.measured.setdefault(name, measured)
        for name, value in self._state.learnt(TRIALS).items():
            window = _window(routes.get(name))
            trials = _read(value, lambda said: _trials(said, window, by))  # noqa: B023  # it is called at once
            if trials is not None and name in routes:
                choices.trials.setdefault(name, trials)

    def save(self, routes: Mapping[str, Route], now: float, wall: float) -> None:
        """Keep what has changed since the last time."""
        choices, by = self._choices, wall - now
        measured = {name: known for name in _targets(routes) if (known := choices.measured.get(name)) is not None}
        changed = {name: known for name, known in measured.items() if known is not self._kept_measured.get(name)}
        if changed:
            rows = {name: _bytes([*moved(known, by)]) for name, known in changed.items()}
            self._state.keep(MEASURED, rows)
        gone = self._kept_measured.keys() - measured.keys()
        if gone:
            self._state.forget(MEASURED, gone)
        self._kept_measured = measured
        trials = {name: dict(tried) for name in routes if (tried := choices.trials.get(name))}
        learnt = {name: known for name, known in trials.items() if known != self._kept_trials.get(name)}
        if learnt:
            self._state.keep(
                TRIALS,
                {
                    name: _bytes({target: dated(one, _window(routes[name]), by) for target, one in known.items()})
                    for name, known in learnt.items()
                },
            )
        self._kept_trials = trials


def _targets(routes: Mapping[str, Route]) -> frozenset[str]:
    return frozenset(target.name for route in routes.values() for target in route.targets)


def _window(route: Route | None) -> float:
    return (_UCB if route is None or route.policy is None else route.policy.ucb).window


def _bytes(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _read(value: bytes, made: Callable[[object], _Value]) -> _Value | None:
    """`None`: it was written by another version."""
    try:
        return made(json.loads(value))
    except (ValueError, TypeError):
        return None


def _measured(said: object, by: float) -> Measured:
    if not isinstance(said, list) or len(said) != len(Measured._fields):
        raise ValueError
    known = Measured(*said)
    return moved(known._replace(in_a_row=int(known.in_a_row), attempts=int(known.attempts)), by)


def _trials(said: object, window: float, by: float) -> dict[str, Trials]:
    if not isinstance(said, dict):
        raise TypeError
    return {
        str(target): undated([(float(at), int(count), float(sums)) for at, count, sums in parts], window, -by)
        for target, parts in said.items()
    }
