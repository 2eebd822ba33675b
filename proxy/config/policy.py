"""How a route chooses among its targets: checked values -> `Policy`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from proxy.core.choice.policy import Group, Member, Policy, Rule, Ucb, Weights, When
from proxy.core.choice.wish import NONE, Wish, wish_of

Plain = Mapping[str, Any]

KEYS = (
    *("strategy", "groups", "require", "rules", "tasks", "score", "ucb", "custom"),
    *("prefer_other_backend", "exclude_failed", "sticky", "warm"),
)
"""Of a route, any of which makes it choose. Without them it is tried in its order, which costs nothing."""


def policy_of(plain: Plain) -> Policy | None:
    """Of a route; `None` where it says nothing of it. Weights matter to requests that ask for `weighted`."""
    weighs = any(isinstance(item, dict) and "weight" in item for item in plain["targets"])
    if plain.keys().isdisjoint(KEYS) and not weighs:
        return None
    said = plain.get("groups", {})
    groups: dict[str, Group] = {}
    for name in said:
        _group(name, said, groups)
    top = _made("", plain, said, groups)
    inside = frozenset(names_in(top))
    extra = any(name not in inside for name in names_of(plain))
    tasks: Plain = plain.get("tasks", {})
    return Policy(
        top,
        MappingProxyType(groups),
        wish(plain.get("require", {})),
        tuple(rule_of(rule) for rule in plain.get("rules", ())),
        Weights(**plain.get("score", {})),
        Ucb(**plain.get("ucb", {})),
        MappingProxyType({task: tuple(name_in(item) for item in items) for task, items in tasks.items()}),
        plain.get("custom", ""),
        plain.get("prefer_other_backend", False),
        plain.get("exclude_failed"),
        plain.get("sticky", False),
        plain.get("warm") == "only",
        extra,
        MappingProxyType({task: found for task, items in tasks.items() if (found := tuple(_weights(items)))}),
    )


def name_in(item: str | Plain) -> str:
    """Of an item of `tasks`."""
    return item if isinstance(item, str) else item["name"]


def _weights(items: list[Any]) -> Iterator[tuple[str, float]]:
    return ((item["name"], float(item["weight"])) for item in items if not isinstance(item, str) and "weight" in item)


def _group(name: str, said: Plain, made: dict[str, Group]) -> Group:
    if name not in made:
        made[name] = _made(name, said[name], said, made)
    return made[name]


def _made(name: str, plain: Plain, said: Plain, made: dict[str, Group]) -> Group:
    members = []
    for item in plain["targets"]:
        own: Plain = item if isinstance(item, dict) else {"target": item}
        inner = _group(own["group"], said, made) if "group" in own else None
        members.append(Member(own.get("group") or own["target"], float(own.get("weight", 1)), inner))
    return Group(name, tuple(members), plain.get("strategy", "order"))


def names_in(group: Group) -> Iterator[str]:
    """All targets of a group and of those within it."""
    for member in group.members:
        if member.group is None:
            yield member.name
        else:
            yield from names_in(member.group)


def names_of(plain: Plain) -> Iterator[str]:
    """All targets that a route names."""
    return (item["target"] for item in items_of(plain))


def items_of(plain: Plain) -> Iterator[Plain]:
    """The targets of a route as they are written, each as a mapping: those in its order, those of groups where the
    groups stand, and then those of groups that only rules and tasks name. Of one that stands in several places the
    first place says what its settings are."""
    seen: set[str] = set()
    groups: Plain = plain.get("groups", {})
    for place in (plain, *groups.values()):
        for item in _walk(place["targets"], groups, ()):
            if item["target"] not in seen:
                seen.add(item["target"])
                yield item


def _walk(items: list[Any], groups: Plain, inside: tuple[str, ...]) -> Iterator[Plain]:
    for item in items:
        own: Plain = item if isinstance(item, dict) else {"target": item}
        if "group" not in own:
            yield own
        elif own["group"] not in inside:
            yield from _walk(groups[own["group"]]["targets"], groups, (*inside, own["group"]))


def wish(plain: Plain) -> Wish:
    """Of `require` or `set`."""
    return wish_of(plain) if plain else NONE


def rule_of(plain: Plain) -> Rule:
    """One rule."""
    when = dict(plain.get("when", {}))
    when["has"] = frozenset(when.get("has", ()))
    when["header"] = tuple((name.lower(), like) for name, like in when.get("header", {}).items())
    return Rule(When(**when), plain.get("use", ""), wish(plain.get("set", {})))
