"""What a route screens, as the configuration says it, made ready once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from proxy.core.relay import Request
from proxy.core.screen.patterns import Pattern, compiled
from proxy.core.screen.patterns import found as found_by_pattern
from proxy.core.screen.rule import DELAY, HOLD, WAIT, Finding, Rule
from proxy.core.screen.terms import Term, Terms, term_of
from proxy.core.screen.texts import endpoint


class Side:
    """The rules for requests, or those for answers."""

    __slots__ = ("_finders", "_when", "asks", "patterns", "terms")

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Raises `ValueError` for a pattern that is none."""
        rules = tuple(rules)
        self._when = tuple(rule for rule in rules if rule.when)
        self._finders = tuple(rule for rule in rules if not rule.when)
        terms: list[Term] = []
        patterns: list[Pattern] = []
        for place, rule in enumerate(self._finders):
            terms += [term for written in rule.terms if (term := term_of(written, place)) is not None]
            patterns += [Pattern(compiled(one), place) for one in rule.patterns]
        self.terms = Terms(terms)
        self.patterns = tuple(patterns)
        self.asks = tuple(rule for rule in self._finders if rule.moderation)
        """Those that ask a moderation."""

    def __bool__(self) -> bool:
        return bool(self._finders)

    @property
    def looks(self) -> bool:
        """It can find something without asking anybody."""
        return bool(self.terms.terms or self.patterns)

    def found(self, texts: Iterable[str]) -> tuple[Finding, ...]:
        """What stands in these texts, in the order of the rules."""
        places: set[int] = set()
        for text in texts:
            places |= self.terms.found(text)
            if self.patterns:
                places |= found_by_pattern(self.patterns, text)
        return self.findings(places)

    def findings(self, places: Iterable[int]) -> tuple[Finding, ...]:
        """Of rules by their places."""
        rules = (self._finders[place] for place in sorted(places))
        return tuple(self.finding(rule, rule.category) for rule in rules)

    def finding(self, rule: Rule, category: str) -> Finding:
        """What follows where this rule found this category: what a `when` says of it, else the rule itself."""
        said = next((one for one in self._when if _covers(one.when, category)), rule)
        action = "use" if said.use else said.action
        return Finding(rule.name, category, rule.severity, action, said.use, said.resources)


def _covers(when: str, category: str) -> bool:
    return category == when or category.startswith(f"{when}/")


@dataclass(frozen=True, slots=True)
class Screen:
    """Of one route. Raises `ValueError` for a pattern that is none."""

    input: tuple[Rule, ...] = ()
    output: tuple[Rule, ...] = ()
    hold: int = HOLD
    """Characters at the end of a stream that are held back for `patterns`: the longest that they find for certain."""
    delay: float = DELAY
    """Seconds that anything is held back for terms and patterns, at most."""
    wait: float = WAIT
    """Seconds that a moderation may take."""
    also: frozenset[str] = frozenset()
    """Endpoints besides chats of which `input` looks at what is asked: of `rule.ALSO`."""
    asked: Side = field(init=False, compare=False, repr=False)
    answered: Side = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked", Side(self.input))
        object.__setattr__(self, "answered", Side(self.output))

    def looks_at(self, request: Request) -> bool:
        """What is asked in such a request, which is no chat, is looked at."""
        return endpoint(request) in self.also
