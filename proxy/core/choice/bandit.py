"""`ucb`: the target with the best upper confidence bound on its reward, over a sliding window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, inf, log, sqrt
from typing import NamedTuple

from proxy.core.choice.policy import Ucb

PARTS = 12
"""The window slides in so many steps: memory is constant, however many requests there are."""
LATENCY, COST = 2.0, 0.001
"""Seconds, US dollars that are worth half of what none would be."""


class Trials(NamedTuple):
    """What one target was tried in the window."""

    parts: tuple[tuple[int, int, float], ...] = ()
    """(number of the step, attempts in it, their rewards together), the latest last."""


def rewarded(trials: Trials, reward: float, now: float, window: float) -> Trials:
    """The value after one more attempt. `reward` in [0, 1]."""
    step = floor(now * PARTS / window)
    kept = tuple(part for part in trials.parts if step - PARTS < part[0])
    if kept and kept[-1][0] == step:
        last = kept[-1]
        return Trials((*kept[:-1], (step, last[1] + 1, last[2] + reward)))
    return Trials((*kept, (step, 1, reward)))


def counted(trials: Trials | None, now: float, window: float) -> tuple[int, float]:
    """Attempts in the window, and their rewards together."""
    if trials is None:
        return 0, 0.0
    step = floor(now * PARTS / window)
    inside = [part for part in trials.parts if step - PARTS < part[0]]
    return sum(part[1] for part in inside), sum(part[2] for part in inside)


def dated(trials: Trials, window: float, by: float) -> list[tuple[float, int, float]]:
    """The parts by the seconds at which they began, on a clock that is ahead by so many."""
    return [(step * window / PARTS + by, count, rewards) for step, count, rewards in trials.parts]


def undated(parts: Sequence[tuple[float, int, float]], window: float, by: float) -> Trials:
    """The reverse; the window may be another one."""
    steps: dict[int, tuple[int, float]] = {}
    for began, count, rewards in sorted(parts):
        step = floor((began - by) * PARTS / window + 0.5)
        counts, sums = steps.get(step, (0, 0.0))
        steps[step] = counts + count, sums + rewards
    return Trials(tuple([(step, *known) for step, known in steps.items()]))


def reward(ucb: Ucb, *, served: bool, seconds: float, cost: float | None, quality: float | None = None) -> float:
    """Of one attempt, in [0, 1]: 0 for a failure; else the better the quicker and cheaper, and the better the target's
    answers have been. A cost that nobody knows counts as a half, a quality that nobody knows not at all. Where nothing
    has any weight, an answer is an answer."""
    if not served:
        return 0.0
    cheap = 0.5 if cost is None else COST / (COST + cost)
    parts = ucb.success + ucb.latency * LATENCY / (LATENCY + max(seconds, 0.0)) + ucb.cost * cheap
    total = ucb.success + ucb.latency + ucb.cost
    if quality is not None:
        parts, total = parts + ucb.quality * quality, total + ucb.quality
    return parts / total if total > 0 else 1.0


def by_bound(names: Sequence[str], trials: Mapping[str, Trials], ucb: Ucb, now: float) -> list[str]:
    """The best bound first (UCB1: mean + sqrt(exploration · ln N / n), Auer et al. 2002; N and n in a sliding window,
    Garivier and Moulines 2008). Those with less than `min_trials` come before all others, the least tried first."""
    known = {name: counted(trials.get(name), now, ucb.window) for name in names}
    total = sum(count for count, _ in known.values())

    def bound(name: str) -> float:
        count, rewards = known[name]
        if count < max(ucb.min_trials, 1):
            return inf
        return rewards / count + sqrt(ucb.exploration * log(max(total, 2)) / count)

    places = {name: place for place, name in enumerate(names)}
    return sorted(names, key=lambda name: (-bound(name), known[name][0] if bound(name) == inf else 0, places[name]))
