"""Limits and the queue, wherever they stand."""

from __future__ import annotations

from proxy.config.spec.numbers import Duration, Places, Whole
from proxy.config.spec.scalars import Choice, Off
from proxy.config.spec.shapes import Either, Key, ListOf, Table, Type
from proxy.core.limiting.values import WEIGHTS, Adaptive, Queue

_A = Adaptive()
_Q = Queue()
_AMOUNT = Whole(1, 10**12)
_PLACES = Whole(1, 1_000_000)

KIND = Key(
    "kind",
    Choice(("sliding", "fixed")),
    "sliding: no stretch of that length has more in it. fixed: by the minute, hour or day of UTC, as some providers "
    "count.",
    "sliding",
)
WINDOW = Table(
    "a window",
    (
        Key("requests", _AMOUNT, "So many in each window."),
        Key("tokens", _AMOUNT, "So many, input and output together."),
        Key("per", Duration(), "Its length.", required=True),
        KIND,
    ),
)
RATES = (
    Key("rpm", _AMOUNT, "Requests a minute."),
    Key("rph", _AMOUNT, "Requests an hour."),
    Key("rpd", _AMOUNT, "Requests a day."),
    Key("tpm", _AMOUNT, "Tokens a minute, input and output together."),
    Key("tph", _AMOUNT, "Tokens an hour."),
    Key("tpd", _AMOUNT, "Tokens a day."),
    KIND,
    Key("windows", ListOf("windows", WINDOW, least=1), "Others than these."),
)


SENT = Table("limits", RATES)
ASKED = Table("limits", (*RATES, Key("concurrency", _PLACES, "Requests at once.")))
PLACES = Either(
    Places(),
    Table(
        "adaptive concurrency",
        (
            Key("min", _PLACES, "Never fewer.", _A.min),
            Key("max", _PLACES, "Never more.", _A.max),
            Key("start", _PLACES, "Until something is known.", _A.start),
        ),
    ),
)


def limits(doc: str, *, at_once: bool = True) -> Key:
    """What may pass. `at_once`: how many at the same time is said here too, not beside it."""
    return Key("limits", ASKED if at_once else SENT, doc)


def concurrency(doc: str) -> Key:
    """The places of backends and targets, whose meaning depends on where it stands."""
    more = " `adaptive`, or a table of its bounds: found by how long answers take, and by refusals (docs/limits.md)."
    return Key("concurrency", PLACES, doc + more)


def _class(name: str) -> Key:
    return Key(
        name,
        Table(
            "a priority",
            (
                Key("weight", Whole(1, 1000), "Its share against the others.", int(WEIGHTS[name])),
                Key("size", Whole(1, 100_000), "So many of them may wait; without it as all together."),
                Key("wait", Duration(), "So long each of them waits at most; without it as the others."),
            ),
        ),
        f"Requests of priority {name}.",
    )


_QUEUE = Table(
    "a queue",
    (
        Key("size", Whole(1, 100_000), "So many may wait; more are refused.", _Q.size),
        Key("wait", Duration(), "So long each of them waits at most.", _Q.wait),
        Key(
            "priorities",
            Table("priorities", tuple(_class(name) for name in WEIGHTS)),
            "A request has the priority that a rule says (`set`), else its own (docs/choosing.md), else normal.",
        ),
    ),
)


QUEUE = Either(Off(), _QUEUE)
SHARED: dict[str, Type] = {"rates": SENT, "limits": ASKED, "places": PLACES, "queue": QUEUE}
"""What stands in many places, by a name for each."""


def queue(doc: str) -> Key:
    """Where requests wait."""
    return Key("queue", QUEUE, doc)
