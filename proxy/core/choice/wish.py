"""What a caller or a route asks of the targets: the words of `x-wayline-prefer`, `wayline: {…}`, `require:`, `set:`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from proxy.core.ability import CAPABILITIES

ASKABLE = ("order", "weighted", "least_latency", "least_busy", "cheapest", "score", "ucb", "fallback_by_task")
"""Strategies that a request may ask for: `custom` is the operator's."""
PRIORITIES = ("high", "normal", "low")
MOST_TOKENS = 1_000_000_000
"""Of a context: no model takes as many."""
MOST_NAMES, LONGEST = 100, 256
"""Names in one list, characters of one."""
MOST_TAGS, LONGEST_LABEL = 16, 64
"""Tags of one request; characters of a tag and of an agent's name: they are put on record with each attempt."""
_EMPTY: frozenset[str] = frozenset()


class Wish(NamedTuple):
    """What is not said is not asked for."""

    max_cost: Decimal | None = None
    """US dollars that this request may be expected to cost."""
    max_latency: float | None = None
    """Seconds that a target usually takes to its first content, at most."""
    min_speed: float | None = None
    """Tokens a second that a target usually gives, at least."""
    context: int | None = None
    """Tokens that its model takes at least."""
    capabilities: frozenset[str] = _EMPTY
    exclude: frozenset[str] = _EMPTY
    """Targets (`backend/model`), backends or models that are not asked."""
    only: frozenset[str] | None = None
    """No others than these are."""
    free: bool = False
    local_only: bool = False
    strategy: str = ""
    task: str = ""
    priority: str = ""
    agent: str = ""
    tags: frozenset[str] = _EMPTY
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Those of the request that its route's rules look at. (No word of a caller's.)"""

    @property
    def for_targets(self) -> bool:
        """Something of it is about targets where its route says nothing of that: not only whose the request is."""
        return self[:_OF_TARGETS] != NONE[:_OF_TARGETS]

    @property
    def measures(self) -> bool:
        """What is measured of a target decides whether it is met."""
        return self.max_cost is not None or self.max_latency is not None or self.min_speed is not None

    @property
    def bare(self) -> Wish:
        """Without what only rules look at."""
        if not (self.agent or self.tags or self.headers):
            return self
        less = self._replace(agent="", tags=_EMPTY, headers=())
        return NONE if less == NONE else less

    @property
    def empty(self) -> bool:
        """Nothing is asked for."""
        return self == NONE

    def along(self, other: Wish) -> Wish:
        """Both: the stricter of two bounds, and this one's word where there can be only one."""
        if other is NONE:
            return self
        if self is NONE:
            return other
        only = self.only if other.only is None else other.only if self.only is None else self.only & other.only
        return Wish(
            _least(self.max_cost, other.max_cost),
            _least(self.max_latency, other.max_latency),
            _most(self.min_speed, other.min_speed),
            _most(self.context, other.context),
            self.capabilities | other.capabilities,
            self.exclude | other.exclude,
            only,
            self.free or other.free,
            self.local_only or other.local_only,
            self.strategy or other.strategy,
            self.task or other.task,
            self.priority or other.priority,
            self.agent or other.agent,
            self.tags | other.tags,
            self.headers or other.headers,
        )


NONE = Wish()
_OF_TARGETS = Wish._fields.index("task")


def _least(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else min(one, other)


def _most(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else max(one, other)


def with_tags(wish: Wish, tags: Iterable[str]) -> Wish:
    """And these tags: those of the caller's key count with its own."""
    return wish._replace(tags=wish.tags.union(tags)) if tags else wish


class Unclear(ValueError):
    """A wish that is not understood. `param`: the word; the message is for the caller."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


def wish_of(said: object) -> Wish:
    """From a JSON object (or the checked mapping of a configuration). Raises `Unclear`."""
    if not isinstance(said, Mapping):
        raise Unclear("wayline", "'wayline' must be an object.")
    values: dict[str, Any] = {}
    for word, value in said.items():
        reader = _READERS.get(word)
        if reader is None:
            raise Unclear("wayline", f"unknown word {str(word)[:64]!r}, expected one of {', '.join(_READERS)}.")
        if value is None:
            continue
        try:
            values[_FIELDS.get(word, str(word))] = reader.read(value)
        except (ValueError, TypeError, ArithmeticError):
            raise Unclear(word, f"'{word}' must be {reader.expected}.") from None
    return Wish(**values) if values else NONE


def wish_of_header(text: str) -> Wish:
    """From `x-wayline-prefer`: a JSON object, or `word=value` with commas between and `|` between the names of a list;
    a word alone means yes. Raises `Unclear`."""
    if text.lstrip().startswith("{"):
        try:
            return wish_of(json.loads(text))
        except (json.JSONDecodeError, RecursionError):
            raise Unclear("x-wayline-prefer", "'x-wayline-prefer' is not valid JSON.") from None
    said: dict[str, Any] = {}
    for part in text.split(","):
        word, equals, value = (piece.strip() for piece in part.partition("="))
        if word in said and word in _READERS:
            raise Unclear(word, f"'{word}' stands there twice.")
        if word:
            said[word] = _plain(word, value) if equals else True
    return wish_of(said)


def _plain(word: str, value: str) -> object:
    reader = _READERS.get(word)
    if reader is not None and reader.several:
        return [name.strip() for name in value.split("|") if name.strip()]
    return {"true": True, "false": False}.get(value.lower(), value)


class _Reader(NamedTuple):
    read: Callable[[Any], Any]
    expected: str
    several: bool = False


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal) or len(str(value)) > 40:
        raise ValueError
    number = float(value)
    if not math.isfinite(number) or number <= 0:
        raise ValueError
    return number


def _money(value: object) -> Decimal:
    if value in (0, "0"):
        return Decimal(0)
    _number(value)
    return Decimal(str(value))


def _whole(value: object) -> int:
    number = _number(value)
    if number != int(number) or number > MOST_TOKENS:
        raise ValueError
    return int(number)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not value.isprintable():
        raise ValueError
    return value


def label_of(value: object) -> str:
    """A tag, or an agent's name: printable, at most 64 characters. Raises `ValueError`."""
    if len(text := _text(value)) > LONGEST_LABEL:
        raise ValueError
    return text


def _tags(value: object) -> frozenset[str]:
    names = _names(value)
    if len(names) > MOST_TAGS:
        raise ValueError
    return frozenset(label_of(name) for name in names)


def _names(value: object) -> frozenset[str]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple | set | frozenset) or not 0 < len(given) <= MOST_NAMES:
        raise ValueError
    return frozenset(_text(name) for name in given)


def _among(words: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: object) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return read


def _capabilities(value: object) -> frozenset[str]:
    names = _names(value)
    if not names <= set(CAPABILITIES):
        raise ValueError
    return names


LABEL = f"a text of 1 to {LONGEST_LABEL} printable characters"
_LIST = "a list of names (in a header with | between them)"
_READERS: dict[str, _Reader] = {
    "max_cost": _Reader(_money, "US dollars for this request"),
    "max_latency_ms": _Reader(lambda value: _number(value) / 1000, "a positive number of milliseconds"),
    "min_speed": _Reader(_number, "a positive number of tokens a second"),
    "context": _Reader(_whole, "a positive number of tokens, at most 1,000,000,000"),
    "capabilities": _Reader(_capabilities, f"some of {', '.join(CAPABILITIES)}", True),
    "exclude": _Reader(_names, _LIST, True),
    "only": _Reader(_names, _LIST, True),
    "free": _Reader(_flag, "true or false"),
    "local_only": _Reader(_flag, "true or false"),
    "strategy": _Reader(_among(ASKABLE), f"one of {', '.join(ASKABLE)}"),
    "task": _Reader(_text, "a word"),
    "priority": _Reader(_among(PRIORITIES), f"one of {', '.join(PRIORITIES)}"),
    "agent": _Reader(label_of, LABEL),
    "tags": _Reader(
        _tags, f"a list of at most {MOST_TAGS} names (in a header with | between them), each {LABEL}", True
    ),
}
_FIELDS = {"max_latency_ms": "max_latency"}
WORDS = tuple(_READERS)
"""Every word that a wish may hold."""
