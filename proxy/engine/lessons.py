"""What strategies learn from attempts. In memory, over all configurations; bounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from proxy.core.chat import ChatRequest
from proxy.core.choice.bandit import Trials, reward, rewarded
from proxy.core.choice.facts import plain_facts
from proxy.core.choice.measured import FRESH, Measured, measure
from proxy.core.choice.policy import Ucb
from proxy.core.outcome import Ended, How, Outcome
from proxy.core.relay import Request
from proxy.core.tokens import calibrated, of_text
from proxy.core.usage import Source
from proxy.engine.lane import Lane, Road
from proxy.engine.shelf import Shelf

MOST = 10_000
"""Targets, groups and conversations of which something is remembered."""
WAITING = 64
"""Outcomes that are put aside until somebody wants to know: to count many at once takes a third of the time."""
CALIBRATES_EVERY, MEASURES, USUAL = 0.02, 4, 16
"""Seconds between two looks at how many tokens a target makes of a text, however many requests there are; of how many
of each target's answers that came well since then it is kept how long they took: further ones say nothing new; and the
targets for which that holds: where more than these serve, the time is longer in proportion."""
UCB = Ucb()
_SERVED, _CANCELLED = Ended.SERVED, Ended.CANCELLED  # reading a member off its class costs 0.13 us in Python 3.11
_UNTRIED = Trials()
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Lessons:
    """The part of `Choices` that learns."""

    def __init__(self) -> None:
        self.last: dict[tuple[str, int], str] = {}
        """The target that served a conversation last, by route and conversation, the latest last."""
        self._measured: dict[str, Measured] = {}
        self._trials: dict[str, dict[str, Trials]] = {}
        self._brief: dict[str, Shelf] = {}
        """What requests share of what is measured, by route."""
        self._waiting: list[tuple[Outcome, float, Ucb | None]] = []
        self._steady: dict[str, int] = {}
        """Targets that served last: that one more attempt served is no news of them. With how many more of their
        answers are measured until `_calibrates`."""
        self._calibrates = 0.0

    @property
    def measured(self) -> dict[str, Measured]:
        """By target."""
        if self._waiting:
            self._settle()
        return self._measured

    @property
    def trials(self) -> dict[str, dict[str, Trials]]:
        """By route and target."""
        if self._waiting:
            self._settle()
        return self._trials

    def note(self, road: Road, request: Request, outcome: Outcome, lane: Lane, now: float, strategy: str) -> None:
        """An attempt of a request that was chosen for has ended: those of routes in plain order cost nothing."""
        ended = outcome.ended
        more = self._steady.get(outcome.target, -1) if ended is _SERVED and now < self._calibrates else -1
        if not (more or road.remembers or strategy == "ucb"):
            return
        policy, learner = road.route.policy, None
        if road.learns or strategy == "ucb":
            learner = UCB if policy is None else policy.ucb
        if more >= 0:
            if more or learner is not None:
                self._steady[outcome.target] = max(more - 1, 0)
                self._waiting.append((outcome, now, learner))
                if len(self._waiting) >= WAITING:
                    self._settle()
        else:
            self._settle()
            self._take(outcome, now, learner, lane.gates[0].busy)
            if ended is _SERVED and now >= self._calibrates:
                self._calibrate(request, outcome, lane, now)
        if learner is not None:
            self._lesson(outcome.route)
        stays = policy is not None and policy.sticky and ended is _SERVED and outcome.how is not How.SPARE
        if stays and isinstance(request, ChatRequest):
            self._stay(road.route.name, conversation(request.body), outcome.target)

    def assessed(self, target: str, value: float) -> None:
        """Its answers are worth so much now, from 0 to 1."""
        known = self.measured.get(target)
        if known is not None or len(self._measured) < MOST:
            self._measured[target] = (known or FRESH)._replace(quality=value)

    def _settle(self) -> None:
        waiting, measured = self._waiting, self._measured
        self._waiting = []
        for outcome, now, learner in waiting:
            known = measured.get(outcome.target)
            if known is None:  # forgotten meanwhile
                continue
            measured[outcome.target] = measure(known, outcome, now)
            if learner is not None:
                self._learn(outcome, learner, now)

    def _take(self, outcome: Outcome, now: float, learner: Ucb | None, busy: int) -> None:
        """What cannot wait: what has changed is known to the next request."""
        target = outcome.target
        known = self._measured.get(target)
        if known is None:
            if len(self._measured) >= MOST:  # callers may name any number of targets directly
                self._measured.clear()
                self._steady.clear()
            known = FRESH
        after = self._measured[target] = measure(known, outcome, now, busy)
        if after.in_a_row or after.in_a_row != known.in_a_row or not known.attempts:
            self._brief.clear()
        if after.in_a_row == 0 and after.attempts:
            self._steady[target] = MEASURES
        else:
            self._steady.pop(target, None)
        if learner is not None and outcome.ended is not _CANCELLED:
            self._learn(outcome, learner, now)

    def _learn(self, outcome: Outcome, ucb: Ucb, now: float) -> None:
        known = of(self._trials, outcome.route)
        until = outcome.last if outcome.first_content is None else outcome.first_content
        cost = outcome.cost
        worth = reward(
            ucb,
            served=outcome.ended is _SERVED,
            seconds=until - outcome.sent,
            cost=None if cost is None else float(cost),
            quality=self._measured[outcome.target].quality,
        )
        known[outcome.target] = rewarded(known.get(outcome.target, _UNTRIED), worth, now, ucb.window)

    def _lesson(self, route: str) -> None:
        shelf = self._brief.get(route)
        if shelf is not None:
            shelf.lessons -= 1
            if shelf.lessons < 0:
                del self._brief[route]

    def _calibrate(self, request: Request, outcome: Outcome, lane: Lane, now: float) -> None:
        """How many tokens the target's model makes of the characters of a plain text: as it reports, or as its own
        tokenizer counts."""
        self._calibrates = now + CALIBRATES_EVERY * max(1.0, len(self._steady) / USUAL)
        self._steady = dict.fromkeys(self._steady, MEASURES)
        usage = outcome.usage
        if usage is None or outcome.how is not How.FRESH:
            return
        if usage.source is not Source.REPORTED and lane.count is of_text:
            return
        found = plain_facts(request.body) if isinstance(request, ChatRequest) and request.native is None else None
        if found is None:
            return
        known = self._measured[outcome.target]
        dense = calibrated(known.dense, found[0], usage.input)
        if dense != known.dense:
            self._measured[outcome.target] = known._replace(dense=dense)

    def _stay(self, route: str, conversation: int, target: str) -> None:
        last = self.last
        last.pop((route, conversation), None)
        last[route, conversation] = target
        if len(last) > MOST:
            del last[next(iter(last))]

    def forget(self, targets: Iterable[str]) -> None:
        """What was learnt of these targets no longer holds."""
        gone = frozenset(targets)
        measured, trials = self.measured, self.trials
        for target in gone:
            measured.pop(target, None)
            self._steady.pop(target, None)
        for known in trials.values():
            for target in gone & known.keys():
                del known[target]


def of(table: dict[str, dict[_Key, _Value]], route: str) -> dict[_Key, _Value]:
    """What is remembered of a route; direct targets are routes too, of which there may be any number."""
    found = table.get(route)
    if found is None:
        if len(table) >= MOST:
            table.clear()
        found = table[route] = {}
    return found


def conversation(body: Mapping[str, Any]) -> int:
    """What the requests of one conversation have in common: the key for the provider's own cache where the caller names
    one, else how the conversation begins, and whose it is."""
    named = body.get("prompt_cache_key")
    if isinstance(named, str):
        return hash(named)
    messages = body.get("messages")
    user = body.get("user")
    begin: list[object] = [user if isinstance(user, str) else None]
    for message in messages[:2] if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else message
        begin.append(content if isinstance(content, str) else repr(message))
    return hash(tuple(begin))
