"""What requests of the same shape share for a moment, so that choosing costs each of them little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.core.attempt import Usual, usual
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.choose import Choice, Shortlist, asked_to_wait
from proxy.core.choice.counting import counted
from proxy.core.choice.facts import LENGTHS, Facts, Text, about, facts_of, output_of, rounded
from proxy.core.choice.ranked import Shared
from proxy.core.choice.ranking import Closed
from proxy.core.choice.rules import Asked
from proxy.core.choice.wish import NONE, Wish
from proxy.core.health import Health
from proxy.core.relay import Request
from proxy.engine.lane import Road

FRESH_FOR, USUAL = 0.1, 40
"""Seconds that what was measured is taken for what is, at a route of so many targets; with more of them, which take
longer to look at, longer in proportion. A failure, a first measure, a target that gets into trouble, out of it or to a
limit are known at once."""
MOST_SHAPES = 512
MOST_READY, FEW = 1024, 8
"""Choices that are kept ready; and targets of which the next moment's choice may well have the same order, where lot
decides who comes first."""
ENDLESS = 1 << 38
"""Tokens of an answer: beyond them one is as long as another."""
ABOUT = tuple(about(tokens) for tokens in range(2048))
"""Of most requests, so that it is not worked out for each."""
_NOTHING = Facts(0)
_NO_HEADERS: dict[bytes, bytes] = {}

Order = tuple[object, ...]
Shape = tuple[Facts, Wish | None, int | None, bool]
Plain = int
"""Tokens of input and of the answer, about, of a request that is nothing but a text."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A choice made ready to be gone by."""

    choice: Choice
    road: Road
    """Without the targets that are left out: nothing that follows may go there."""
    usual: Usual | None
    """`None`: there is something to be said of targets that ask for time, or none is left."""


class Shaped:
    """What requests of one shape share."""

    __slots__ = ("_orders", "_ready", "settled", "shortlist")

    def __init__(self, shortlist: Shortlist, orders: dict[Order, Ready]) -> None:
        self.shortlist = shortlist
        self._orders = orders
        self.settled: Ready | None = None
        """What all of them get, where nothing is left to be decided with each."""
        self._ready: dict[int, tuple[Ready, Choice]] = {}
        """By the choice's id; kept with it, so that no other one gets that."""

    def ready(self, choice: Choice, road: Road, request: Request) -> Ready:
        """This one of its choices."""
        known = self._ready.get(id(choice))
        if known is not None:
            return known[0]
        found = self._made(choice, road, request)
        if len(self._ready) >= MOST_READY:
            self._ready.clear()
        self._ready[id(choice)] = found, choice
        if self.shortlist.settled:
            self.settled = found
        return found

    def _made(self, choice: Choice, road: Road, request: Request) -> Ready:
        plan, left_out, behind, strategy, rule = choice[:5]
        by_lot = len(plan.targets) > FEW and not self.shortlist.settled
        if by_lot or left_out or behind or plan.skipped or plan.anyway or choice.turns or choice.trouble:
            return _made(choice, road, request)
        order = (type(request), strategy, rule, *[target.name for target in plan.targets])
        known = self._orders.get(order)
        if known is None:
            if len(self._orders) >= MOST_READY:
                self._orders.clear()
            known = self._orders[order] = _made(choice, road, request)
        return Ready(choice, known.road, known.usual) if known.choice != choice else known


def _made(choice: Choice, road: Road, request: Request) -> Ready:
    vectors = isinstance(request, EmbedRequest)
    route = road.vectors if vectors else road.route
    plan = choice.plan
    if len(plan.targets) + len(plan.skipped) < len(route.targets):
        road = road.among(route, {t.name for t in plan.targets} | {one.target.name for one in plan.skipped})
        route = road.route
    waits = asked_to_wait(choice, 0.0) if plan.skipped or choice.left_out else ()
    way = usual(route, plan.targets) if plan.targets and not waits else None
    return Ready(choice, road, way)


class Shelf:
    """Of one route. It is thrown away when something that it was made from changes."""

    __slots__ = ("clean", "closed", "health", "lessons", "orders", "road", "shapes", "shared", "until")

    def __init__(
        self, road: Road, health: Mapping[str, Health], closed: Mapping[str, Closed], until: float, lessons: int
    ) -> None:
        """`until`: on the engine's clock. `lessons`: rewards after which `ucb` would see things otherwise."""
        self.road = road
        self.health = dict(health)
        self.closed = dict(closed)
        self.until = until
        self.clean = not (health or closed)
        """All are well, and none is at a limit."""
        self.lessons = lessons
        self.orders: dict[Order, Ready] = {}
        """What was made ready of it before, by the targets in their order: it holds for as long as the road does."""
        self.shared = Shared()
        self.shapes: dict[Shape | Plain, Shaped] = {}

    def put(self, shape: Shape | Plain, shaped: Shaped) -> None:
        """For the next of this shape, until a target that is left out is due again."""
        if len(self.shapes) >= MOST_SHAPES:
            self.shapes.clear()
        self.shapes[shape] = shaped
        self.until = min(self.until, shaped.shortlist.until)


def facts_for(road: Road, request: Request, *, plain: bool) -> Facts:
    """Tokens are counted only where that can matter."""
    if not isinstance(request, ChatRequest):
        if not isinstance(request, EmbedRequest):
            return Facts(0, chat=False, model=request.model)
        counted = road.weighs or request.wish is not None or not plain
        return facts_of(request.body, chat=False, model=request.model) if counted else Facts(0, chat=False)
    if road.weighs or not plain or request.wish is not None:
        return facts_of(request.body, chat=True, model=request.model)
    return Facts(0, output_of(request.body)) if road.times else _NOTHING


def asked(road: Road, request: Request, key: str) -> Asked:
    """The request as preflight and rules see it."""
    plain = road.plain(request)
    wish = NONE if request.wish is None else request.wish
    headers = dict(wish.headers) if wish.headers else _NO_HEADERS
    facts = facts_for(road, request, plain=plain)
    if road.edges is not None and isinstance(request, ChatRequest | EmbedRequest):
        facts = counted(road.edges, road.tokenizers, facts, wish, request.body)
    return Asked(facts, wish, key, headers, plain)


def fresh_for(road: Road) -> float:
    """Seconds."""
    return FRESH_FOR * max(1.0, len(road.route.targets) / USUAL)


def cold_of(road: Road) -> dict[str, str]:
    """Its targets that would have to be loaded before they answer, and how they stand."""
    stands = {target.name: road.lanes[target.name].place.state().state for target in road.route.targets}
    return {name: state for name, state in stands.items() if state != "ready"}


def plain_shape(road: Road, request: Request, text: Text | None) -> Plain | None:
    """What most requests have in common with others that get the same shortlist; `None`: this one is not so plain.
    It is asked of each request, and made to be quick. `text`: as `text_of` sees the request, if its tokens matter."""
    if not road.quick or request.wish is not None or type(request) is not ChatRequest:
        return None
    body = request.body
    look = road.look
    if look is not None and (request.native is not None or not look.plain(body, len(request.raw))):
        return None
    if not (road.weighs or road.times):
        return 0
    if road.weighs:
        return None if text is None else shape_of_text(text)
    return shape_of_text((0, None if LENGTHS.isdisjoint(body) else output_of(body)))


def shape_of_text(text: Text) -> Plain:
    """By how long it is, and its answer may be: about."""
    tokens, output = text
    near = (ABOUT[tokens] if tokens < len(ABOUT) else about(tokens)) << 40
    return near if output is None else near | about(output if output < ENDLESS else ENDLESS)


def shape_of(road: Road, asked: Asked, rule: int | None) -> Shape:
    """What it has in common with others that get the same shortlist."""
    facts, wish, _, _, plain = asked
    wish = wish if wish is NONE else wish.bare
    exact = road.exact or not plain or wish.max_cost is not None
    return facts if exact else rounded(facts), None if wish is NONE else wish, rule, plain


def lasts(road: Road, shape: Shape) -> bool:
    """Nothing that is measured has a say in it."""
    return road.lasts and shape[3] and shape[1] is None
