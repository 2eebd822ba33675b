"""The record through a draft, in the order of time."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from datetime import tzinfo
from math import inf
from random import Random

from proxy.config.values import Config
from proxy.core.route import Route
from proxy.simulate.course import Course, Courses
from proxy.simulate.fate import Fates
from proxy.simulate.history import Histories
from proxy.simulate.inject import Supposed
from proxy.simulate.journey import Journey
from proxy.simulate.record import Asking, Record
from proxy.simulate.tally import Tally, recorded
from proxy.simulate.world import Days, World


@dataclass(frozen=True, slots=True)
class Simulated:
    """What came of it. `today` and `draft` are about the same requests."""

    since: float
    """Unix times of the first and the last request that is part of it."""
    until: float
    seed: int
    today: Tally
    draft: Tally
    gone: dict[str, int]
    """Recorded requests of routes that the draft does not have, by route: they are in neither of the two."""
    notes: tuple[str, ...]
    """What had to be guessed, or stands on no record, in sentences."""


def simulate(
    record: Record,
    config: Config,
    supposed: Supposed | None = None,
    *,
    seed: int = 1,
    zone: tzinfo | None = None,
    own: bool = True,
) -> Simulated:
    """The same for the same arguments. `zone`: of times of day; `None`: this machine's. `own`: see `Fates`. Raises
    `ValueError` for a `custom` function that cannot be had, and where something is supposed of no target."""
    supposed = supposed or Supposed()
    courses = Courses(config, supposed)
    going, gone = _sorted_out(record, courses)
    strangers = supposed.strangers(courses.targets)
    if strangers:
        raise ValueError(f"{config.source} has no target or backend {', '.join(dict.fromkeys(strangers))}")
    histories = Histories(record.requests)
    days = Days(zone)
    random = Random(seed)
    fates = Fates(histories, supposed, days.second, random, own=own)
    world = World(config, courses.spots, fates, days, random)
    _run(world, going)
    routes = list({course.route.name: course.route for course, _ in going}.values())
    requests = [one for _, one in going]
    return Simulated(
        requests[0].at if requests else 0.0,
        requests[-1].at if requests else 0.0,
        seed,
        recorded(requests),
        world.tally,
        dict(gone),
        tuple(_notes(config, world, histories, routes, requests, record.tells)),
    )


def _sorted_out(record: Record, courses: Courses) -> tuple[list[tuple[Course, Asking]], Counter[str]]:
    going, gone = [], Counter[str]()
    of_key = {key.name: key.tags for key in courses.config.keys if key.tags}
    for one in record.requests:
        course = courses.of(one)
        if course is None:
            gone[one.route] += 1
        else:
            more = of_key.get(one.key)
            going.append((course, one._replace(tags=one.tags.union(more)) if more else one))
    return going, gone


def _run(world: World, going: list[tuple[Course, Asking]]) -> None:
    heap = world.heap
    for course, one in going:
        while heap and heap[0][0] <= one.at:
            world.now, _, journey, what, number = heapq.heappop(heap)
            journey.happens(what, number)
        world.now = one.at
        Journey(world, course, one).start()
    while heap:
        when, _, journey, what, number = heapq.heappop(heap)
        if when < inf:
            world.now = when
            journey.happens(what, number)


def _notes(
    config: Config, world: World, histories: Histories, routes: list[Route], requests: list[Asking], tells: bool
) -> list[str]:
    """Only what this simulation really touched."""
    used = world.tally.by_target
    notes = [f"{name} is not on record: it was given {why}." for name, why in histories.strange.items() if name in used]
    if world.fates.by_record:
        names = ", ".join(world.fates.by_record)
        notes.append(f"No price is known of {names}: costs as on record, by the token.")
    guessed = sum(one.guessed for one in requests)
    if guessed:
        notes.append(f"Requests without a count of tokens on record: {guessed:,}; taken for usual ones of their route.")
    for route in routes:
        unseen = _unseen(route, tells)
        if unseen:
            notes.append(f"Route {route.name} goes by {' and '.join(unseen)}, which no ledger tells: as if not said.")
    if world.money is not None and requests:
        notes.append("Budgets begin with nothing spent; answers are reserved for as long as they were on record.")
    for name, trouble in world.trouble_told.items():
        notes.append(f"The function of route {name} failed, its order held: {trouble}")
    return notes


def _unseen(route: Route, tells: bool) -> list[str]:
    """Words of a route's policy about what the ledger does not hold."""
    policy = route.policy
    if policy is None:
        return []
    whens = [rule.when for rule in policy.rules]
    found = {
        "conversations (sticky)": policy.sticky,
        "the models that are loaded (warm)": policy.warm,
        "headers": any(when.header for when in whens),
        "the caller's priority": not tells and any(when.priority not in ("", "normal") for when in whens),
        "its task": not tells and (bool(policy.tasks) or any(when.task for when in whens)),
        "what requests need (has)": any(when.has for when in whens),
        "the output asked for": any(when.output for when in whens),
    }
    return [words for words, so in found.items() if so]
