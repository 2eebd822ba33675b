"""Groups within routes, and going to another backend after a failure."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.ability import UNKNOWN, Ability
from proxy.core.choice.measured import Measured
from proxy.core.choice.policy import Group, Member, Policy
from proxy.core.choice.ranking import Load, Seen
from proxy.core.health import Health
from proxy.core.route import Route, Target
from tests.core.choice.choices import asked, chosen, names, route, target

DEAR = (target("a/1", price="30/30"), target("a/2", price="2/2"))
CHEAP = (target("b/1", price="3/3"), target("b/2", price="40/40"))


def grouped(strategy: str, inside: str = "order") -> Route:
    """Two groups, the dear one first; each counts as its first target."""
    groups = {
        name: Group(name, tuple(Member(one.name) for one in some), inside)
        for name, some in (("dear", DEAR), ("cheap", CHEAP))
    }
    top = Group("", tuple(Member(name, group=group) for name, group in groups.items()), strategy)
    return Route("r", (*DEAR, *CHEAP), policy=Policy(top, groups))


def test_first_by_cost_then_by_order() -> None:
    assert names(chosen(grouped("cheapest"))) == ["b/1", "b/2", "a/1", "a/2"]
    assert names(chosen(grouped("order"))) == ["a/1", "a/2", "b/1", "b/2"]


def test_a_group_counts_as_the_first_of_its_own_order() -> None:
    assert names(chosen(grouped("cheapest", "cheapest"))) == ["a/2", "a/1", "b/1", "b/2"]


def test_where_the_first_of_a_group_is_away_its_next_one_stands_for_it() -> None:
    away = {"b/1": Health(opened=1, open_until=1e9)}
    assert names(chosen(grouped("cheapest"), health=away)) == ["a/1", "a/2", "b/2"]


def test_who_is_idle_in_an_inner_group_is_looked_at_with_each_request() -> None:
    which = grouped("order", "least_busy")
    busy = {"a/1": Load(3), "a/2": Load(1), "b/1": Load(0), "b/2": Load(0)}
    assert names(chosen(which, seen=Seen(busy=busy.__getitem__))) == ["a/2", "a/1", "b/1", "b/2"]
    busy["a/1"] = Load(0)
    assert names(chosen(which, seen=Seen(busy=busy.__getitem__)))[0] == "a/1"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=12))
def test_each_next_one_is_the_first_of_another_backend_among_those_that_are_as_good(
    drawn: list[tuple[str, bool]],
) -> None:
    lacks = Ability(lacks=frozenset({"json_schema"}))
    targets = [
        target(f"{backend}/{place}", lacks if worse else UNKNOWN) for place, (backend, worse) in enumerate(drawn)
    ]
    got = names(chosen(route(*targets, prefer_other_backend=True), asked(10, None, "json_schema")))
    rest = (
        [one.name for one in targets if one.ability is UNKNOWN],
        [one.name for one in targets if one.ability is lacks],
    )
    before = ""
    for name in got:
        alike = rest[0] or rest[1]
        assert name == next((other for other in alike if other[0] != before), alike[0])
        alike.remove(name)
        before = name[0]
    assert not rest[0] and not rest[1]


def test_another_backend_never_comes_before_one_that_can_give_all_that_is_asked() -> None:
    one, two = target("a/one"), target("a/two")
    lacks = target("b/lacks", Ability(lacks=frozenset({"json_schema"})))
    which = route(one, lacks, two, target("c/m"), prefer_other_backend=True)
    assert names(chosen(which)) == ["a/one", "b/lacks", "a/two", "c/m"]
    assert names(chosen(which, asked(10, None, "json_schema"))) == ["a/one", "c/m", "a/two", "b/lacks"]


def test_a_target_that_stands_in_several_groups_is_asked_once() -> None:
    a, b = target("a/m"), target("b/m")
    inner = Group("g", (Member("a/m"), Member("b/m")), "cheapest")
    top = Group("", (Member("a/m"), Member("g", group=inner), Member("b/m")))
    assert names(chosen(Route("r", (a, b), policy=Policy(top, {"g": inner})))) == ["a/m", "b/m"]


def test_a_failing_group_comes_last_by_its_first_target() -> None:
    which = grouped("least_latency")
    ill = Seen(measured={"a/1": Measured(first=0.1, in_a_row=1, failed_at=0.0), "b/1": Measured(first=9.0)})
    assert names(chosen(which, seen=ill)) == ["b/1", "b/2", "a/1", "a/2"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
def test_after_each_target_comes_another_backend_where_there_is_one(backends: list[str]) -> None:
    targets = [target(f"{backend}/{place}") for place, backend in enumerate(backends)]
    found = list(chosen(route(*targets, prefer_other_backend=True)).plan.targets)
    assert sorted(one.name for one in found) == sorted(one.name for one in targets)
    assert found[0] is targets[0]
    for place, (one, following) in enumerate(itertools.pairwise(found)):
        if following.backend == one.backend:
            assert {later.backend for later in found[place + 1 :]} == {one.backend}
    for backend in "abc":
        assert _of(found, backend) == _of(targets, backend), "those of one backend stay in their order"


def _of(targets: list[Target], backend: str) -> list[str]:
    return [one.name for one in targets if one.backend == backend]
