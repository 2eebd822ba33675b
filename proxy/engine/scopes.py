"""What limits apply to: all, a caller's key, a route (when a request comes in), a backend and a target (when it goes
out); and what one request holds of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.facts import LENGTHS, UNSEEN, Text, facts_of, output_of, text_of
from proxy.core.failure import Failure, FailureKind
from proxy.core.limiting.fair import Ticket
from proxy.core.limiting.meter import Meter
from proxy.core.limiting.values import Limits, Rate, Room, Rooms, in_words
from proxy.core.limiting.window import Window, window_of
from proxy.core.relay import RelayRequest

if TYPE_CHECKING:
    from proxy.engine.exchange import Exchange

SHORT = 4096
"""Bytes of a body up to which a quarter of them is near enough to its tokens."""
_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function
USUAL = 500.0
"""Tokens of an answer, as long as nothing is known."""
TOLD_FOR = 0.005
"""Seconds for which all that a key's requests are told of its limits is the same: who sends more than some hundred a
second does not need to know each of them."""
_NO_LIMIT = 1 << 62
Opened = Callable[[str, Rate], Window]
"""A new window: of what, for a reader, and of which rate."""
_SAY = LENGTHS | {"n"}
"""Members that say how much an answer may be."""


def alone(_: str, rate: Rate) -> Window:
    """A window of a time that is made up: Unix time is its clock."""
    return window_of(rate)


def on_clock() -> Opened:
    """Windows of this process, by the clock of `time.monotonic`."""
    epoch = time.monotonic() - time.time()
    return lambda _, rate: window_of(rate, epoch)


class Scope:
    """One of them, with its limits and what is taken of them."""

    __slots__ = ("busy", "limit", "limits", "meter", "most", "told", "waiting", "words")

    def __init__(self, words: str, limits: Limits, opened: Opened = alone, *, told: bool = False) -> None:
        """`words`: what it is, for a reader, and by which its windows are known. `told`: the caller gets to know what
        is left."""
        self.told = told
        self.words = words
        self.busy = 0
        """Requests that are let in, where there is a limit of how many at once."""
        self.waiting = 0
        """Requests in the queue because of it: nobody who comes later goes before them."""
        self.meter: Meter | None = None
        self.change(limits, opened)

    def change(self, limits: Limits, opened: Opened) -> None:
        """Others hold. What is counted stays."""
        self.limits = limits
        self.limit = limits.concurrency
        self.most = _NO_LIMIT if self.limit is None else self.limit
        self.meter = meter_of(self.words, limits.rates, opened, self.meter)

    @property
    def full(self) -> bool:
        """As many are let in as may be at once."""
        return self.busy >= self.most

    def wait(self, tokens: float, now: float) -> float:
        """Seconds until its windows let a request through; 0: now."""
        return 0.0 if self.meter is None else self.meter.wait(tokens, now)

    def refusal(self, tokens: float, now: float) -> Failure:
        """Why nobody is let in now, for the caller: which limit, how much, until when."""
        if self.meter is not None:
            short = self.meter.why(tokens, now)
            if short.wait > 0 and short.rate is not None:
                return _over(self.words, short.rate, short.wait, tokens)
        told = f"Limit reached for {self.words}: {self.limit} requests at once."
        if not self.full:
            told = f"Others wait for the limit of {self.words} already."
        return Failure(FailureKind.RATE_LIMITED, told, retry_after=1.0, ours=True)


def _over(words: str, rate: Rate, wait: float, tokens: float) -> Failure:
    if wait == inf:
        told = (
            f"This request may take {tokens:,.0f} tokens, input and longest answer together, and the limit for {words} "
            f"is {rate.words()}: ask for less (max_tokens)."
        )
        return Failure(FailureKind.RATE_LIMITED, told, code="request_too_large", ours=True)
    told = f"Limit reached for {words}: {rate.words()}. There is room again in {in_words(wait)}."
    return Failure(FailureKind.RATE_LIMITED, told, retry_after=wait, ours=True)


def at_limit(name: str, meter: Meter, tokens: float, now: float) -> Failure:
    """Why a target is not asked now."""
    wait, rate, unit = meter.why(tokens, now)
    if rate is not None:
        return _over(name, rate, wait, tokens)
    told = f"{name} says that its limit of {unit} is reached. There is room again in {in_words(wait)}."
    return Failure(FailureKind.RATE_LIMITED, told, retry_after=None if wait == inf else wait, ours=True)


def meter_of(whose: str, rates: Sequence[Rate], opened: Opened = alone, before: Meter | None = None) -> Meter | None:
    """The windows of these limits; those that were there before go on with what is in them."""
    if not rates:
        return None
    if before is not None and before.rates == tuple(rates):
        return before
    return Meter(rates, lambda rate: opened(whose, rate), before)


class Bounds:
    """What holds for the requests of one key on one route, ready to be taken from without a call for each."""

    __slots__ = ("_told", "_windows", "due", "placed", "requests", "room", "room_until", "scopes", "tokens")

    def __init__(self, scopes: Sequence[Scope] = ()) -> None:
        self.scopes = tuple(scopes)
        self.placed = tuple(scope for scope in scopes if scope.limit is not None)
        """Those that count how many are let in."""
        windows = [window for scope in scopes if scope.meter is not None for window in scope.meter.windows]
        self._windows = windows
        self.due = -inf
        """From then on `turn` is due."""
        self.requests = tuple(window for window in windows if not window.of_tokens)
        self.tokens = tuple(window for window in windows if window.of_tokens)
        told = next((scope.meter for scope in scopes if scope.told), None)
        self._told: tuple[Window, ...] = () if told is None else told.windows
        self.room: Rooms | None = None
        """What is left for the caller by the limits of its key, of each unit by the window that has least."""
        self.room_until = -inf if self._told else inf
        """From then on it is to be looked at anew."""

    def turn(self, now: float) -> None:
        """What is too old leaves all windows."""
        for window in self._windows:
            if now >= window.until:
                window.turn(now)
        self.due = min([window.until for window in self._windows], default=inf)

    def look(self, now: float) -> Rooms | None:
        """What is left now; that holds for `TOLD_FOR`."""
        if not self._told:
            return None
        self.room_until = now + TOLD_FOR
        found: dict[str, Room] = {}
        for window in self._told:
            room: Room = _new(Room, window.standing(now))
            if room.unit not in found or room.left < found[room.unit].left:
                found[room.unit] = room
        self.room = Rooms(tuple(found.values()))
        return self.room


UNBOUND = Bounds()


class Held:
    """What one exchange holds of limits, or waits for."""

    # Attributes of the class that stand for "not yet" or "not so", where few requests read them: Python finds what an
    # instance has in a quarter of the time.
    inside = False
    """It was let in."""
    at = 0.0
    """When: its part of all windows was taken then."""
    until = inf
    """It waits no longer than that."""

    def __init__(self, bounds: Bounds = UNBOUND, tokens: float = 0) -> None:
        self.bounds = bounds
        self.tokens = tokens
        """What it may take, by estimate."""
        self.attempts: dict[int, tuple[tuple[Meter, ...], float]] | None = None
        """Of which backends' and targets' limits its attempts took their part, and when."""
        self.spent: float | None = None
        """Tokens that its attempts really took; `None`: nothing of it went to an upstream."""
        self.ticket: Ticket[Exchange] | None = None
        """Its place in the queue, while it waits."""
        self.queued = 0.0
        """Seconds that it has waited."""

    def attempt(self, now: float) -> bool:
        """It is let in if it fits, and takes its part of all its scopes."""
        bounds, tokens = self.bounds, self.tokens
        if now >= bounds.due:
            bounds.turn(now)
        for scope in bounds.placed:
            if scope.busy >= scope.most:
                return False
        for window in bounds.requests:
            if window.used >= window.limit:
                return False
        for window in bounds.tokens:
            if window.used + tokens > window.limit:
                return False
        for scope in bounds.placed:
            scope.busy += 1
        for window in bounds.requests:
            window.used += 1
        for window in bounds.tokens:
            window.used += tokens
        self.inside = True
        self.at = now
        return True

    def claim(self, now: float) -> bool:
        """Its turn has come, and it fits: False where others were quicker. Alone, nobody is."""
        return True

    def enter(self, now: float) -> None:
        """It is let in, whether it fits or not."""
        bounds = self.bounds
        for scope in bounds.placed:
            scope.busy += 1
        for window in bounds.requests:
            window.take(1, now)
        for window in bounds.tokens:
            window.take(self.tokens, now)
        self.inside = True
        self.at = now

    def reserve(self, meters: tuple[Meter, ...], number: int, now: float) -> Meter | None:
        """Attempt `number` takes its part of these, or of none: then the one in which there is no room."""
        for place, meter in enumerate(meters):
            if not meter.attempt(self.tokens, now):
                for other in meters[:place]:
                    other.give_back(now, self.tokens)
                return meter
        if self.attempts is None:
            self.attempts = {}
        self.attempts[number] = meters, now
        return None

    def release(self, number: int) -> None:
        """The attempt is not sent."""
        if self.attempts is not None and number in self.attempts:
            meters, at = self.attempts.pop(number)
            for meter in meters:
                meter.give_back(at, self.tokens)

    def settle(self, number: int, tokens: float) -> None:
        """The attempt has ended, and really took so many of backends' and targets' limits."""
        if self.attempts is not None and number in self.attempts:
            meters, at = self.attempts.pop(number)
            by = tokens - self.tokens
            for meter in meters if by else ():
                meter.settle(at, by)

    def leave(self) -> None:
        """It is over: what was held for it and not used is free again."""
        if not self.inside:
            return
        self.inside = False
        bounds, at = self.bounds, self.at
        for scope in bounds.placed:
            scope.busy -= 1
        spent = self.spent
        if spent is not None:
            by = spent - self.tokens
        else:
            by = -self.tokens
            for window in bounds.requests:
                window.change(at, -1)
        for window in bounds.tokens:
            if at >= window.first:
                window.used += by
            else:
                window.change(at, by)


def takes(exchange: Exchange, usual: float) -> int:
    """What a request may take: `tokens_of` it."""
    request = exchange.request
    length = len(request.raw)
    if 0 < length <= SHORT and type(request) is ChatRequest and _SAY.isdisjoint(request.body):
        return (length + 3) // 4 + int(usual)  # whatever else is in it
    text = exchange.text
    if text is UNSEEN:
        text = exchange.text = text_of(request)
    return tokens_of(request, usual, text)


def tokens_of(request: ChatRequest | EmbedRequest | RelayRequest, usual: float, text: Text | None) -> int:
    """What a request may take, input and answer together: as much as it allows for its answer, else what is usual.
    `text`: as `text_of` sees it."""
    body, raw = request.body, request.raw
    if text is not None:
        given, asked = text
        length = len(raw)
        return ((length + 3) // 4 if 0 < length <= SHORT else given) + (int(usual) if asked is None else asked)
    if 0 < len(raw) <= SHORT:
        given = (len(raw) + 3) // 4
    elif isinstance(request, RelayRequest):
        given = (len(raw) + 3) // 4 if body else 0
    else:
        given = facts_of(body, chat=False).input
    if type(request) is not ChatRequest:
        return given
    if _SAY.isdisjoint(body):
        return given + int(usual)
    asked, several = output_of(body), body.get("n")
    one = int(usual) if asked is None else asked
    return given + one * (several if type(several) is int and several > 1 else 1)
