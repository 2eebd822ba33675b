"""Going on with an answer that was cut: what was sent, how to go on, and what the client is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from proxy.core import ways as ways_
from proxy.core.chat import ChatRequest
from proxy.core.failure import Failure
from proxy.core.health import Health
from proxy.core.outcome import How
from proxy.core.plan import to_go_on
from proxy.core.resume import resume
from proxy.core.seam import Seam, usage_event
from proxy.core.tokens import of_text
from proxy.core.usage import Usage
from proxy.engine.lane import Lane, Road
from proxy.engine.story import Story

if TYPE_CHECKING:
    from proxy.engine.attempt import Attempt

AGAIN = frozenset({How.EXACT, How.REPLAY})
"""Ways that make the whole answer anew: their own count of tokens is the answer's."""


def holds_structure(body: Mapping[str, Any]) -> bool:
    """The caller wants output of a fixed structure, of which a part is worth nothing."""
    wanted = body.get("response_format")
    return isinstance(wanted, dict) and wanted.get("type") != "text"


class Mending:
    """For one stream that is gone on with when it is cut."""

    __slots__ = ("_behind", "_first", "_given", "_request", "_tokens", "_tokens_of", "story")

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._first: Usage | None = None
        """What the attempt used that began the answer."""
        self._given = 0
        """Tokens of the answer that the client has from attempts that were cut."""
        self._tokens: tuple[int, ...] | None = None
        """The ids of the tokens that the client has, where they are known."""
        self._tokens_of = ""
        """The target whose model made them."""
        self._behind = False
        """The attempt under way goes on behind those tokens."""
        self.story = Story()

    def was_cut(self, attempt: Attempt) -> None:
        """This attempt's stream died after content."""
        self._keep(attempt)
        counted = attempt.counted
        if counted is None:
            self._given = of_text(self.story.text)
        elif attempt.how is How.FRESH or attempt.how in AGAIN:
            self._given = counted[1]
        else:
            self._given += counted[1]

    def _keep(self, attempt: Attempt) -> None:
        known = None if attempt.tokens is None else tuple(attempt.tokens)
        if attempt.how in AGAIN:
            if known is not None and len(known) < len(self._tokens or ()):
                return  # it did not come as far as the client is
        elif attempt.how is not How.FRESH:
            before = self._tokens if self._behind else None
            known = None if before is None or known is None else before + known
        self._tokens = known
        self._tokens_of = attempt.lane.target.name

    def account(self, attempt: Attempt, usage: Usage | None) -> None:
        """An attempt's usage: the client pays for what it got once."""
        if self._first is None:
            self._first = usage

    def ways(
        self, road: Road, attempt: Attempt, failure: Failure, health: Mapping[str, Health], now: float
    ) -> tuple[ways_.Way, ...]:
        """How it can be gone on with."""
        targets, ill = to_go_on(road.route, health, now)
        prefills = {name for name, lane in road.lanes.items() if lane.dialect.prefill is not None}
        exacts = {name for name, lane in road.lanes.items() if lane.dialect.repeatable}
        cut = attempt.lane.target
        partial = self.story.partial()
        return ways_.ways(road.route, targets, cut, failure.kind, self._request.body, partial, prefills, exacts, ill)

    def resume(self, how: How, lane: Lane) -> tuple[ChatRequest, Seam]:
        """The request for the rest, and the seam."""
        tokens = self._tokens or () if lane.target.name == self._tokens_of and lane.dialect.repeatable else ()
        self._behind = bool(tokens) and how is How.PREFILL
        return resume(self._request, how, self.story.sent(), lane.dialect.prefill, tokens)

    def farewell(self, attempt: Attempt) -> bytes:
        """What stands before the end of an answer that was gone on with: its usage, and a comment that says how."""
        name = attempt.lane.target.name.encode("ascii", "backslashreplace")
        told = b": x-wayline-continued: %b %b\n\n" % (attempt.how.value.encode(), name)
        usage = self._usage(attempt)
        if usage is None or not self._request.wants_usage:
            return told
        return usage_event(self.story.first, usage) + told

    def _usage(self, attempt: Attempt) -> Usage | None:
        first, last = self._first, attempt.usage
        if last is None:
            return None
        if attempt.how in AGAIN:
            return last
        return Usage(last.input if first is None else first.input, self._given + last.output)
