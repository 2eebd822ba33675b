"""Short words for targets, requests and what is seen of them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from proxy.core.ability import UNKNOWN, Ability
from proxy.core.choice.choose import Choice, choose
from proxy.core.choice.facts import Facts
from proxy.core.choice.policy import Group, Member, Policy
from proxy.core.choice.ranking import Custom, Seen
from proxy.core.choice.rules import Asked
from proxy.core.choice.wish import NONE, Wish
from proxy.core.failure import FailureKind
from proxy.core.health import Health
from proxy.core.outcome import Ended, Outcome
from proxy.core.price import Price
from proxy.core.route import Route, Target
from proxy.core.usage import Usage


def target(name: str, ability: Ability = UNKNOWN, price: str = "", **more: Any) -> Target:
    """`price`: dollars per million tokens in and out."""
    backend, _, model = name.partition("/")
    into, slash, out = price.partition("/")
    paid = Price(Decimal(into), Decimal(out)) if slash else None
    return Target(name, backend, model or name, ability=ability, price=paid, **more)


def route(*targets: Target, strategy: str = "order", weights: tuple[float, ...] = (), **more: Any) -> Route:
    """A route whose policy is that strategy over its targets."""
    given = weights or (1.0,) * len(targets)
    members = tuple(Member(one.name, weight) for one, weight in zip(targets, given, strict=True))
    return Route("chat", targets, policy=Policy(Group("", members, strategy), **more))


def asked(
    input: int = 100,  # noqa: A002  # the word of the thing
    output: int | None = None,
    *needs: str,
    wish: Wish = NONE,
    **more: Any,
) -> Asked:
    """A request."""
    return Asked(Facts(input, output, frozenset(needs)), wish, **more)


def chosen(
    which: Route,
    what: Asked | None = None,
    seen: Seen | None = None,
    *,
    health: dict[str, Health] | None = None,
    draw: Callable[[], float] = lambda: 0.0,
    custom: Custom | None = None,
) -> Choice:
    """A decision."""
    return choose(which, what or asked(), health or {}, seen or Seen(), draw, custom)


def names(choice: Choice) -> list[str]:
    """The targets in their order."""
    return [one.name for one in choice.plan.targets]


def outcome(
    ended: Ended = Ended.SERVED,
    *,
    seconds: float = 1.0,
    first: float | None = None,
    failure: FailureKind | None = None,
    tokens: int = 10,
    stream: bool = True,
) -> Outcome:
    """An attempt's end."""
    served = ended is Ended.SERVED
    began = (seconds if first is None else first) if served else None
    usage = Usage(10, tokens) if served else None
    return Outcome(
        *("r", 1, "chat", "a/m", "a", ended, failure, 200, stream, 0.0, 0.0, began, began, seconds),
        *(usage, None, None, False, "", "m"),
    )
