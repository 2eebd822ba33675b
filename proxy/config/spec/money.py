"""Budgets, wherever they stand, and what a caller's key may do."""

from __future__ import annotations

from proxy.config.spec.amounts import Allowance, Moment
from proxy.config.spec.numbers import Dollars
from proxy.config.spec.scalars import Choice, Text
from proxy.config.spec.shapes import Either, Key, ListOf, MapOf, Table
from proxy.core.money.budget import OnExceeded, Per

LABEL = Text("1 to 64 printable characters", r"^[^\u0000-\u001f\u007f]{1,64}$")
BUDGET = Table(
    "a budget",
    (
        Key("amount", Dollars(), "US dollars.", required=True),
        Key("per", Choice(tuple(per.value for per in Per)), "Of UTC; total: in all.", required=True),
        Key(
            "on_exceeded",
            Choice(tuple(then.value for then in OnExceeded)),
            "What happens to a request for which too little is left. refuse: 429; cheaper: it goes to those targets of "
            "its route for which enough is left; local: to those on this machine.",
            OnExceeded.REFUSE.value,
        ),
    ),
)
_BUDGETS = ListOf("budgets", Either(Allowance(), BUDGET), least=1)


def budgets(doc: str) -> Key:
    """Of what it stands at."""
    return Key("budgets", _BUDGETS, doc)


TOP_BUDGETS = Key(
    "budgets",
    Table(
        "budgets",
        (
            Key("all", _BUDGETS, "Of all requests together."),
            Key(
                "tags",
                MapOf("tags", LABEL, _BUDGETS),
                "Of requests with a tag: of their key, or named by the caller.",
            ),
            Key(
                "unbounded",
                Choice(("ask", "allow")),
                "A request under a budget whose cost has no bound within what is left. ask: 400, which asks for "
                "`max_tokens` (or says that the target has no price); allow: a usual answer is reserved for it, and "
                "it may cost more.",
                "ask",
            ),
        ),
    ),
    "What may be spent (docs/keys-and-budgets.md); also at `keys`, routes and backends.",
)
OF_KEYS = (
    Key("routes", ListOf("routes", Text("a route"), least=1), "It may ask for these only; without it, for any."),
    Key("tags", ListOf("tags", LABEL, least=1, distinct=True), "What its requests count under besides."),
    Key("owner", Text("1 to 200 printable characters", r"^[^\u0000-\u001f\u007f]{1,200}$"), "For people."),
    Key("expires", Moment(), "From then on it is not good."),
    budgets("What may be spent with it."),
)
