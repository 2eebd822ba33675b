"""Questions to moderations, for `screen`. Each is on record as a request of its own: `ID-screen-input`,
`ID-screen-output`, `ID-screen-output-2`…"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import orjson

from proxy.core.relay import RELAYS, RelayRequest
from proxy.core.screen.moderated import categories
from proxy.core.screen.policy import Side
from proxy.core.screen.rule import Finding, Rule, decided
from proxy.core.screen.texts import Key
from proxy.core.screen.window import Window
from proxy.engine.inward import Inward

if TYPE_CHECKING:
    from proxy.engine.engine import Engine
    from proxy.engine.lane import Road

GATHER = 0.5
"""Seconds that a stream's words are gathered before they are asked about."""
_MODERATIONS = next(relay for relay in RELAYS if relay.name == "moderations")
_LOG = logging.getLogger("wayline.screen")

Findings = tuple[Finding, ...]
_UNKNOWN = Finding("screen", "unavailable", "high", "unavailable")


class Moderation:
    """What one side of a screen asks about one request. `name`: on record. `wait`: seconds; who takes longer does not
    answer."""

    __slots__ = ("_asked", "_engine", "_name", "_side", "_wait")

    def __init__(self, engine: Engine, name: str, side: Side, wait: float) -> None:
        self._engine = engine
        self._name = name
        self._side = side
        self._wait = wait
        self._asked = 0

    async def found(self, texts: Iterable[str]) -> Findings:
        """What the moderations find in these texts, in the order of the rules; where one does not answer, what its
        rule says of that."""
        texts = tuple(texts)
        found = await asyncio.gather(*(self._by(rule, texts) for rule in self._side.asks))
        return tuple(finding for findings in found for finding in findings)

    async def _by(self, rule: Rule, texts: Iterable[str]) -> Findings:
        found: dict[Finding, None] = {}
        for text in texts:
            said = await self._categories(rule, text)
            if said is None:
                _LOG.warning("rule %s: the moderation by %s does not answer", rule.name, rule.moderation)
                if rule.unavailable == "refuse":
                    found[Finding(rule.name, "unavailable", rule.severity, "unavailable")] = None
            found.update(dict.fromkeys(self._side.finding(rule, rule.category or name) for name in said or ()))
            if decided(found) is not None:
                break
        return tuple(found)

    async def _categories(self, rule: Rule, text: str) -> tuple[str, ...] | None:
        road = self._engine.attention.find(rule.moderation)
        if road is None:  # a reload has taken it away, or its key is missing
            return None
        try:
            async with asyncio.timeout(self._wait):
                body = await self._answer(road, text)
            return None if body is None else categories(orjson.loads(body), rule.above)
        except (TimeoutError, orjson.JSONDecodeError):
            return None

    async def _answer(self, road: Road, text: str) -> bytes | None:
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        model = road.route.name
        body = {"model": model, "input": text}
        request = RelayRequest(_MODERATIONS, orjson.dumps(body), body, model, False)

        def done(told: bytes | None, _cost: object) -> None:
            if not answer.done():
                answer.set_result(told)

        self._asked += 1
        named = self._name if self._asked == 1 else f"{self._name}-{self._asked}"
        exchange = self._engine.relay(road, request, Inward(done), named, "")
        exchange.start()
        try:
            return await answer
        finally:
            exchange.gone()  # nobody waits for it any more; where it has ended this is nothing


class Verdicts:
    """What is found in one answer while it comes: one question at a time, about all that came meanwhile.

    `told` is called with each verdict, when `cleared` says what may go out."""

    __slots__ = ("_ask", "_hurries", "_since", "_task", "_timer", "_told", "_window")

    def __init__(self, ask: Callable[[list[str]], Awaitable[Findings]], told: Callable[[Findings], None]) -> None:
        self._ask = ask
        self._told = told
        self._window = Window()
        self._hurries = False
        self._since = 0.0
        """When the first of what was not asked about came."""
        self._task: asyncio.Task[Findings] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def heard(self) -> int:
        """Characters that have come."""
        return self._window.heard

    def cleared(self, heard: int) -> bool:
        """What had come by then may go out."""
        return heard <= self._window.judged

    @property
    def settled(self) -> bool:
        """All that has come may go out."""
        return self.cleared(self._window.heard)

    def feed(self, key: Key, piece: str) -> None:
        """A piece of a text."""
        window = self._window
        if window.asked == window.heard:
            self._since = asyncio.get_running_loop().time()
        window.feed(key, piece)
        self._hurries = False
        self._soon()

    def hurry(self) -> None:
        """Nothing more comes for now: what there is is asked about at once."""
        self._hurries = True
        self._soon()

    def stop(self) -> None:
        """Nobody wants to know any more."""
        self._hush()
        if self._task is not None:
            self._task.cancel()

    def _soon(self) -> None:
        if self._task is not None or self._window.asked == self._window.heard:
            return
        loop = asyncio.get_running_loop()
        if self._hurries or loop.time() >= self._since + GATHER:
            self._hush()
            self._task = loop.create_task(self._found(self._window.take()))
            self._task.add_done_callback(self._done)
        elif self._timer is None:
            self._timer = loop.call_at(self._since + GATHER, self._ripe)

    def _ripe(self) -> None:
        self._timer = None
        self._soon()

    async def _found(self, texts: list[str]) -> Findings:
        return await self._ask(texts)

    def _done(self, task: asyncio.Task[Findings]) -> None:
        self._task = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:  # whatever it is, the answer must come to an end
            _LOG.error("a moderation cannot be asked", exc_info=error)
        findings = task.result() if error is None else (_UNKNOWN,)
        self._window.judged = self._window.asked
        self._told(findings)
        self._soon()

    def _hush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
