"""What limits apply to: all, a caller's key, a route (when a request comes in), a backend and a target (when it goes
out); and what one request holds of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.facts import facts_of, output_of
from proxy.core.failure import Failure, FailureKind
from proxy.core.limiting.fair import Ticket
from proxy.core.limiting.meter import Meter, Taken
from proxy.core.limiting.values import Limits, Rate, in_words
from proxy.core.relay import RelayRequest
from proxy.engine.caller import Room

if TYPE_CHECKING:
    from proxy.engine.exchange import Exchange

SHORT = 4096
"""Bytes of a body up to which a quarter of them is near enough to its tokens."""
_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function
USUAL = 500.0
"""Tokens of an answer, as long as nothing is known."""


class Scope:
    """One of them, with its limits and what is taken of them."""

    __slots__ = ("busy", "limit", "limits", "meter", "told", "waiting", "words")

    def __init__(self, words: str, limits: Limits, epoch: float, *, told: bool = False) -> None:
        """`words`: what it is, for a reader. `told`: the caller gets to know what is left."""
        self.told = told
        self.words = words
        self.busy = 0
        """Requests that are let in."""
        self.waiting = 0
        """Requests in the queue because of it: nobody who comes later goes before them."""
        self.meter: Meter | None = None
        self.change(limits, epoch)

    def change(self, limits: Limits, epoch: float) -> None:
        """Others hold. What is counted stays."""
        self.limits = limits
        self.limit = limits.concurrency
        self.meter = meter_of(limits.rates, epoch, self.meter)

    @property
    def full(self) -> bool:
        """As many are let in as may be at once."""
        return self.limit is not None and self.busy >= self.limit

    def wait(self, tokens: float, now: float) -> float:
        """Seconds until its windows let a request through; 0: now."""
        return 0.0 if self.meter is None else self.meter.wait(tokens, now)

    def room(self, now: float) -> tuple[Room, ...]:
        """What is left for the caller whose key it is, of each unit by the window that has least."""
        meter = self.meter
        if meter is None:
            return ()
        if len(meter.windows) == 1:
            return (_new(Room, meter.windows[0].standing(now)),)
        found: dict[str, Room] = {}
        for window in meter.windows:
            room: Room = _new(Room, window.standing(now))
            if room.unit not in found or room.left < found[room.unit].left:
                found[room.unit] = room
        return tuple(found.values())

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


def meter_of(rates: Sequence[Rate], epoch: float, before: Meter | None) -> Meter | None:
    """The windows of these limits; those that were there before go on with what is in them."""
    if not rates:
        return None
    if before is not None and before.rates == tuple(rates):
        return before
    return Meter(rates, epoch, before)


class Held:
    """What one exchange holds of limits, or waits for."""

    # Attributes of the class that stand for "not yet" or "not so": an instance sets only what is otherwise.
    inside = False
    """It was let in."""
    taken: tuple[Taken, ...] | list[Taken] = ()
    attempts: dict[int, tuple[Taken, ...]] | None = None
    """What is taken of backends' and targets' limits, by attempt."""
    sent = False
    """Something of it went to an upstream."""
    spent = 0.0
    """Tokens that its attempts really took."""
    ticket: Ticket[Exchange] | None = None
    """Its place in the queue, while it waits."""
    until = inf
    """It waits no longer than that."""
    queued = 0.0
    """Seconds that it has waited."""

    def __init__(self, scopes: tuple[Scope, ...] = (), tokens: float = 0.0) -> None:
        self.scopes = scopes
        self.tokens = tokens
        """What it may take, by estimate."""

    def attempt(self, now: float) -> bool:
        """It is let in if it fits, and takes its part of all its scopes."""
        taken = []
        for scope in self.scopes:
            limit, meter = scope.limit, scope.meter
            fits = not scope.waiting and (limit is None or scope.busy < limit)
            if fits and meter is not None:
                one = meter.attempt(self.tokens, now)
                if one is not None:
                    taken.append(one)
                fits = one is not None
            if not fits:
                for one in taken:
                    one.give_back()
                return False
        self._enter(taken)
        return True

    def enter(self, now: float) -> None:
        """It is let in, whether it fits or not."""
        self._enter([scope.meter.take(self.tokens, now) for scope in self.scopes if scope.meter is not None])

    def _enter(self, taken: list[Taken]) -> None:
        self.inside = True
        self.taken = taken
        for scope in self.scopes:
            scope.busy += 1

    def reserve(self, meters: tuple[Meter, ...], number: int, now: float) -> Meter | None:
        """Attempt `number` takes its part of these, or of none: then the one in which there is no room."""
        taken: tuple[Taken, ...] = ()
        for meter in meters:
            one = meter.attempt(self.tokens, now)
            if one is None:
                for other in taken:
                    other.give_back()
                return meter
            taken = (*taken, one)
        if self.attempts is None:
            self.attempts = {number: taken}
        else:
            self.attempts[number] = taken
        return None

    def release(self, number: int) -> None:
        """The attempt is not sent."""
        if self.attempts is not None:
            for one in self.attempts.pop(number, ()):
                one.give_back()

    def settle(self, number: int, tokens: float) -> None:
        """The attempt has ended, and really took so many."""
        self.sent = True
        self.spent += tokens
        if self.attempts is not None:
            for one in self.attempts.pop(number, ()):
                one.settle(tokens)

    def room(self, now: float) -> tuple[Room, ...]:
        """What is left for the caller, by the limits of its key."""
        for scope in self.scopes:
            if scope.told:
                return scope.room(now)
        return ()

    def leave(self) -> None:
        """It is over: what was held for it and not used is free again."""
        if self.inside:
            self.inside = False
            for scope in self.scopes:
                scope.busy -= 1
        if self.sent:
            if self.spent != self.tokens:
                for one in self.taken:
                    one.settle(self.spent)
        else:
            for one in self.taken:
                one.give_back()
        self.taken = ()


def tokens_of(request: ChatRequest | EmbedRequest | RelayRequest, usual: float) -> float:
    """What a request may take, input and answer together: as much as it allows for its answer, else what is usual."""
    body, raw = request.body, request.raw
    if 0 < len(raw) <= SHORT:
        given = len(raw) / 4.0
    elif isinstance(request, RelayRequest):
        given = 0.0 if not body else len(raw) / 4.0
    else:
        given = float(facts_of(body, chat=False).input)
    if not isinstance(request, ChatRequest):
        return given
    asked = output_of(body)
    return given + (usual if asked is None else asked)


def counts_tokens(scopes: Sequence[Scope]) -> bool:
    """The tokens of a request matter to some of them."""
    return any(scope.meter is not None and scope.meter.counts_tokens for scope in scopes)
