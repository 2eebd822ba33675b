"""What is known of the quality of targets' answers: by evaluation, by a judge, by their clients."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from proxy.core.quality.standing import Standing, moved

if TYPE_CHECKING:
    from proxy.core.quality.assess import Answer, Parts
    from proxy.core.quality.policy import Quality
    from proxy.engine.overheard import Heard

WAITING = 64
"""Answers that wait for their evaluation; beyond it they are not evaluated."""
MOST = 10_000
"""Targets of which something is kept."""


class Note(Protocol):
    """Raises or clears an alert (`proxy.engine.alerts`)."""

    def __call__(self, kind: str, subject: str, on: bool, message: str = "", **about: object) -> None: ...


class Assessed(NamedTuple):
    """One evaluated answer."""

    request_id: str
    route: str
    target: str
    quality: Quality
    body: Mapping[str, Any]
    """The request."""
    answers: tuple[Answer, ...]


class Assessor:
    """One for each process."""

    def __init__(self) -> None:
        self.standings: dict[str, Standing] = {}
        """By target."""
        self.passed_over = 0
        """Answers that found no room."""
        self.on_value: Callable[[str, float], None] | None = None
        """Is told how good a target's answers are now, whenever that changes."""
        self.on_assessed: Callable[[Assessed], None] | None = None
        """Is told of each evaluated answer of a route with a judge, by its `judge_share`."""
        self.note: Note | None = None
        self._waiting: deque[tuple[Heard, str, str, Quality, Mapping[str, Any]]] = deque()
        self._working: asyncio.Task[None] | None = None

    def heard(self, heard: Heard, request_id: str, route: str, quality: Quality, body: Mapping[str, Any]) -> None:
        """Evaluate this answer by and by, in a thread."""
        if len(self._waiting) >= WAITING:
            self.passed_over += 1
            return
        self._waiting.append((heard, request_id, route, quality, body))
        if self._working is None:
            self._working = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                heard, request_id, route, quality, body = self._waiting.popleft()
                answers, parts = await asyncio.to_thread(_evaluated, heard, body)
                if answers:
                    self.assessed(Assessed(request_id, route, heard.target, quality, body, answers), parts)
        finally:
            self._working = None

    def assessed(self, answer: Assessed, parts: Parts) -> None:
        """This answer was evaluated."""
        self.rate(answer.target, parts.value, answer.quality.min_quality)
        judged = answer.quality.judge and random.random() < answer.quality.judge_share
        if judged and self.on_assessed is not None:
            self.on_assessed(answer)

    def rate(self, target: str, value: float, least: float) -> None:
        """An answer of this target was worth so much. `least`: the route's `min_quality`."""
        if len(self.standings) >= MOST and target not in self.standings:
            self.standings.clear()
        before = self.standings.get(target, Standing())
        after = self.standings[target] = moved(before, value, least)
        if self.on_value is not None:
            self.on_value(target, after.value)
        if after.low is not before.low and self.note is not None:
            message = f"answers of {target} are worth {after.value:.2f}, below {least:.2f}"
            about = {"quality": round(after.value, 3), "min_quality": least, "answers": after.answers}
            self.note("quality", target, after.low, message, **about)

    def forget(self, targets: Iterable[str]) -> None:
        """What was learnt of these targets no longer holds."""
        for target in targets:
            known = self.standings.pop(target, None)
            if known is not None and known.low and self.note is not None:
                self.note("quality", target, False)

    async def settled(self) -> None:
        """All that waits is evaluated."""
        while self._working is not None:
            await asyncio.shield(self._working)


def _evaluated(heard: Heard, body: Mapping[str, Any]) -> tuple[tuple[Answer, ...], Parts]:
    from proxy.core.quality.assess import assess  # most processes never need it

    try:
        answers = heard.answers()
    except ValueError:  # what went out is no JSON: it is the upstream's own, and none of our business
        answers = ()
    return answers, assess(body, answers)
