"""What an exchange tells of itself for the record, besides how its attempts ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.choose import Choice
from proxy.core.choice.rules import priority_of
from proxy.core.choice.wish import NONE, Wish, with_tags
from proxy.core.failure import Failure, FailureKind
from proxy.core.limiting.values import NORMAL
from proxy.core.outcome import Ended
from proxy.core.plan import Plan
from proxy.core.told import Note, Told
from proxy.engine.account import endpoint_of
from proxy.engine.shelf import asked
from proxy.engine.standing import stands
from proxy.engine.starting import Starting
from proxy.ledger.plans import as_written

_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function
_SERVED = Ended.SERVED  # reading a member off its class costs 0.13 us in Python 3.11
MOST_NOTES = 20
"""Targets that were not asked, of which the record of one request tells."""
_OF_THE_REQUEST = frozenset({FailureKind.UNSUPPORTED, FailureKind.BAD_REQUEST, FailureKind.CONTEXT_LENGTH})
"""Kinds whose messages may hold words of the request."""


class OnRecord(Starting):
    """The part of an `Exchange` that says whose it is, what it met with on its way, and why it went where it went."""

    request_id: str
    started_at: float
    agent = ""
    """As in `Outcome`."""
    tags: tuple[str, ...] = ()
    """As in `Outcome`."""
    _notes: list[Note] | None = None

    @property
    def notes(self) -> list[Note]:
        """What it met with on its way. Whoever keeps limits or budgets adds to it where there is something to tell; the
        request is put on record with it then, whatever else becomes of it."""
        if self._notes is None:
            self._notes = []
        return self._notes

    def _belongs(self, wish: Wish | None, of_key: Iterable[str]) -> None:
        """Note whose it is: what the caller says, and the tags of its key."""
        if wish is None:
            self.tags = tuple(of_key)
        else:
            self.agent = wish.agent
            self.tags = tuple(sorted(wish.tags.union(of_key)))
        if self.tags and self.road.tags:
            self._show_tags()

    def _show_tags(self) -> None:
        """Rules see them all."""
        request = self.request
        if isinstance(request, ChatRequest | EmbedRequest):
            self.request = request._replace(wish=with_tags(request.wish or NONE, self.tags))

    @property
    def priority(self) -> str:
        """In the queue."""
        road, request = self._whole_road or self.road, self.request
        said = "" if request.wish is None else request.wish.priority
        policy = road.route.policy
        if policy is not None and road.ranks and isinstance(request, ChatRequest | EmbedRequest):
            said = priority_of(policy.rules, asked(road, request, self.key), self.engine.choices.hour())
        return said or NORMAL

    def _tell_served(self) -> None:
        """It was served: its attempt tells all of that where it was the first, and nothing was asked or met with."""
        wish, held = self.request.wish, self.held
        if wish is None and self._notes is None and (held is None or not held.queued) and self._state.sends == 1:
            return
        if not self._simple() or (wish is not None and wish.for_targets):
            self._tell(_SERVED, None, 200)

    def _simple(self) -> bool:
        """Its first target was asked, and at once."""
        held = self.held
        return self._state.sends == 1 and self._notes is None and (held is None or not held.queued)

    def _tell(self, ended: Ended, failure: Failure | None, status: int) -> None:
        """It ends now: put on record what its attempts alone do not tell. Before the client sees the end."""
        attempts = self._state.sends - self._unsent
        told = (
            self.request_id,
            self.started_at,
            self.road.route.name,
            endpoint_of(self),  # type: ignore[arg-type]  # every one is an `Exchange`
            self.key,
            self.agent,
            self.tags,
            self.stream,
            ended,
            status,
            None if failure is None else failure.kind,
            time.monotonic() - self.began,
            0.0 if self.held is None else self.held.queued,
            attempts,
            self._planned(),
            self.request.wish,
            () if ended is _SERVED and self._simple() else tuple(self._noted()),
            "" if failure is None or attempts else _said(failure),
        )
        self.engine.ledger.tell(_new(Told, told))

    def _planned(self) -> Choice | Plan | None:
        """With its targets by name, also where they are those of the route in their order."""
        choice = self.choice
        if choice is not None:
            return choice.plan if as_written(choice) else choice
        if self.plan is not None:
            return self.plan
        targets = self._state.targets
        return Plan(targets) if targets else None

    def _noted(self) -> Iterator[Note]:
        """What it met with, and how limits and budgets stand."""
        if self._notes is not None:
            yield from self._notes
        if self.engine.admission is not None:
            backend = "" if self._attempt is None else self._attempt.lane.target.backend
            yield from stands(self, backend, time.monotonic())  # type: ignore[arg-type]  # every one is an `Exchange`

    def _not_sent(self, number: int, failure: Failure) -> None:
        live = next(one for one in self._state.live if one.number == number)
        target = self._state.targets[live.at] if live.way is None else live.way.target
        if len(self.notes) < MOST_NOTES:  # one that waits may look for a place again and again
            self.notes.append(Note("not asked", target.name, _said(failure) or failure.kind.value))
        super()._not_sent(number, failure)


def _said(failure: Failure) -> str:
    return failure.message if failure.ours or failure.kind not in _OF_THE_REQUEST else ""
