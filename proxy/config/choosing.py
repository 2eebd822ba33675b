"""What must hold within what a route says of choosing: groups that are there, rules that can be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from proxy.config.check import OUTSIDE, Found
from proxy.config.policy import names_in, names_of, policy_of, rule_of
from proxy.config.problem import Problem, nearest, one_of, shown
from proxy.core.choice.fitting import by_name
from proxy.core.choice.flaws import contradiction, flaws
from proxy.core.choice.policy import STRATEGIES
from proxy.core.choice.wish import Wish


def problems(route: Found, path: str) -> Iterator[Problem]:
    """Every problem. Parts that are wrong in themselves are passed over."""
    groups = route.get("groups")
    names = tuple(groups.value) if groups else ()
    wrong = list(_items(route, groups, names, path))
    yield from wrong
    if wrong:
        return
    circle = _circle(groups)
    if circle:
        assert groups is not None
        yield Problem(groups.mark, f"{path}.groups", f"groups in a circle: {' > '.join(circle)}")
        return
    yield from _custom(route, path)
    targets = _targets(route)
    if targets is not None:
        yield from _rules(route, targets, names, path)
        yield from _tasks(route, (*targets, *names), path)
        yield from _empty(route, path)


def _items(route: Found, groups: Found | None, names: tuple[str, ...], path: str) -> Iterator[Problem]:
    """Each item is a target or a group that is there, and a group has no settings."""
    for place, at in _places(route, groups, path):
        targets = place.get("targets")
        for i, item in enumerate(targets.value if targets else ()):
            if item is None or not isinstance(item.value, dict):
                continue
            here = f"{at}.targets[{i}]"
            group = item.get("group")
            if ("group" in item.value) == ("target" in item.value):
                yield Problem(item.mark, here, "expected exactly one of `target` and `group`")
            elif group is not None and group.value not in names:
                yield Problem(group.mark, f"{here}.group", _unknown("group", group, names))
            elif group is not None and item.value.keys() - {"group", "weight"}:
                others = sorted(item.value.keys() - {"group", "weight"})
                yield Problem(item.mark, here, f"a group has no {one_of(others)} here: its targets do")


def _places(route: Found, groups: Found | None, path: str) -> Iterator[tuple[Found, str]]:
    yield route, path
    for name, group in (groups.value if groups else {}).items():
        if group is not None:
            yield group, f"{path}.groups.{name}"


def _circle(groups: Found | None) -> list[str]:
    """Groups of which each stands in the next, and the last in the first."""
    inner = {
        name: [item["group"] for item in group["targets"] if isinstance(item, dict) and "group" in item]
        for name, group in (groups.plain() if groups else {}).items()
        if "targets" in group
    }
    for first in inner:
        found = _way_back(first, inner, [first])
        if found:
            return found
    return []


def _way_back(first: str, inner: dict[str, list[str]], way: list[str]) -> list[str]:
    for name in inner.get(way[-1], ()):
        if name == first:
            return [*way, first]
        if name not in way:
            found = _way_back(first, inner, [*way, name])
            if found:
                return found
    return []


def _targets(route: Found) -> tuple[str, ...] | None:
    """Names of all its targets; `None`: some are wrong."""
    groups = route.get("groups")
    for place in (route, *(groups.value.values() if groups else ())):
        items = place and place.get("targets")
        if not items or any(item is None or not _whole(item) for item in items.value):
            return None
    return tuple(names_of(route.plain()))


def _custom(route: Found, path: str) -> Iterator[Problem]:
    asked = _strategies(route)
    if "custom" in asked and "custom" not in route.value:
        yield Problem(asked["custom"].mark, path, "strategy custom needs `custom`: the function, as module:name")
    if "custom" in route.value and "custom" not in asked:
        yield Problem(route.mark, f"{path}.custom", "is not used: nothing here has `strategy: custom`")


def _strategies(route: Found) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for place, _ in _places(route, route.get("groups"), ""):
        strategy = place.get("strategy")
        if strategy is not None:
            found[strategy.value] = strategy
    rules = route.get("rules")
    for rule in rules.value if rules else ():
        use = rule and rule.get("use")
        if use is not None:
            found.setdefault(use.value, use)
    return found


def _rules(route: Found, targets: tuple[str, ...], groups: tuple[str, ...], path: str) -> Iterator[Problem]:
    found = route.get("rules")
    given = list(found.value) if found else []
    for i, rule in enumerate(given):
        use = rule and rule.get("use")
        known = (*groups, *STRATEGIES, *targets)
        if use is not None and use.value not in known:
            yield Problem(use.mark, f"{path}.rules[{i}].use", _unknown("group, strategy or target", use, known))
    if all(rule is not None and _whole(rule) for rule in given):
        for i, why in flaws([rule_of(rule.plain()) for rule in given]):
            yield Problem(given[i].mark, f"{path}.rules[{i}]", why)


def _whole(found: Found) -> bool:
    """Nothing in it is wrong."""
    if isinstance(found.value, dict):
        return all(value is not None and _whole(value) for value in found.value.values())
    if isinstance(found.value, list):
        return all(value is not None and _whole(value) for value in found.value)
    return True


def _tasks(route: Found, known: Iterable[str], path: str) -> Iterator[Problem]:
    tasks = route.get("tasks")
    for task, names in (tasks.value if tasks else {}).items():
        seen: set[str] = set()
        for i, item in enumerate(names.value if names else ()):
            name = item.get("name") if item is not None and isinstance(item.value, dict) else item
            here = f"{path}.tasks.{task}[{i}]"
            if name is not None and name.value not in known:
                yield Problem(name.mark, here, _unknown("target or group", name, tuple(known)))
            elif name is not None and name.value in seen:
                yield Problem(name.mark, here, f"{shown(name.value)} stands there twice")
            elif name is not None:
                seen.add(name.value)


def _empty(route: Found, path: str) -> Iterator[Problem]:
    """Conditions that leave out, by their names alone, all that could be asked."""
    policy = policy_of(route.plain()) if _whole(route) else None
    if policy is None:
        return
    if not any(_stays(name, policy.require) for name in names_in(policy.top)):
        yield Problem(route.value["require"].mark, f"{path}.require", "leaves out every target of the route")
        return
    for i, rule in enumerate(policy.rules):
        group = policy.groups.get(rule.use, policy.top)
        names = [rule.use] if "/" in rule.use else names_in(group)
        wish = rule.set.along(policy.require)
        if not contradiction(rule) and not any(_stays(name, wish) for name in names):
            at = route.value["rules"].value[i].mark
            yield Problem(at, f"{path}.rules[{i}]", "leaves out every target that it could use")


def _stays(name: str, wish: Wish) -> bool:
    backend, _, model = name.partition("/")
    return by_name({name, backend, model}, wish) is None


def _unknown(what: str, name: Found, known: tuple[str, ...]) -> str:
    if name.outside:
        return f"unknown {what} in {OUTSIDE}, expected {one_of(known)}"
    return f"unknown {what} {shown(name.value)}, expected {one_of(known)}{nearest(name.value, known)}"
