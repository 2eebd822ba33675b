"""Checked values -> screens and evaluations; and what must hold within them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from proxy.config.check import OUTSIDE, Found
from proxy.config.problem import Problem, nearest, one_of, shown
from proxy.core.quality.policy import Feedback, Quality
from proxy.core.screen.rule import DELAY, HOLD, WAIT, Rule

if TYPE_CHECKING:
    from proxy.core.screen.policy import Screen

Plain = Mapping[str, Any]
_FINDS = ("terms", "patterns", "moderation", "when")


class _Known(NamedTuple):
    """What rules may name."""

    routes: tuple[str, ...]
    backends: tuple[str, ...]


def attending_of(plain: Plain, top: Plain) -> dict[str, Any]:
    """What a route looks at, as arguments of `Route`. Nothing is loaded for one that looks at nothing."""
    said: dict[str, Any] = {}
    if "quality" in plain:
        given = dict(plain["quality"])
        if "retry_low_quality" in given:
            given["retry"] = given.pop("retry_low_quality")
        said["quality"] = Quality(**given)
    own = plain.get("screen", {})
    if own is not False and (own or "screen" in top):
        said["screen"] = screen_of(own, top.get("screen", {}))
    return said


def screen_of(own: Plain, above: Plain) -> Screen:
    """The rules of the top, then a route's own."""
    from proxy.core.screen.policy import Screen

    asked, answered = (
        tuple(_rule(rule) for said in (above, own) for rule in said.get(side, ())) for side in ("input", "output")
    )
    numbers = {**above, **own}
    hold, delay, wait = numbers.get("hold", HOLD), numbers.get("delay", DELAY), numbers.get("wait", WAIT)
    return Screen(asked, answered, hold, delay, wait, frozenset(numbers.get("also", ())))


def _rule(plain: Plain) -> Rule:
    given = dict(plain)
    given["category"] = given.get("category", "")
    given["name"] = name_of(plain)
    severe = given.get("severity", "high") == "high" and "resources" not in given
    given.setdefault("action", "refuse" if severe else "flag")
    for name in ("terms", "patterns"):
        given[name] = tuple(given.get(name, ()))
    return Rule(**given)


def feedback_of(plain: Plain) -> Feedback | None:
    """What stands at `feedback:`; `None`: none is taken."""
    given = plain.get("feedback", {})
    return None if given is False else Feedback(**given)


def name_of(plain: Plain) -> str:
    """Of a rule."""
    said = (plain.get(key) for key in ("name", "category", "moderation", "when"))
    return str(next((one for one in said if one), "rule"))


def unsafe(route: Plain, target: Plain) -> str | None:
    """Why the route leaves a target out by the rating of its safety."""
    least, rated = route.get("min_safety", 0), target.get("safety")
    if not least or (rated is not None and rated >= least):
        return None
    return f"safety {rated} < {least}" if rated is not None else f"no safety rating, and {least} is asked for"


def problems(top: Found) -> Iterator[Problem]:
    """Every problem. Parts that are wrong in themselves are passed over."""
    routes, backends = top.get("routes"), top.get("backends")
    names: tuple[str, ...] = tuple(routes.value) if routes else ()
    known = _Known(names, tuple(backends.value) if backends else ())
    above = top.get("screen")
    yield from _screen(above, "screen", known, "")
    own = [route.get("screen") for route in (routes.value if routes else {}).values() if route is not None]
    if above is not None and not any(map(_asks, (above, *own))):
        yield from _idle(above, "screen")
    for name, route in (routes.value if routes else {}).items():
        if route is None:
            continue
        screen = route.get("screen")
        if screen is not None and isinstance(screen.value, dict):
            yield from _screen(screen, f"routes.{name}.screen", known, name)
            if not _asks(screen) and not _asks(above):
                yield from _idle(screen, f"routes.{name}.screen")
        quality = route.get("quality")
        if quality is not None:
            yield from _quality(quality, f"routes.{name}.quality", names)


def _asks(screen: Found | None) -> bool:
    """It may look at what is asked."""
    return screen is not None and isinstance(screen.value, dict) and bool(screen.value.get("input"))


def _idle(screen: Found, path: str) -> Iterator[Problem]:
    also = screen.get("also")
    if also is not None:
        yield Problem(also.mark, f"{path}.also", "is not used: there is no `input`")


def _quality(quality: Found, path: str, names: tuple[str, ...]) -> Iterator[Problem]:
    yield from _route(quality.get("judge"), f"{path}.judge", names)
    for key in ("judge_share", "judge_budget"):
        if key in quality.value and "judge" not in quality.value:
            yield Problem(quality.mark, f"{path}.{key}", "is not used: there is no `judge`")


def _screen(screen: Found | None, path: str, known: _Known, own: str) -> Iterator[Problem]:
    for side in ("input", "output"):
        rules = screen.get(side) if screen is not None else None
        seen: set[str] = set()
        for place, rule in enumerate(rules.value if rules else ()):
            if rule is None:
                continue
            at = f"{path}.{side}[{place}]"
            yield from _of_rule(rule, at, side, known, own)
            name = name_of({key: value.value for key, value in rule.value.items() if value is not None})
            if "when" not in rule.value and name in seen:
                yield Problem(rule.mark, at, f"another rule is called {shown(name)}: give it a `name`")
            seen.add(name)


def _of_rule(rule: Found, at: str, side: str, known: _Known, own: str) -> Iterator[Problem]:
    given = rule.value.keys()
    finds = [name for name in _FINDS if name in given]
    if finds not in (["terms"], ["patterns"], ["terms", "patterns"], ["moderation"], ["when"]):
        yield Problem(rule.mark, at, "expected `terms` or `patterns` or both, or `moderation`, or `when`")
    if "category" not in given and not given & {"moderation", "when"}:
        yield Problem(rule.mark, at, "`category` is missing: What it finds.")
    if "when" in given and not given & {"action", "use", "resources"}:
        yield Problem(rule.mark, at, "says nothing of what follows: `action`, `use` or `resources`")
    if "use" in given and given & {"action", "resources"}:
        yield Problem(rule.mark, at, "expected either `use` or `action` and `resources`")
    action = rule.get("action")
    if "resources" in given and action is not None and action.value == "refuse":
        yield Problem(action.mark, f"{at}.action", "found refuse, expected flag: resources are added to an answer")
    for name in ("above", "unavailable"):
        if name in given and "moderation" not in given:
            yield Problem(rule.mark, f"{at}.{name}", "is not used: there is no `moderation`")
    yield from _named(rule, at, side, known, own)
    yield from _terms(rule, at)
    yield from _patterns(rule, at)


def _named(rule: Found, at: str, side: str, known: _Known, own: str) -> Iterator[Problem]:
    """Routes and targets that it names."""
    use, moderation = rule.get("use"), rule.get("moderation")
    if use is not None and side == "output":
        yield Problem(use.mark, f"{at}.use", "stands only under `input`")
    elif use is not None:
        yield from _route(use, f"{at}.use", known.routes)
        if use.value == own:
            yield Problem(use.mark, f"{at}.use", "is this route itself")
    if moderation is not None and "/" not in moderation.value:
        yield from _route(moderation, f"{at}.moderation", known.routes)
    elif moderation is not None and moderation.value not in known.routes:
        yield from _target(moderation, f"{at}.moderation", known)


def _terms(rule: Found, at: str) -> Iterator[Problem]:
    terms = rule.get("terms")
    if not terms:
        return
    from proxy.core.screen.terms import term_of

    for place, term in enumerate(terms.value):
        if term is not None and term_of(term.value, 0) is None:
            yield Problem(
                term.mark, f"{at}.terms[{place}]", "nothing of it is left to look for: it would never be found"
            )


def _patterns(rule: Found, at: str) -> Iterator[Problem]:
    patterns = rule.get("patterns")
    if not patterns:
        return
    from proxy.core.screen.patterns import compiled

    for place, pattern in enumerate(patterns.value):
        try:
            if pattern is not None and compiled(pattern.value).search("") is not None:
                said = "it would be found in every text, since it matches an empty one"
                yield Problem(pattern.mark, f"{at}.patterns[{place}]", said)
        except ValueError as error:
            said = "no such pattern" if pattern.outside else str(error)
            yield Problem(pattern.mark, f"{at}.patterns[{place}]", said)


def _target(found: Found, path: str, known: _Known) -> Iterator[Problem]:
    backend, _, model = found.value.partition("/")
    if not model or backend not in known.backends:
        what = OUTSIDE if found.outside else shown(found.value)
        said = f"expected a route, {one_of(known.routes)}, or a model of a backend, {one_of(known.backends)}"
        yield Problem(found.mark, path, f"unknown {what}, {said}")


def _route(found: Found | None, path: str, names: tuple[str, ...]) -> Iterator[Problem]:
    if found is not None and found.value not in names:
        what = OUTSIDE if found.outside else shown(found.value)
        hint = "" if found.outside else nearest(found.value, names)
        yield Problem(found.mark, path, f"unknown route {what}, expected {one_of(names)}{hint}")
